/**
 * What the Postfix on this machine says of itself: how many sessions it can have, and how long it waits for a milter.
 *
 * Asked of `postconf` once, when a configuration is made ready. A machine without Postfix has none of this, and whatever
 * else goes wrong is no reason not to serve: then the defaults of the caller hold. The MTA at the other end may be another one.
 */
import { execFile } from 'node:child_process'

export interface PostfixFacts {
  /** `default_process_limit`: processes of one service, so SMTP sessions at once. */
  readonly processes: number
  /** `milter_command_timeout` in milliseconds. */
  readonly commandTimeout: number
}

const LIMIT = 3_000

/** Resolves to `null` where there is no Postfix, or none that answers. */
export function readPostfix(command = 'postconf'): Promise<PostfixFacts | null> {
  const args = ['-x', '-h', 'default_process_limit', 'milter_command_timeout']
  return new Promise(resolve => {
    execFile(command, args, { timeout: LIMIT, killSignal: 'SIGKILL', maxBuffer: 4096 }, (error, stdout) => {
      const [processes = '', timeout = ''] = stdout.split('\n')
      const facts = { processes: Number(processes.trim() || Number.NaN), commandTimeout: milliseconds(timeout.trim()) }
      const usable = Number.isSafeInteger(facts.processes) && facts.processes > 0 && facts.commandTimeout > 0
      resolve(error === null && usable ? facts : null)
    })
  })
}

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 }

/** As Postfix writes a time: a number and a unit, seconds without one. */
function milliseconds(text: string): number {
  const [, value, unit] = /^(\d+)([smhdw]?)$/.exec(text) ?? []
  return Number(value) * (UNITS[unit || 's'] ?? Number.NaN) * 1000
}
