/**
 * Log lines on their way out, several to a write when they come fast.
 *
 * A write for each line costs a busy host a tenth of its time. So a line is written at once unless the last write is less than
 * `GATHERED` milliseconds ago; then it waits for the rest of them, with those that come meanwhile. Whoever makes one calls
 * `flush` when the process ends: only one that is killed on the spot (SIGKILL, no memory left) loses what waits.
 */
import type { Clock } from '../time/clock.ts'

/** Milliseconds. */
const GATHERED = 10
/** Characters that are not held any longer. */
const ENOUGH = 64 * 1024

export class LogLines {
  readonly #clock: Clock
  readonly #write: (text: string) => void
  #waiting = ''
  #written = Number.NEGATIVE_INFINITY
  #armed = false

  /** `write` takes one or several whole lines, and has written them when it returns. */
  constructor(clock: Clock, write: (text: string) => void) {
    this.#clock = clock
    this.#write = write
  }

  /** A line with its line end. */
  readonly add = (line: string): void => {
    this.#waiting += line
    if (this.#armed && this.#waiting.length < ENOUGH) return
    const left = this.#written + GATHERED - this.#clock.monotonic()
    if (left <= 0 || this.#waiting.length >= ENOUGH) this.flush()
    else {
      this.#armed = true
      this.#clock.after(left, this.#due)
    }
  }

  flush(): void {
    const text = this.#waiting
    if (text === '') return
    this.#waiting = ''
    this.#written = this.#clock.monotonic()
    this.#write(text)
  }

  readonly #due = (): void => {
    this.#armed = false
    this.flush()
  }
}
