/**
 * A clock that stands still until a test moves it.
 *
 * Timers fire in the order of their times, and what a fired timer set going runs before the next one fires, so that a
 * greylist's five minutes take no time and always go the same way.
 */
import { parseDuration } from '../host/config/duration.ts'
import type { Duration } from '../host/config/entry.ts'
import type { Clock } from '../host/time/clock.ts'

/** A clock that a test moves. */
export interface FakeClock extends Clock {
  /**
   * Moves time on and fires what comes due, in order; resolves when everything that this set going has run. A number is
   * seconds, as in a configuration.
   * @example await clock.advance('5m')
   */
  advance(duration: Duration): Promise<void>
  /** Timers that wait. */
  readonly pending: number
}

/** Not the global one at the time of the call: a test runner may have replaced that. */
const turn = setImmediate

/** `start`: milliseconds since 1970, or what `new Date` reads. */
export function fakeClock(start: number | string | Date = '2026-01-01T00:00:00Z'): FakeClock {
  const began = new Date(start).getTime()
  if (Number.isNaN(began)) throw new RangeError(`fakeClock: ${String(start)} is no time`)
  let elapsed = 0
  const timers = new Set<{ readonly at: number; readonly call: () => void }>()
  const idle = (): Promise<void> => new Promise(resolve => turn(resolve))
  return {
    now: () => began + elapsed,
    monotonic: () => elapsed,
    after(milliseconds, call) {
      const timer = { at: elapsed + Math.max(0, milliseconds), call }
      timers.add(timer)
      return () => timers.delete(timer)
    },
    async advance(duration) {
      await idle()
      const target = elapsed + parseDuration(duration)
      for (;;) {
        let next: { readonly at: number; readonly call: () => void } | null = null
        for (const timer of timers) if (timer.at <= target && (next === null || timer.at < next.at)) next = timer
        if (next === null) break
        timers.delete(next)
        elapsed = Math.max(elapsed, next.at)
        next.call()
        await idle()
      }
      elapsed = target
      await idle()
    },
    get pending() {
      return timers.size
    },
  }
}
