/** A clock that a test moves by hand. */
import type { Clock } from '../../../src/host/time/clock.ts'

export class HandClock implements Clock {
  #time = 0
  #timers: { readonly at: number; readonly call: () => void }[] = []

  now(): number {
    return 1_700_000_000_000 + this.#time
  }

  monotonic(): number {
    return this.#time
  }

  after(milliseconds: number, call: () => void): () => void {
    const timer = { at: this.#time + milliseconds, call }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter(other => other !== timer)
    }
  }

  /** Moves time on; timers fire in order, and what waits on them runs before the next one. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.#time + milliseconds
    await settle()
    for (;;) {
      const next = this.#timers.filter(timer => timer.at <= end).sort((a, b) => a.at - b.at)[0]
      if (next === undefined) break
      this.#timers = this.#timers.filter(timer => timer !== next)
      this.#time = Math.max(this.#time, next.at)
      next.call()
      await settle()
    }
    this.#time = end
  }

  get pending(): number {
    return this.#timers.length
  }
}

const settle = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
