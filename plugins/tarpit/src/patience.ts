/**
 * How long clients stay that do not wait, and the shortest time that would still make nearly all of them go.
 *
 * Learned only from clients that were held for the whole time configured, one in ten once a shorter time is in use: the others are
 * let go before they could show how long they would have stayed. Older ones count less and less. Pure; the store keeps the text.
 */

/** Departures from which on the curve is believed. */
const ENOUGH = 100
/** At twice as many all counts are halved. */
const MANY = 2_000
const EVERY = 10

export interface PatienceOptions {
  /** Milliseconds: the time configured, and the shortest that may be chosen. */
  readonly most: number
  readonly least: number
  /** The share of departures to keep, up to 1. */
  readonly keep: number
}

export class Patience {
  readonly #options: PatienceOptions
  /** Departures by the second in which they came. */
  readonly #left: number[]
  #asked = 0

  /** `kept`: what `toString` gave; anything else is as good as nothing. */
  constructor(options: PatienceOptions, kept: string | null = null) {
    this.#options = options
    this.#left = Array<number>(Math.ceil(options.most / 1000) + 1).fill(0)
    for (const [second, count] of parse(kept).entries()) if (second < this.#left.length) this.#left[second] = count
  }

  /** How long the next client is to be held, and whether its departure will tell something. */
  next(): { readonly milliseconds: number; readonly telling: boolean } {
    const { most } = this.#options
    const chosen = this.chosen
    const telling = chosen === most || this.#asked++ % EVERY === 0
    return { milliseconds: telling ? most : chosen, telling }
  }

  /** The shortest time after which the share to keep has gone. Milliseconds. */
  get chosen(): number {
    const { most, least, keep } = this.#options
    const total = this.#left.reduce((sum, count) => sum + count, 0)
    if (total < ENOUGH) return most
    let gone = 0
    for (const [second, count] of this.#left.entries()) {
      gone += count
      if (gone >= keep * total) return Math.min(most, Math.max(least, (second + 1) * 1000))
    }
    return most
  }

  /** A client that was to tell has gone after so many milliseconds. */
  departed(milliseconds: number): void {
    const second = Math.min(this.#left.length - 1, Math.max(0, Math.floor(milliseconds / 1000)))
    this.#left[second]! += 1
    const total = this.#left.reduce((sum, count) => sum + count, 0)
    if (total >= MANY) for (const [at, count] of this.#left.entries()) this.#left[at] = Math.floor(count / 2)
  }

  toString(): string {
    return JSON.stringify(this.#left)
  }
}

function parse(kept: string | null): number[] {
  if (kept === null || kept.length > 10_000) return []
  try {
    const value: unknown = JSON.parse(kept)
    const fits = (count: unknown): count is number => Number.isSafeInteger(count) && (count as number) >= 0
    return Array.isArray(value) && value.every(fits) ? value : []
  } catch {
    // Nonsense in the file: the curve is learned again.
    return []
  }
}
