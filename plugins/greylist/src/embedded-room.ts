/**
 * Room for new rows in a store that has a greatest number of them.
 *
 * At the limit a pending tuple makes room: of a random sample the one unused for longest, expired ones before all others. A row
 * that was learned makes room only for another that was learned: a flood of newcomers must not push out who is known. A
 * sample instead of an order of all rows, because an index would cost half as much again as the rows. Runs inside the
 * embedded store's transaction.
 */
import { randomBytes } from 'node:crypto'
import type { Marks, Row } from './embedded-marks.ts'
import type { Kind } from './store.ts'

const SAMPLE = 40
const SAMPLES = 3

/** So far from the limit the rows need not be counted again for as many insertions. */
const FAR = 1_000

export class Room {
  readonly #marks: Marks
  readonly #capacity: number
  #uncounted = 0

  constructor(marks: Marks, capacity: number) {
    this.#marks = marks
    this.#capacity = capacity
  }

  /** Makes room for so many rows of a kind; false when there is none to be had. */
  make(rows: number, kind: Kind, now: number): boolean {
    if (rows <= this.#uncounted) {
      this.#uncounted -= rows
      return true
    }
    let left = this.#capacity - this.#marks.total()
    if (left >= FAR * 2) this.#uncounted = FAR
    while (left < rows) {
      if (!this.#evict(kind, now)) return false
      left++
    }
    return true
  }

  #evict(kind: Kind, now: number): boolean {
    for (let tries = 0; tries < SAMPLES; tries++) {
      const victim = choose(this.#sample(), kind, now)
      if (victim === null) continue
      this.#marks.delete(victim.kind!, victim.key)
      this.#marks.add('count:evicted', 1)
      return true
    }
    return false
  }

  #sample(): readonly Row[] {
    const rows = this.#marks.after(randomBytes(20), SAMPLE)
    return rows.length === SAMPLE ? rows : [...rows, ...this.#marks.after(new Uint8Array(), SAMPLE - rows.length)]
  }
}

function choose(rows: readonly Row[], kind: Kind, now: number): Row | null {
  const known = rows.filter(row => row.kind !== null)
  const gone = known.find(({ entry }) => entry === null || entry.expires <= now)
  if (gone !== undefined) return gone
  const oldest = (kinds: readonly Kind[]): Row | null =>
    known
      .filter(row => kinds.includes(row.kind!))
      .sort((a, b) => a.entry!.last - b.entry!.last)
      .at(0) ?? null
  const pending = oldest(['tuple', 'pending'])
  if (pending !== null || kind === 'tuple' || kind === 'pending') return pending
  return oldest(['domain', 'origin'])
}
