/**
 * What the tarpit remembers: clients that left while they waited, clients that waited, and, where no greylist runs, attempts that
 * were put off.
 *
 * What always holds: no call throws. What cannot be read, a failing file, nonsense in it, counts as not known and is logged, at most
 * once a minute; a damaged file is set aside and a new one begun. Keys are keyed hashes: the file holds no addresses. SQLite
 * is synchronous, and each call here is one short statement or two. Time is passed in.
 */
import { createHmac, randomBytes } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'
import { openStateFile, type StateFileOptions, setStateFileAside, stateFileFailure } from 'milterhost/plugin'
import { fileOptions, type Problem } from './file.ts'

/** Times in milliseconds since 1970. */
export interface Mark {
  readonly first: number
  readonly last: number
  readonly count: number
  readonly expires: number
}

export type Kind = 'failed' | 'passed' | 'grey'

export interface StoreOptions {
  readonly path: string
  readonly capacity: number
  readonly now: () => number
  readonly problem: Problem
}

/** Changes between two looks at what has expired and how much there is. */
const SWEEP_EVERY = 256
const SWEPT_AT_ONCE = 1_000
const TELL_EVERY = 60_000

export class Store {
  readonly #options: StoreOptions
  readonly #file: StateFileOptions
  #db: DatabaseSync
  #inode: bigint | null
  #secret: Uint8Array
  #changes = 0
  #told = Number.NEGATIVE_INFINITY
  #unsaid = 0

  /** Opens the file. Throws when there can be none. */
  constructor(options: StoreOptions) {
    this.#options = options
    const { path, now, problem } = options
    this.#file = fileOptions(path, now, problem)
    const { db, inode } = openStateFile(this.#file)
    this.#db = db
    this.#inode = inode
    this.#secret = this.#ownSecret()
  }

  get(kind: Kind, ...parts: string[]): Mark | null {
    const key = this.#key(kind, parts)
    return this.#try('read', null, () => {
      const row = this.#db.prepare('SELECT first, last, count, expires FROM mark WHERE key = ?').get(key)
      const mark = row === undefined ? null : readMark(row)
      if (mark !== null && mark.expires <= this.#options.now()) return null
      if (row !== undefined && mark === null) this.#tell(new Error('an entry is nonsense'), 'read')
      return mark
    })
  }

  put(kind: Kind, mark: Mark, ...parts: string[]): void {
    const key = this.#key(kind, parts)
    const { first, last, count, expires } = mark
    this.#try('write', undefined, () => {
      this.#db
        .prepare('INSERT OR REPLACE INTO mark (key, first, last, count, expires) VALUES (?, ?, ?, ?, ?)')
        .run(key, first, last, count, expires)
    })
    if (++this.#changes % SWEEP_EVERY === 0) this.#sweep()
  }

  remove(kind: Kind, ...parts: string[]): void {
    const key = this.#key(kind, parts)
    this.#try('write', undefined, () => void this.#db.prepare('DELETE FROM mark WHERE key = ?').run(key))
  }

  /** A text kept under a name; `null` when there is none. */
  note(name: string): string | null {
    return this.#try('read', null, () => {
      const row = this.#db.prepare('SELECT value FROM fact WHERE name = ?').get(name)
      return typeof row?.value === 'string' ? row.value : null
    })
  }

  keep(name: string, text: string): void {
    this.#try('write', undefined, () => {
      this.#db.prepare('INSERT OR REPLACE INTO fact (name, value) VALUES (?, ?)').run(name, text)
    })
  }

  /** Throws when it cannot be read and written now. */
  probe(): void {
    this.#db.exec('BEGIN IMMEDIATE; ROLLBACK')
  }

  close(): void {
    if (this.#db.isOpen) this.#db.close()
  }

  #sweep(): void {
    const { capacity, now } = this.#options
    this.#try('write', undefined, () => {
      this.#db
        .prepare('DELETE FROM mark WHERE key IN (SELECT key FROM mark WHERE expires <= ? LIMIT ?)')
        .run(now(), SWEPT_AT_ONCE)
      const count = Number(this.#db.prepare('SELECT count(*) AS n FROM mark').get()?.n)
      if (count <= capacity) return
      this.#db
        .prepare('DELETE FROM mark WHERE key IN (SELECT key FROM mark ORDER BY expires LIMIT ?)')
        .run(count - capacity)
    })
  }

  #key(kind: Kind, parts: readonly string[]): Uint8Array {
    const mac = createHmac('sha256', this.#secret).update(kind)
    for (const part of parts) mac.update(`\0${part}`)
    return mac.digest().subarray(0, 16)
  }

  #ownSecret(): Uint8Array {
    const read = (): Uint8Array | null => {
      const value = this.#db.prepare("SELECT value FROM fact WHERE name = 'secret'").get()?.value
      return value instanceof Uint8Array && value.length === 32 ? value : null
    }
    const made = randomBytes(32)
    return this.#try('write', made, () => {
      const known = read()
      if (known !== null) return known
      // Two processes may begin the file together: the first secret stays.
      this.#db
        .prepare("DELETE FROM fact WHERE name = 'secret' AND (typeof(value) <> 'blob' OR length(value) <> 32)")
        .run()
      this.#db.prepare("INSERT OR IGNORE INTO fact (name, value) VALUES ('secret', ?)").run(made)
      return read() ?? made
    })
  }

  #try<T>(what: 'read' | 'write', otherwise: T, run: () => T): T {
    try {
      return run()
    } catch (error) {
      if (stateFileFailure(error) !== 'damaged') {
        this.#tell(error, what)
        return otherwise
      }
      return this.#anew(error, otherwise, run)
    }
  }

  #anew<T>(error: unknown, otherwise: T, run: () => T): T {
    const { now } = this.#options
    try {
      this.#db.close()
      setStateFileAside(this.#file, this.#inode, error)
      const { db, inode } = openStateFile(this.#file)
      this.#db = db
      this.#inode = inode
      this.keep('begun', new Date(now()).toISOString())
      this.#db.prepare("INSERT OR IGNORE INTO fact (name, value) VALUES ('secret', ?)").run(this.#secret)
      return run()
    } catch (again) {
      this.#tell(again, 'write')
      return otherwise
    }
  }

  #tell(error: unknown, what: string): void {
    const now = this.#options.now()
    this.#unsaid++
    if (now >= this.#told && now - this.#told < TELL_EVERY) return
    this.#options.problem(
      { error: error instanceof Error ? error.message : String(error), failures: this.#unsaid },
      `the tarpit's file could not be ${what === 'read' ? 'read' : 'written'}: clients count as not known`,
    )
    this.#told = now
    this.#unsaid = 0
  }
}

/** `null` for what cannot have been written here. */
function readMark(row: Readonly<Record<string, unknown>>): Mark | null {
  const { first, last, count, expires } = row
  const times = [first, last, count, expires]
  if (!times.every(value => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0)) return null
  return { first, last, count, expires } as Mark
}
