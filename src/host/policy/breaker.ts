/**
 * Leaves a backend alone that fails again and again, so that mail does not wait for a time limit each time.
 *
 * After so many failures in a row nobody asks for a while; then one call may try, and its outcome decides. Pure: the time
 * comes as an argument. One breaker a look-up.
 */

export interface BreakerSettings {
  /** Failures in a row. */
  readonly failures: number
  /** Milliseconds. */
  readonly pause: number
}

export class Breaker {
  readonly #settings: BreakerSettings
  #failures = 0
  #until = 0
  #trying = false

  constructor(settings: BreakerSettings) {
    this.#settings = settings
  }

  get failures(): number {
    return this.#failures
  }

  isPaused(now: number): boolean {
    return this.#failures >= this.#settings.failures && (this.#trying || now < this.#until)
  }

  /** Whether a call may be made now; the one that tries after a pause holds the others back until it is settled. */
  admit(now: number): boolean {
    if (this.#failures < this.#settings.failures) return true
    if (this.#trying || now < this.#until) return false
    this.#trying = true
    return true
  }

  /** True when this ended a pause. */
  succeeded(): boolean {
    const ended = this.#failures >= this.#settings.failures
    this.#failures = 0
    this.#trying = false
    return ended
  }

  /** True when a pause begins with it. */
  failed(now: number): boolean {
    this.#failures += 1
    this.#trying = false
    if (this.#failures < this.#settings.failures) return false
    this.#until = now + this.#settings.pause
    return true
  }
}
