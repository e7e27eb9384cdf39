/**
 * A SQLite file in which a plugin keeps what it must not forget: where it lies, how it is opened, what is wrong with it.
 *
 * What always holds: a file that is damaged is never deleted and never stops the start: it is set aside with its log under a
 * name of its own, and a fresh one takes its place, once, however many processes notice. The file is readable by its owner
 * alone. SQLite is synchronous: a lock that another process holds is waited for 10 ms, then the call fails as `busy`. What is kept
 * in it is the plugin's matter.
 */
import { closeSync, existsSync, mkdirSync, openSync, renameSync, rmSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

export interface StateFileOptions {
  /** `:memory:` for one that lasts as long as it is open. */
  readonly path: string
  /** Of the format, 1 or more. A file of a newer one is refused. */
  readonly version: number
  /** Statements that make the tables where there are none. */
  readonly schema: string
  /** A statement that fails when the file is not what it should be. */
  readonly probe: string
  /** Pages kept in memory, KiB. @default SQLite's own 2000 */
  readonly cache?: number
  /** Milliseconds since 1970, for the name of a file that is set aside. */
  now(): number
  /** Told of a file that was set aside; `message` calls it the NAME file. */
  problem(fields: object, message: string): void
  readonly name: string
}

export interface StateFile {
  readonly db: DatabaseSync
  /** Which file this is, to notice when another process has put a new one in its place; `null` in memory. */
  readonly inode: bigint | null
}

const MEMORY = ':memory:'
const OPEN_WAIT = 5_000
/** The whole process stands still while SQLite waits for a lock. Milliseconds. */
const LOCK_WAIT = 10

/**
 * Where a file of that name lies by default: systemd's `StateDirectory=`, else `/var/lib/milterhost` for root and
 * `~/.local/state/milterhost` for others.
 * @param environment `process.env`
 */
export function stateFilePath(name: string, environment: Readonly<Record<string, string | undefined>>): string {
  const { STATE_DIRECTORY, XDG_STATE_HOME } = environment
  if (STATE_DIRECTORY !== undefined && STATE_DIRECTORY !== '') return join(STATE_DIRECTORY.split(':')[0]!, name)
  if (process.getuid?.() === 0) return join('/var/lib/milterhost', name)
  return join(XDG_STATE_HOME ?? join(homedir(), '.local/state'), 'milterhost', name)
}

/** Opens the file or makes it. Throws only when no file can be there: no such place, no permission, a newer version. */
export function openStateFile(options: StateFileOptions): StateFile {
  const { path } = options
  if (path !== MEMORY) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    // SQLite gives its log and index the mode of the file.
    closeSync(openSync(path, 'a', 0o600))
  }
  try {
    return connect(options)
  } catch (error) {
    if (stateFileFailure(error) !== 'damaged') throw error
    setStateFileAside(options, stateFileInode(path), error)
    return connect(options)
  }
}

function connect({ path, version, schema, probe, cache }: StateFileOptions): StateFile {
  // Whoever closed it last took the log away; a log that is there means a process that was killed, or one that is at work.
  const crashed = existsSync(`${path}-wal`)
  const db = new DatabaseSync(path, { timeout: OPEN_WAIT })
  try {
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;')
    const found = Number(Object.values(db.prepare('PRAGMA user_version').get() ?? {})[0])
    if (found > version) throw new Error(`${path} was written by a newer release (format ${found})`)
    if (crashed) check(db)
    if (found < version) db.exec(`BEGIN IMMEDIATE; ${schema} PRAGMA user_version = ${version}; COMMIT;`)
    db.prepare(probe).get()
    db.exec(`PRAGMA busy_timeout = ${LOCK_WAIT};${cache === undefined ? '' : ` PRAGMA cache_size = -${cache}`}`)
    return { db, inode: stateFileInode(path) }
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
 * @param inode of the file that is damaged
 */
export function setStateFileAside(
  { path, name, now, problem }: StateFileOptions,
  inode: bigint | null,
  error: unknown,
): void {
  if (path === MEMORY || stateFileInode(path) !== inode) return
  const aside = `${path}.damaged-${new Date(now()).toISOString().replace(/[:.]/g, '-')}`
  const said = error instanceof Error ? error.message : String(error)
  if (existsSync(`${path}-wal`)) renameSync(`${path}-wal`, `${aside}-wal`)
  rmSync(`${path}-shm`, { force: true })
  renameSync(path, aside)
  closeSync(openSync(path, 'a', 0o600))
  problem({ path, aside, error: said }, `the ${name} file is damaged: it was set aside, and a new one begun`)
}

/** `null` in memory, and where there is no file. */
export const stateFileInode = (path: string): bigint | null =>
  path === MEMORY ? null : (statSync(path, { bigint: true, throwIfNoEntry: false })?.ino ?? null)

/** What a failed call means: try again, begin a new file, or give up. */
export function stateFileFailure(error: unknown): 'busy' | 'damaged' | 'other' {
  if (error instanceof DamagedFile) return 'damaged'
  const code = (error as { errcode?: unknown } | null)?.errcode
  if (typeof code !== 'number') return 'other'
  const primary = code & 0xff
  if (primary === BUSY || primary === LOCKED) return 'busy'
  if (primary === CORRUPT || primary === NOT_A_DATABASE) return 'damaged'
  // The name leads to somebody else's database, or to one that lost its tables.
  const foreign = /^(?:no such (?:table|column)|there is already an? )/.test(String((error as Error).message))
  return primary === ERROR && foreign ? 'damaged' : 'other'
}

const ERROR = 1
const BUSY = 5
const LOCKED = 6
const CORRUPT = 11
const NOT_A_DATABASE = 26
