/**
 * The SQLite file of the embedded store: how it is opened, what is wrong with it, and what is done then.
 *
 * What always holds: a file that is damaged is never deleted and never stops the start: it is set aside with its log under a
 * name of its own, and a fresh one takes its place. The file is readable by its owner alone. The embedded store calls it.
 */
import { closeSync, existsSync, mkdirSync, openSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Problem } from './store.ts'

export const MEMORY = ':memory:'

/** What an `ALTER` of a later release would tell apart. */
const VERSION = 1

/** Longest time SQLite itself may wait for a lock: the whole process stands still meanwhile. Milliseconds. */
const LOCK_WAIT = 10

/** KiB of pages kept: a third of a file at its limit. SQLite's own 2 MB make every other decision read the file. */
const CACHE = 16_384

/** Kinds and times are checked when they are read, whatever the columns say: the file is not only ours. */
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS mark (
    key BLOB PRIMARY KEY, kind INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    count INTEGER NOT NULL, expires INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value ANY) WITHOUT ROWID;
  PRAGMA user_version = ${VERSION};
`

export interface OpenFile {
  readonly db: DatabaseSync
  /** Which file this is, to notice when another process has put a new one in its place; `null` in memory. */
  readonly inode: bigint | null
}

/** Opens the file or makes it. Throws only when no file can be there: no such place, no permission, a newer version. */
export function openFile(path: string, now: number, problem: Problem): OpenFile {
  if (path !== MEMORY) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    // SQLite gives its log and index the mode of the file.
    closeSync(openSync(path, 'a', 0o600))
  }
  try {
    return connect(path)
  } catch (error) {
    if (failureOf(error) !== 'damaged') throw error
    setAside(path, inodeOf(path), now, error, problem)
    return connect(path)
  }
}

function connect(path: string): OpenFile {
  // Whoever closed it last took the log away; a log that is there means a process that was killed, or one that is at work.
  const crashed = existsSync(`${path}-wal`)
  const db = new DatabaseSync(path, { timeout: 5_000 })
  try {
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;')
    const version = Number(Object.values(db.prepare('PRAGMA user_version').get() ?? {})[0])
    if (version > VERSION) throw new Error(`${path} was written by a newer release (format ${version})`)
    if (crashed) check(db)
    if (version < VERSION) db.exec(`BEGIN IMMEDIATE; ${SCHEMA} COMMIT;`)
    db.prepare('SELECT key, kind, first, last, count, expires FROM mark LIMIT 1').get()
    db.exec(`PRAGMA busy_timeout = ${LOCK_WAIT}; PRAGMA cache_size = -${CACHE}`)
    return { db, inode: inodeOf(path) }
  } catch (error) {
    db.close()
    throw error
  }
}

function check(db: DatabaseSync): void {
  const [said] = Object.values(db.prepare('PRAGMA quick_check(1)').get() ?? {})
  if (said !== 'ok') throw new DamagedFile(String(said))
}

/** Found by our own check, where SQLite would have gone on. */
class DamagedFile extends Error {}

/**
 * Moves a damaged file and its log away, unless another process has done so: then the path leads to its new file. The log goes
 * first, because SQLite would play a log it finds into whatever file has the name.
 */
export function setAside(path: string, inode: bigint | null, now: number, error: unknown, problem: Problem): void {
  if (path === MEMORY || inodeOf(path) !== inode) return
  const aside = `${path}.damaged-${new Date(now).toISOString().replace(/[:.]/g, '-')}`
  const said = error instanceof Error ? error.message : String(error)
  if (existsSync(`${path}-wal`)) renameSync(`${path}-wal`, `${aside}-wal`)
  rmSync(`${path}-shm`, { force: true })
  renameSync(path, aside)
  closeSync(openSync(path, 'a', 0o600))
  problem({ path, aside, error: said }, 'the greylist file is damaged: it was set aside, and a new one begun')
}

export function inodeOf(path: string): bigint | null {
  return path === MEMORY ? null : (statSync(path, { bigint: true, throwIfNoEntry: false })?.ino ?? null)
}

/** What a failed call means: try again, begin a new file, or give up. */
export function failureOf(error: unknown): 'busy' | 'damaged' | 'other' {
  if (error instanceof DamagedFile) return 'damaged'
  const code = (error as { errcode?: unknown } | null)?.errcode
  if (typeof code !== 'number') {
    // A file of ours that lacks its tables is as bad as one that cannot be read.
    return 'other'
  }
  const primary = code & 0xff
  if (primary === BUSY || primary === LOCKED) return 'busy'
  if (primary === CORRUPT || primary === NOT_A_DATABASE) return 'damaged'
  // "no such table", "no such column": the name leads to somebody else's database, or to one that lost its schema.
  if (primary === ERROR && /^no such (table|column)/.test(String((error as Error).message))) return 'damaged'
  return 'other'
}

const ERROR = 1
const BUSY = 5
const LOCKED = 6
const CORRUPT = 11
const NOT_A_DATABASE = 26
