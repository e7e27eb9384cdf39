// Seeded chance, so that a run that failed can be repeated: the seed is in the test's name.

/** Always the same, so that a change that breaks something is seen at once; MILTERHOST_SEED=N explores. */
export const SEED: number = Number(process.env.MILTERHOST_SEED ?? 20_260_730)

export class Chance {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** From 0 up to but not 1 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }

  /** A whole number from 0 up to but not n. */
  below(n: number): number {
    return Math.floor(this.next() * n)
  }

  /** True once in so many. */
  oneIn(n: number): boolean {
    return this.below(n) === 0
  }

  of<T>(...choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T
  }

  /** So many, each made anew. */
  some<T>(least: number, most: number, make: (index: number) => T): T[] {
    return Array.from({ length: least + this.below(most - least + 1) }, (_, index) => make(index))
  }
}
