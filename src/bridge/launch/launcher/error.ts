/**
 * What the launcher can complain of: code and message, one table, documented in `docs/errors.md` like those of the host.
 *
 * A `Refusal` is what a request comes to when it is not done; its result is one of the words that fit into an answer, its message
 * is for the log only, because milterhost is never told more than fits into a frame. Used by the launcher, and by milterhost for commands of its own.
 */
import type { Result } from './frame.ts'

export const launcherErrors = {
  LAUNCHER_USAGE: (what: string): string => `${what}; milterhost-launcher --help says how it is called`,
  LAUNCHER_FILE: (path: string, what: string): string => `${path} is not used: ${what}`,
  LAUNCHER_PROGRAM: (path: string, what: string): string => `${path} is not run as root: ${what}`,
  LAUNCHER_USER: (what: string): string => `nothing is started: ${what}`,
}

export class LauncherError extends Error {
  readonly code: keyof typeof launcherErrors
  constructor(code: keyof typeof launcherErrors, message: string) {
    super(message)
    this.code = code
  }
}

export class Refusal extends Error {
  readonly result: Result
  /** Milliseconds after which it may be asked again. */
  readonly wait: number
  constructor(result: Result, message: string, wait = 0) {
    super(message)
    this.result = result
    this.wait = wait
  }
}
