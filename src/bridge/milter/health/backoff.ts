/**
 * Pauses between attempts that grow while they fail, each a little off so that many hosts do not try in step.
 *
 * Pure: randomness is passed in. Used for probes, for trials of a milter that fails, and for starting a process anew.
 */

export interface Pauses {
  /** Milliseconds before the second attempt. */
  readonly first: number
  /** Milliseconds that the pauses grow to, doubling. */
  readonly most: number
}

/** A pause is longer or shorter by up to this share. */
const JITTER = 0.3

export class Backoff {
  readonly #pauses: Pauses
  readonly #random: () => number
  #next: number

  /** `random`: from 0 to 1. */
  constructor(pauses: Pauses, random: () => number) {
    this.#pauses = pauses
    this.#random = random
    this.#next = pauses.first
  }

  /** Milliseconds to wait now. */
  next(): number {
    const pause = this.#next
    this.#next = Math.min(pause * 2, this.#pauses.most)
    return Math.round(pause * (1 + JITTER * (2 * this.#random() - 1)))
  }

  reset(): void {
    this.#next = this.#pauses.first
  }
}
