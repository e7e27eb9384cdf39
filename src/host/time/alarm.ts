/**
 * A timer that is set and cleared for every question but hardly ever goes off, so it is left running instead: setting it is
 * two assignments, and what was set late enough shares the timer that is there.
 *
 * Goes off never before its time and at most once for each setting. Whoever makes one closes it. Used where an answer is
 * waited for: the limits of a call, the signs of life to an MTA.
 */
import type { Clock } from './clock.ts'

export class Alarm {
  readonly #clock: Clock
  #due = Number.POSITIVE_INFINITY
  #ring: (() => void) | null = null
  #running = Number.POSITIVE_INFINITY
  #cancel: (() => void) | null = null

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** In so many milliseconds, in place of what was set before. */
  set(milliseconds: number, ring: () => void): void {
    this.#due = this.#clock.monotonic() + milliseconds
    this.#ring = ring
    if (this.#running > this.#due) this.#run(milliseconds)
  }

  clear(): void {
    this.#due = Number.POSITIVE_INFINITY
    this.#ring = null
  }

  close(): void {
    this.clear()
    this.#cancel?.()
    this.#cancel = null
    this.#running = Number.POSITIVE_INFINITY
  }

  #run(milliseconds: number): void {
    this.#cancel?.()
    this.#running = this.#due
    this.#cancel = this.#clock.after(milliseconds, () => this.#over())
  }

  #over(): void {
    this.#cancel = null
    this.#running = Number.POSITIVE_INFINITY
    if (this.#ring === null) return
    // A timer may go off a moment early.
    const left = this.#due - this.#clock.monotonic()
    if (left > 0) {
      this.#run(Math.ceil(left))
      return
    }
    const ring = this.#ring
    this.clear()
    ring()
  }
}
