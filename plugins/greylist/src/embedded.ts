/**
 * The embedded store: one SQLite file that several processes may use.
 *
 * What always holds: a decision is a single transaction that reads, decides and writes, and takes no lock when it
 * changes nothing; of two processes on one key exactly one is first; what was answered is in the file's log before the answer
 * is given, so that a process may be killed at any moment. A file that turns out to be damaged is set aside and the
 * decision made on a new one. SQLite is synchronous: each step is short, a lock is awaited for a few milliseconds
 * and otherwise asynchronously, and clearing away happens 500 rows at a time. The engine calls it through the guard.
 */
import { randomBytes } from 'node:crypto'
import { existsSync, statSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import {
  openStateFile,
  type StateFileOptions,
  setStateFileAside,
  stateFileFailure,
  stateFileInode,
} from 'milterhost/plugin'
import { type Changes, credit, decide, mergeMarks, note } from './decide.ts'
import { fileOptions, MEMORY } from './embedded-file.ts'
import { Marks, type QuestionKeys, rowKey } from './embedded-marks.ts'
import { Room } from './embedded-room.ts'
import {
  type Decision,
  type Entry,
  type ItemKey,
  KINDS,
  type Kind,
  type OriginKey,
  type Problem,
  type Question,
  type Seen,
  type Stats,
  type Store,
} from './store.ts'

export interface EmbeddedOptions {
  /** Of the file; `:memory:` for none. */
  readonly path: string
  /** Most entries; above it the longest unused pending one makes room. @default 1_000_000 */
  readonly capacity?: number
  /** Milliseconds between two steps of clearing away, 0 for none. @default 1000 */
  readonly sweepEvery?: number
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly problem: Problem
}

/** Rows a step of clearing away, reading out or merging looks at. */
const BATCH = 500

/** Milliseconds a call may wait for another process' lock. */
const PATIENCE = 250

export class EmbeddedStore implements Store {
  readonly name: string = 'embedded'
  readonly #options: EmbeddedOptions
  readonly #capacity: number
  readonly #timer: ReturnType<typeof setInterval> | null
  readonly #file: StateFileOptions
  #db: DatabaseSync
  #inode: bigint | null
  #marks: Marks
  #room: Room
  #swept: Uint8Array = new Uint8Array()
  #closed = false

  /** Opens the file. Throws when there can be none. */
  constructor(options: EmbeddedOptions) {
    const { path, capacity = 1_000_000, sweepEvery = 1_000, now, problem } = options
    this.#options = options
    this.#capacity = capacity
    this.#file = fileOptions(path, now, problem)
    const { db, inode } = openStateFile(this.#file)
    this.#db = db
    this.#inode = inode
    this.#marks = new Marks(db, problem)
    this.#room = new Room(this.#marks, capacity)
    this.#timer = sweepEvery > 0 ? setInterval(() => void this.#sweepQuietly(), sweepEvery).unref() : null
  }

  async secret(): Promise<Uint8Array> {
    const read = (): Uint8Array | null => {
      const value = this.#marks.fact('secret')
      return value instanceof Uint8Array && value.length === 32 ? value : null
    }
    const known = await this.#run(read)
    if (known !== null) return known
    return this.#write(() => {
      const before = read()
      if (before !== null) return before
      const made = randomBytes(32)
      this.#db.prepare("INSERT OR REPLACE INTO fact VALUES ('secret', ?)").run(made)
      return made
    })
  }

  /** The secret of the store that this one stands in for, for the time when only this one can be asked. */
  async adoptSecret(secret: Uint8Array): Promise<void> {
    await this.#write(() => this.#db.prepare("INSERT OR REPLACE INTO fact VALUES ('secret', ?)").run(secret))
  }

  async check(question: Question, signal?: AbortSignal): Promise<Decision> {
    const { policy, now } = question
    const keys = keysOf(question)
    return this.#write(() => {
      const seen = this.#marks.see(keys)
      const { decision, changes } = decide(seen, policy, now)
      if (!this.#apply(changes, keys, seen.rows, now))
        return { state: 'full' as const, mark: null, wait: policy.wait, now }
      return decision
    }, signal)
  }

  async note(question: Question, signal?: AbortSignal): Promise<void> {
    await this.#change(question, note, signal)
  }

  async credit(question: Question, signal?: AbortSignal): Promise<void> {
    await this.#change(question, credit, signal)
  }

  look(question: Pick<Question, 'origin' | 'domain' | 'tuples' | 'now'>, signal?: AbortSignal): Promise<Seen> {
    return this.#run(() => {
      const { rows: _, ...seen } = this.#marks.see(keysOf(question))
      return seen
    }, signal)
  }

  async pass(origin: OriginKey, now: number, expires: number): Promise<void> {
    await this.#write(() => {
      this.#marks.delete('trap', rowKey('trap', origin, null))
      this.#set('pin', origin, now, expires)
    })
  }

  async trap(origin: OriginKey, now: number, expires: number): Promise<void> {
    await this.#write(() => {
      this.#clear(origin)
      this.#set('trap', origin, now, expires)
    })
  }

  forget(origin: OriginKey, domain?: ItemKey): Promise<number> {
    return this.#write(() =>
      domain === undefined
        ? this.#clear(origin)
        : Number(this.#marks.delete('domain', rowKey('domain', origin, domain))),
    )
  }

  async *entries(now: number): AsyncGenerator<Entry> {
    let after: Uint8Array = new Uint8Array()
    for (;;) {
      const rows = await this.#run(() => this.#marks.after(after, BATCH))
      for (const { entry } of rows) if (entry !== null && entry.expires > now) yield entry
      if (rows.length < BATCH) return
      after = rows.at(-1)!.key
      await turn()
    }
  }

  merge(entries: readonly Entry[], now: number): Promise<number> {
    const alive = entries.filter(({ expires }) => expires > now)
    return this.#write(() => {
      let taken = 0
      for (const { kind, origin, item, ...mark } of alive) {
        const key = rowKey(kind, origin, item)
        const before = this.#marks.find(kind, key)
        if (!before.there && !this.#room.make(1, kind, now)) continue
        const alive = before.mark !== null && before.mark.expires > now ? before.mark : null
        this.#marks.put(kind, key, alive === null ? mark : mergeMarks(alive, mark), before.there)
        taken++
      }
      return taken
    })
  }

  /** Takes away marks that are still exactly as given: those that another store has taken over. How many. */
  remove(entries: readonly Entry[]): Promise<number> {
    return this.#write(() => {
      let removed = 0
      for (const { kind, origin, item, first, last, count, expires } of entries) {
        const key = rowKey(kind, origin, item)
        const { mark } = this.#marks.find(kind, key)
        if (mark === null) continue
        if (mark.first !== first || mark.last !== last || mark.count !== count || mark.expires !== expires) continue
        this.#marks.delete(kind, key)
        removed++
      }
      return removed
    })
  }

  stats(): Promise<Stats> {
    const { path } = this.#options
    return this.#run(() => {
      const rows = this.#db.prepare("SELECT name FROM fact WHERE name LIKE 'count:%'").all()
      const counters = new Map(
        rows.map(({ name }) => [String(name).slice('count:'.length), this.#marks.number(String(name))]),
      )
      const bytes = [path, `${path}-wal`].reduce((sum, file) => sum + (existsSync(file) ? statSync(file).size : 0), 0)
      return {
        entries: this.#marks.counted(),
        bytes: path === MEMORY ? null : bytes,
        capacity: this.#capacity,
        place: path,
        counters,
      }
    })
  }

  async count(amounts: ReadonlyMap<string, number>): Promise<void> {
    if (amounts.size === 0) return
    await this.#write(() => {
      for (const [name, amount] of amounts) this.#marks.add(`count:${name}`, amount)
    })
  }

  /** Takes the write lock for a moment, so that a full disk or lost rights are noticed. */
  async probe(signal?: AbortSignal): Promise<void> {
    await this.#write(() => this.#marks.add('probe', 0), signal)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#db.close()
  }

  /** One step of clearing away what has expired: looks at 500 rows. How many went. */
  async sweep(): Promise<number> {
    const now = this.#options.now()
    await this.#follow()
    const rows = await this.#run(() => this.#marks.after(this.#swept, BATCH))
    this.#swept = rows.length < BATCH ? new Uint8Array() : rows.at(-1)!.key
    const over = rows.filter(({ kind, entry }) => kind !== null && (entry === null || entry.expires <= now))
    if (over.length === 0) return 0
    return this.#write(() => {
      let gone = 0
      let unretried = 0
      for (const { key, kind } of over) {
        // Somebody may have renewed it since.
        const { mark } = this.#marks.find(kind!, key)
        if (mark !== null && mark.expires > now) continue
        if (!this.#marks.delete(kind!, key)) continue
        gone++
        if (kind === 'tuple' && mark !== null && mark.last === mark.first) unretried++
      }
      if (unretried > 0) this.#marks.add('count:never-retried', unretried)
      return gone
    })
  }

  async #sweepQuietly(): Promise<void> {
    try {
      await this.sweep()
    } catch (error) {
      // Closed meanwhile, or a file that the next decision will speak of too: clearing away can wait.
      if (!this.#closed)
        this.#options.problem({ error: String(error) }, 'clearing away expired greylist entries failed, later again')
    }
  }

  async #change(
    question: Question,
    how: (seen: Seen, policy: Question['policy'], now: number) => Changes,
    signal?: AbortSignal,
  ): Promise<void> {
    const { policy, now } = question
    const keys = keysOf(question)
    await this.#write(() => {
      const seen = this.#marks.see(keys)
      this.#apply(how(seen, policy, now), keys, seen.rows, now)
    }, signal)
  }

  /** False when there was no room for any of the new tuples; then nothing was changed. */
  #apply({ tuples, ...own }: Changes, keys: QuestionKeys, rows: ReadonlySet<Uint8Array>, now: number): boolean {
    const added = [...tuples].filter(([at, mark]) => mark !== null && !rows.has(keys.tuples[at]!)).length
    if (added > 0 && !this.#room.make(added + 1, 'tuple', now)) return false
    for (const [at, mark] of tuples) {
      const key = keys.tuples[at]!
      if (mark === null) this.#marks.delete('tuple', key)
      else this.#marks.put('tuple', key, mark, rows.has(key))
    }
    for (const kind of ['origin', 'domain', 'pending'] as const) {
      const mark = own[kind]
      if (mark === undefined) continue
      const key = keys[kind]
      const there = rows.has(key)
      // What was learned is kept even where there is hardly room: it is what the store is for.
      if (!there && mark !== null) this.#room.make(1, kind, now)
      if (mark === null) this.#marks.delete(kind, key)
      else this.#marks.put(kind, key, mark, there)
    }
    return true
  }

  #set(kind: Kind, origin: OriginKey, now: number, expires: number): void {
    const key = rowKey(kind, origin, null)
    const { there, mark } = this.#marks.find(kind, key)
    this.#marks.put(
      kind,
      key,
      { first: mark !== null && mark.expires > now ? mark.first : now, last: now, count: 0, expires },
      there,
    )
  }

  /** All rows of an origin. */
  #clear(origin: OriginKey): number {
    let gone = 0
    for (;;) {
      const rows = this.#marks.ofOrigin(origin, BATCH)
      for (const { key, kind } of rows) gone += Number(this.#marks.delete(kind ?? KINDS[0], key))
      if (rows.length < BATCH) return gone
    }
  }

  /**
   * One transaction. It takes the lock only when it comes to write; when another process has written since it began to read,
   * it begins again, with the lock.
   */
  #write<T>(op: () => T, signal?: AbortSignal): Promise<T> {
    let begin = 'BEGIN'
    return this.#run(() => {
      this.#db.exec(begin)
      begin = 'BEGIN IMMEDIATE'
      try {
        const value = op()
        this.#db.exec('COMMIT')
        return value
      } catch (error) {
        if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
        throw error
      }
    }, signal)
  }

  async #run<T>(op: () => T, signal?: AbortSignal): Promise<T> {
    const deadline = performance.now() + PATIENCE
    for (let tries = 0, replaced = false; ; tries++) {
      signal?.throwIfAborted()
      if (this.#closed) throw new Error('the greylist file is closed')
      try {
        // An earlier attempt to begin a new file may have failed: on a full disk, or without the folder.
        if (!this.#db.isOpen) this.#open()
        return op()
      } catch (error) {
        const failure = stateFileFailure(error)
        if (failure === 'damaged' && !replaced) {
          replaced = true
          this.#replace(error)
        } else if (failure === 'busy' && performance.now() < deadline) {
          if (tries > 0) await sleep(5 + Math.random() * 15)
        } else throw error
      }
    }
  }

  /** Another process may have set a damaged file aside: what is written into the old one would be lost. */
  async #follow(): Promise<void> {
    const inode = stateFileInode(this.#options.path)
    if (this.#closed || inode === this.#inode) return
    this.#options.problem(
      { path: this.#options.path },
      'the greylist file was replaced: the new one is used from now on',
    )
    this.#open()
  }

  #replace(error: unknown): void {
    this.#db.close()
    setStateFileAside(this.#file, this.#inode, error)
    this.#open()
  }

  #open(): void {
    if (this.#db.isOpen) this.#db.close()
    const { db, inode } = openStateFile(this.#file)
    this.#db = db
    this.#inode = inode
    this.#marks = new Marks(db, this.#options.problem)
    this.#room = new Room(this.#marks, this.#capacity)
    this.#swept = new Uint8Array()
  }
}

function keysOf({ origin, domain, tuples }: Pick<Question, 'origin' | 'domain' | 'tuples'>): QuestionKeys {
  return {
    pin: rowKey('pin', origin, null),
    trap: rowKey('trap', origin, null),
    origin: rowKey('origin', origin, null),
    pending: rowKey('pending', origin, null),
    domain: rowKey('domain', origin, domain),
    tuples: tuples.map(item => rowKey('tuple', origin, item)),
  }
}
