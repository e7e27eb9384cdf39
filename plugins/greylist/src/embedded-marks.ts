/**
 * Marks as rows of the SQLite file: their keys, their strict reading, and how many there are of each kind.
 *
 * A key is the origin's 12 bytes and 8 of the item, so that all that belongs to an origin lies side by side. What always
 * holds: a row that makes no sense is a mark that is not there, and is told; the count of each kind is kept in the same
 * transaction as the rows. Nothing here begins a transaction; the embedded store does.
 */
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import {
  type Entry,
  type ItemKey,
  KINDS,
  type Kind,
  type Mark,
  type OriginKey,
  type Problem,
  type Seen,
} from './store.ts'

const ORIGIN_BYTES = 12
const KEY_BYTES = 20

/** A row of the file, and whether there is one at all: what cannot be read is written over, not added. */
export interface Found {
  readonly there: boolean
  readonly mark: Mark | null
}

const MISSING: Found = { there: false, mark: null }

/** Keys of what is asked about. */
export interface QuestionKeys {
  readonly pin: Uint8Array
  readonly trap: Uint8Array
  readonly origin: Uint8Array
  readonly pending: Uint8Array
  readonly domain: Uint8Array
  readonly tuples: readonly Uint8Array[]
}

export class Marks {
  readonly #problem: Problem
  readonly #get: StatementSync
  readonly #put: StatementSync
  readonly #delete: StatementSync
  readonly #after: StatementSync
  readonly #within: StatementSync
  readonly #addFact: StatementSync
  readonly #fact: StatementSync

  constructor(db: DatabaseSync, problem: Problem) {
    this.#problem = problem
    this.#get = db.prepare('SELECT kind, first, last, count, expires FROM mark WHERE key = ?')
    this.#put = db.prepare('INSERT OR REPLACE INTO mark VALUES (?, ?, ?, ?, ?, ?)')
    this.#delete = db.prepare('DELETE FROM mark WHERE key = ?')
    this.#after = db.prepare('SELECT * FROM mark WHERE key > ? ORDER BY key LIMIT ?')
    this.#within = db.prepare('SELECT * FROM mark WHERE key >= ? AND key <= ? ORDER BY key LIMIT ?')
    this.#addFact = db.prepare(
      'INSERT INTO fact VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = max(0, CAST(value AS INTEGER) + excluded.value)',
    )
    this.#fact = db.prepare('SELECT value FROM fact WHERE name = ?')
  }

  find(kind: Kind, key: Uint8Array): Found {
    let row: unknown
    try {
      row = this.#get.get(key)
    } catch (error) {
      // An integer that no number can hold. Trouble with the file itself has a code of SQLite.
      if ((error as { errcode?: unknown }).errcode !== undefined) throw error
      return { there: true, mark: this.#nonsense(kind, key) }
    }
    if (row === undefined) return MISSING
    return { there: true, mark: readMark(row, kind) ?? this.#nonsense(kind, key) }
  }

  see(keys: QuestionKeys): Seen & { readonly rows: ReadonlySet<Uint8Array> } {
    const rows = new Set<Uint8Array>()
    const find = (kind: Kind, key: Uint8Array): Mark | null => {
      const { there, mark } = this.find(kind, key)
      if (there) rows.add(key)
      return mark
    }
    return {
      pin: find('pin', keys.pin),
      trap: find('trap', keys.trap),
      origin: find('origin', keys.origin),
      pending: find('pending', keys.pending),
      domain: find('domain', keys.domain),
      tuples: keys.tuples.map(key => find('tuple', key)),
      rows,
    }
  }

  put(kind: Kind, key: Uint8Array, mark: Mark, there: boolean): void {
    // Early for `first` and late for `expires`: rounding must neither put off nor forget a client.
    this.#put.run(
      key,
      KINDS.indexOf(kind),
      Math.floor(mark.first / 1000),
      Math.floor(mark.last / 1000),
      mark.count,
      Math.ceil(mark.expires / 1000),
    )
    if (!there) this.#counted(kind, 1)
  }

  delete(kind: Kind, key: Uint8Array): boolean {
    const gone = Number(this.#delete.run(key).changes) > 0
    if (gone) this.#counted(kind, -1)
    return gone
  }

  /** Up to so many rows in the order of their keys, after a key; those that make no sense have no mark. */
  after(key: Uint8Array, most: number): readonly Row[] {
    return this.#rows(this.#after, [key, most])
  }

  /** Rows of one origin. */
  ofOrigin(origin: OriginKey, most: number): readonly Row[] {
    return this.#rows(this.#within, [itemKey(origin, LOWEST), itemKey(origin, HIGHEST), most])
  }

  counted(): Readonly<Record<Kind, number>> {
    return Object.fromEntries(KINDS.map(kind => [kind, this.number(`entries:${kind}`)])) as Record<Kind, number>
  }

  total(): number {
    return KINDS.reduce((sum, kind) => sum + this.number(`entries:${kind}`), 0)
  }

  /** A number of the file; what is none reads as 0. */
  number(name: string): number {
    const value = this.fact(name)
    return typeof value === 'number' && Number.isFinite(value) ? value : 0
  }

  fact(name: string): unknown {
    try {
      return this.#fact.get(name)?.value
    } catch (error) {
      if ((error as { errcode?: unknown }).errcode !== undefined) throw error
      return undefined
    }
  }

  add(name: string, amount: number): void {
    this.#addFact.run(name, amount)
  }

  #counted(kind: Kind, by: number): void {
    this.#addFact.run(`entries:${kind}`, by)
  }

  #rows(statement: StatementSync, values: readonly SQLInputValue[]): readonly Row[] {
    // Integers of any size, so that one row of nonsense does not hide the rest.
    statement.setReadBigInts(true)
    return statement.all(...values).map(row => {
      const { key, kind } = row as { key: Uint8Array; kind: unknown }
      const name = KINDS[Number(kind)]
      const parts = name === undefined ? null : readKey(name, key)
      const mark = name === undefined ? null : readMark(row, name)
      return { key, kind: name ?? null, entry: parts === null || mark === null ? null : { ...parts, ...mark } }
    })
  }

  #nonsense(kind: Kind, key: Uint8Array): null {
    this.#problem(
      { kind, key: Buffer.from(key).toString('base64url') },
      'a greylist entry makes no sense: taken as absent',
    )
    return null
  }
}

