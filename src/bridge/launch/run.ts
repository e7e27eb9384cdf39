/**
 * Runs a program of the system's init and waits for its end: no shell, a clean environment, what it prints bounded.
 *
 * It waits for the program and not for the end of its output, because a daemon that an init script started may hold that
 * open for as long as it lives; then it is read on and dropped, so that the daemon does not die of writing. When it takes too long or
 * the signal says so, the program is killed. Used by the controls for systemd and init scripts.
 */
import { spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import type { Clock } from '../../host/time/clock.ts'

export interface Ran {
  /** `null` when a signal ended it. */
  readonly code: number | null
  /** Of both outputs together, at most 4 kB. */
  readonly output: string
}

/** systemd gives a unit 90 s to start. */
const LIMIT = 120_000
/** For output that was written before the end and is still on its way. */
const SETTLE = 200
const MOST = 4096
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Rejects when it cannot be executed, takes more than two minutes, or the signal is aborted. */
export function run(
  [program, ...args]: readonly [string, ...string[]],
  clock: Clock,
  signal: AbortSignal,
): Promise<Ran> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(new Error(abortText(signal)))
    const child = spawn(program, args, { cwd: '/', env: { PATH, LC_ALL: 'C' }, stdio: ['ignore', 'pipe', 'pipe'] })
    const output: Buffer[] = []
    let held = 0
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        if (held < MOST) output.push(chunk.subarray(0, MOST - held))
        held += chunk.length
      })
    }
    const finish = (settle: () => void): void => {
      signal.removeEventListener('abort', aborted)
      cancelLimit()
      cancelSettle()
      for (const stream of [child.stdout, child.stderr]) (stream as Socket).unref()
      settle()
    }
    const give = (why: string) => (): void => {
      child.kill('SIGKILL')
      finish(() => reject(new Error(why)))
    }
    const aborted = (): void => give(abortText(signal))()
    signal.addEventListener('abort', aborted, { once: true })
    const cancelLimit = clock.after(LIMIT, give(`${program} did not end within ${LIMIT / 1000} s`))
    let cancelSettle = (): void => {}
    const done = (): void =>
      finish(() => resolve({ code: child.exitCode, output: Buffer.concat(output).toString('utf8').trim() }))
    child.once('error', error => finish(() => reject(error)))
    child.once('exit', () => {
      cancelSettle = clock.after(SETTLE, done)
    })
    child.once('close', done)
  })
}

/** In words, whatever the signal was aborted with: an `AbortReason` or an error. */
export function abortText({ reason }: AbortSignal): string {
  const { detail, message } = (reason ?? {}) as { readonly detail?: unknown; readonly message?: unknown }
  return `given up: ${String(detail ?? message ?? reason)}`
}
