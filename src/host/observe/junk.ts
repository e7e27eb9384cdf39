/**
 * Lets the first lines of a kind through and counts the rest, so that a peer cannot fill the disk with complaints
 * about itself.
 */
import type { Clock } from '../time/clock.ts'

export interface JunkOptions {
  /** Lines of one kind in a window. @default 10 */
  readonly lines?: number
  /** Milliseconds. @default 60000 */
  readonly window?: number
}

const KINDS = 1000

export class JunkFilter {
  readonly #clock: Clock
  readonly #lines: number
  readonly #window: number
  readonly #kinds = new Map<string, { began: number; seen: number }>()

  constructor(clock: Clock, { lines = 10, window = 60_000 }: JunkOptions = {}) {
    this.#clock = clock
    this.#lines = lines
    this.#window = window
  }

  /** `null`: say nothing. A number: say it, and that so many like it were not said before. */
  admit(kind: string): number | null {
    const now = this.#clock.monotonic()
    const entry = this.#kinds.get(kind)
    if (entry === undefined || now - entry.began >= this.#window) {
      if (this.#kinds.size >= KINDS) this.#kinds.clear()
      this.#kinds.set(kind, { began: now, seen: 1 })
      return entry === undefined ? 0 : Math.max(0, entry.seen - this.#lines)
    }
    entry.seen += 1
    return entry.seen <= this.#lines ? 0 : null
  }
}
