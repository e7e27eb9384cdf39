/**
 * How far a long command has come: one line on the terminal, written over again and again, and gone when the command ends.
 *
 * Writes nothing at all where standard error is no terminal, so that logs and pipes stay clean. Commands of plugins use it
 * through their call.
 */

/** Milliseconds between two writings. */
const EVERY = 200
const CLEAR = '\r\u001b[K'

export class Progress {
  readonly #write: ((text: string) => void) | null
  readonly #now: () => number
  #last = Number.NEGATIVE_INFINITY
  #shown = false

  /** `write`: to the terminal; `null`: there is none. `now`: milliseconds, never going back. */
  constructor(write: ((text: string) => void) | null, now: () => number) {
    this.#write = write
    this.#now = now
  }

  show(done: number, total: number | null): void {
    if (this.#write === null) return
    const now = this.#now()
    if (now - this.#last < EVERY && done !== total) return
    this.#last = now
    this.#shown = true
    // What is counted may grow meanwhile.
    const share = total === null || total <= 0 ? '' : ` ${Math.min(100, Math.floor((done / total) * 100))} %`
    this.#write(`${CLEAR}${done}${total === null ? '' : ` of ${total}`}${share}`)
  }

  /** Takes the line away; before anything else is written, and at the end. */
  clear(): void {
    if (!this.#shown) return
    this.#shown = false
    this.#write?.(CLEAR)
  }
}
