/**
 * The SQLite file of what is remembered: where it lies, how it is opened, and what is done when it is damaged.
 *
 * What always holds: a damaged file is set aside under a name of its own, never deleted, and a fresh one takes its place; the file
 * is readable by its owner alone. The store calls it.
 */
import { closeSync, existsSync, mkdirSync, openSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

export type Problem = (fields: object, message: string) => void

export const MEMORY = ':memory:'

/** Longest time SQLite itself may wait for another process' lock: the whole process stands still meanwhile. Milliseconds. */
const LOCK_WAIT = 10

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS mark (
    key BLOB PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL, count INTEGER NOT NULL, expires INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS mark_expires ON mark (expires);
  CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value ANY) WITHOUT ROWID;
`

/** systemd's `StateDirectory=`, else the place the system or the user keeps such things. */
export function defaultPath({ STATE_DIRECTORY, XDG_STATE_HOME }: Readonly<Record<string, string | undefined>>): string {
  const folder =
    STATE_DIRECTORY !== undefined && STATE_DIRECTORY !== ''
      ? STATE_DIRECTORY.split(':')[0]!
      : process.getuid?.() === 0
        ? '/var/lib/milterhost'
        : join(XDG_STATE_HOME ?? join(homedir(), '.local/state'), 'milterhost')
  return join(folder, 'tarpit.sqlite')
}

/** Opens the file or makes it. Throws only when no file can be there: no such place, no permission. */
export function openFile(path: string, now: number, problem: Problem): DatabaseSync {
  if (path !== MEMORY) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    // SQLite gives its log and index the mode of the file.
    closeSync(openSync(path, 'a', 0o600))
  }
  try {
    return connect(path)
  } catch (error) {
    if (!isDamage(error)) throw error
    setAside(path, now, error, problem)
    return connect(path)
  }
}

function connect(path: string): DatabaseSync {
  const db = new DatabaseSync(path, { timeout: 5_000 })
  try {
    db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; ${SCHEMA} PRAGMA busy_timeout = ${LOCK_WAIT}`)
    db.prepare('SELECT key, first, last, count, expires FROM mark LIMIT 1').get()
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

/** The log goes first, because SQLite would play a log it finds into whatever file has the name. */
export function setAside(path: string, now: number, error: unknown, problem: Problem): void {
  if (path === MEMORY) return
  const aside = `${path}.damaged-${new Date(now).toISOString().replace(/[:.]/g, '-')}`
  if (existsSync(`${path}-wal`)) renameSync(`${path}-wal`, `${aside}-wal`)
  rmSync(`${path}-shm`, { force: true })
  if (existsSync(path)) renameSync(path, aside)
  closeSync(openSync(path, 'a', 0o600))
  problem({ path, aside, error: String(error) }, 'the tarpit file is damaged: it was set aside, and a new one begun')
}

const ERROR = 1
const CORRUPT = 11
const NOT_A_DATABASE = 26

/** A file of ours that lacks its tables is as bad as one that cannot be read. */
export function isDamage(error: unknown): boolean {
  const code = Number((error as { errcode?: unknown } | null)?.errcode) & 0xff
  if (code === CORRUPT || code === NOT_A_DATABASE) return true
  return code === ERROR && /no such (table|column)|already an? /.test(String((error as Error).message))
}
