/**
 * Log lines about MTAs that misbehave, rate-limited: a port scan must not fill the disk.
 *
 * Of each code a few lines a minute are written; what was left out is counted and told by the first line of the next
 * minute. One for all connections of a listener. Peers' bytes go into fields as they are, the logger makes them harmless.
 */
import type { ErrorCode, HostError } from '../../host/errors.ts'
import type { Logger } from '../../host/observe/logger.ts'
import type { Clock } from '../../host/time/clock.ts'

const perMinute = 10
const minute = 60_000

interface Window {
  began: number
  lines: number
  dropped: number
}

export class Complaints {
  readonly #log: Logger
  readonly #clock: Clock
  readonly #windows = new Map<ErrorCode, Window>()

  constructor(log: Logger, clock: Clock) {
    this.#log = log
    this.#clock = clock
  }

  tell(error: HostError, fields: object): void {
    const now = this.#clock.monotonic()
    let window = this.#windows.get(error.code)
    if (window === undefined || now - window.began >= minute) {
      const unreported = window?.dropped ?? 0
      window = { began: now, lines: 0, dropped: 0 }
      this.#windows.set(error.code, window)
      if (unreported > 0) fields = { ...fields, unreported }
    }
    if (window.lines >= perMinute) {
      window.dropped++
      return
    }
    window.lines++
    this.#log.warn({ code: error.code, ...fields }, error.message)
  }
}
