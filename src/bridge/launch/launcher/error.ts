/**
 * What the launcher can complain of.
 *
 * A `LauncherError` ends it, or leaves the file as it was read before; its codes are documented in `docs/errors.md` like those of the host. A
 * `Refusal` is what a request comes to when it is not done: its result is one of the words that fit into an answer, its message is for
 * the log. Used by the launcher, and by milterhost for commands of its own.
 */
import type { Result } from './frame.ts'

export const LAUNCHER_ERRORS = ['LAUNCHER_USAGE', 'LAUNCHER_FILE', 'LAUNCHER_PROGRAM', 'LAUNCHER_USER'] as const

export class LauncherError extends Error {
  readonly code: (typeof LAUNCHER_ERRORS)[number]
  constructor(code: (typeof LAUNCHER_ERRORS)[number], message: string) {
    super(message)
    this.code = code
  }
}

export class Refusal extends Error {
  readonly result: Result
  constructor(result: Result, message: string) {
    super(message)
    this.result = result
  }
}