export interface Row {
  readonly key: Uint8Array
  readonly kind: Kind | null
  /** `null` when it makes no sense. */
  readonly entry: Entry | null
}

/** Seconds; beyond the year 9999 no clock is right. */
const MOST_SECONDS = 253_402_300_799

function readMark(row: unknown, kind: Kind): Mark | null {
  const values = row as Readonly<Record<'kind' | 'first' | 'last' | 'count' | 'expires', unknown>>
  const number = (value: unknown): number =>
    typeof value === 'number' || typeof value === 'bigint' ? Number(value) : Number.NaN
  const sane = (value: number): boolean => Number.isInteger(value) && value >= 0 && value <= MOST_SECONDS
  const [first, last, count, expires] = [values.first, values.last, values.count, values.expires].map(number) as [
    number,
    number,
    number,
    number,
  ]
  if (number(values.kind) !== KINDS.indexOf(kind) || ![first, last, count, expires].every(sane)) return null
  return { first: first * 1000, last: last * 1000, count, expires: expires * 1000 }
}

const LOWEST = new Uint8Array(KEY_BYTES - ORIGIN_BYTES)
const HIGHEST = new Uint8Array(KEY_BYTES - ORIGIN_BYTES).fill(0xff)

/** The items of what an origin has but once. No hash is like them, but for one in 2^61. */
const OWN_ITEM = Object.fromEntries(
  (['origin', 'pending', 'trap', 'pin'] as const).map((kind, at) => {
    const item = new Uint8Array(KEY_BYTES - ORIGIN_BYTES)
    item[item.length - 1] = at
    return [kind, item]
  }),
) as Record<'origin' | 'pending' | 'trap' | 'pin', Uint8Array>

export function rowKey(kind: Kind, origin: OriginKey, item: ItemKey | null): Uint8Array {
  return itemKey(origin, kind === 'tuple' || kind === 'domain' ? (item ?? LOWEST) : OWN_ITEM[kind])
}

function itemKey(origin: OriginKey, item: ItemKey): Uint8Array {
  const key = new Uint8Array(KEY_BYTES)
  key.set(origin.subarray(0, ORIGIN_BYTES))
  key.set(item.subarray(0, KEY_BYTES - ORIGIN_BYTES), ORIGIN_BYTES)
  return key
}

function readKey(kind: Kind, key: unknown): Pick<Entry, 'kind' | 'origin' | 'item'> | null {
  if (!(key instanceof Uint8Array) || key.length !== KEY_BYTES) return null
  const item = kind === 'tuple' || kind === 'domain' ? key.slice(ORIGIN_BYTES) : null
  return { kind, origin: key.slice(0, ORIGIN_BYTES), item }
}
