/**
 * When a store that fails is left alone: a circuit breaker.
 *
 * Opens after so many failures in so long, then lets nobody through but a probe now and then, and closes when one succeeds.
 * Pure but for the timer it is given; the store guard owns it.
 */
export interface BreakerOptions {
  /** Failures that open it. */
  readonly failures: number
  /** Milliseconds in which they count together. */
  readonly within: number
  /** Milliseconds between two probes. */
  readonly probeEvery: number
  /** Milliseconds, never going back. */
  readonly now: () => number
  /** Calls once after so many milliseconds; the result cancels. */
  readonly after: (milliseconds: number, call: () => void) => () => void
  /** Whether the store works again. Never rejects. */
  readonly probe: () => Promise<boolean>
  readonly changed: (state: 'open' | 'closed') => void
}

export class Breaker {
  readonly #options: BreakerOptions
  #failures: number[] = []
  #open = false
  #cancel: (() => void) | null = null
  #ended = false

  constructor(options: BreakerOptions) {
    this.#options = options
  }

  get open(): boolean {
    return this.#open
  }

  succeeded(): void {
    if (this.#failures.length > 0 && !this.#open) this.#failures = []
  }

  failed(): void {
    const { failures, within, now, changed } = this.#options
    const at = now()
    this.#failures = [...this.#failures.filter(before => at - before < within), at]
    if (this.#open || this.#ended || this.#failures.length < failures) return
    this.#open = true
    changed('open')
    this.#wait()
  }

  /** No more probes. */
  end(): void {
    this.#ended = true
    this.#cancel?.()
  }

  #wait(): void {
    this.#cancel = this.#options.after(this.#options.probeEvery, () => void this.#probe())
  }

  async #probe(): Promise<void> {
    const works = await this.#options.probe()
    if (this.#ended) return
    if (!works) {
      this.#wait()
      return
    }
    this.#open = false
    this.#failures = []
    this.#options.changed('closed')
  }
}
