/**
 * What a command prints and how it ends: the seam between the commands and the process.
 *
 * Results go to standard output, everything else to standard error, so that `--json` and `--raw` can be piped.
 */
import { writeSync } from 'node:fs'

/** 0 done · 1 a check failed, a message was refused, the daemon could not start, be reached or do it · 2 wrong usage or configuration. */
export const EXIT = { ok: 0, failed: 1, usage: 2 } as const
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

export const EXIT_HELP = `
Exit codes:
  0  done
  1  a check failed, the message was refused, or the daemon could not start, be reached or do it
  2  the command line or the configuration is wrong`

export const print = (text: string): void => write(1, `${text}\n`)
export const complain = (text: string): void => write(2, `${text}\n`)
/** For a line that is written over; to a terminal only. */
export const printProgress = (text: string): void => write(2, text)
export const printBytes = (bytes: Uint8Array): void => write(1, bytes)
export const printJson = (value: unknown): void => print(JSON.stringify(value, jsonValue, 2))

/** Maps as objects, sets as lists. */
const jsonValue = (_key: string, value: unknown): unknown =>
  value instanceof Map ? Object.fromEntries(value) : value instanceof Set ? [...value] : value

/** Writes all of it before it returns, so that an exit right after loses nothing. */
function write(descriptor: 1 | 2, data: string | Uint8Array): void {
  let left: Uint8Array = typeof data === 'string' ? Buffer.from(data) : data
  while (left.length > 0) {
    try {
      left = left.subarray(writeSync(descriptor, left))
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EPIPE') return
      // A pipe whose reader is slow: Node has made it non-blocking.
      if (code === 'EAGAIN') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
      else throw error
    }
  }
}
