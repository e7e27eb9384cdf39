/**
 * Blocks of memory for large bodies, used again and again, and bounded for all messages together.
 *
 * A fresh block for each piece of each body makes the garbage collector the dearest part of a large message. Who takes a
 * block gives it back once, when nobody can reach it through him any more; what is in it is then another message's. When
 * all are lent out there is none, and the body goes to its file. `spool.ts` makes one for all its messages.
 */
import { PIECE } from './body.ts'

/** Bytes of free blocks that are kept; the rest of a burst goes back to the system. */
const KEPT = 16 * 1024 * 1024

export class BlockPool {
  readonly #most: number
  readonly #free: Buffer[] = []
  #lent = 0

  /** @param bytes the most that are lent out at once */
  constructor(bytes: number) {
    this.#most = Math.floor(bytes / PIECE)
  }

  /** A block of `PIECE` bytes with anything in it, or `null`: all are in use. */
  take(): Buffer | null {
    if (this.#lent >= this.#most) return null
    this.#lent++
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(PIECE)
  }

  give(block: Buffer): void {
    this.#lent--
    if ((this.#free.length + 1) * PIECE <= KEPT) this.#free.push(block)
  }
}
