/**
 * Watches the folders that detection read, and looks again when something in them changed.
 *
 * Events only wake it: what counts is whether the next look differs from the last one. What holds: a burst of events, as of a package being
 * installed, is one look, when it has been quiet for a moment and at the latest after some seconds; a folder that is missing is waited for in the nearest
 * one that is there; the number of watches is bounded; a watch that breaks is begun again. Owned by the daemon's command.
 */
import { type FSWatcher, watch } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import type { Logger } from '../../host/observe/logger.ts'
import type { Clock } from '../../host/time/clock.ts'
import { type Change, changes } from './changes.ts'
import { type Detection, detect, type FoundMilter } from './detect.ts'

/** Milliseconds without an event before a look. */
const SETTLE = 500
/** A look is not put off longer than this. */
const LATEST = 5_000
/** After a watch broke. */
const WATCH_AGAIN = 5_000
const MOST_WATCHES = 512
/** A look may show further folders, which show further ones. */
const MOST_ROUNDS = 8

export interface DetectWatchOptions {
  readonly root: string
  /** A look from before the configuration in use was read. */
  readonly before: Detection
  readonly clock: Clock
  readonly log: Logger
  /** Whether anybody wants to know now. */
  wanted(): boolean
  /** Whether that is milterhost itself, which the MTA names like any other milter. @default none is */
  own?(milter: FoundMilter): boolean
  /** The milters of this machine changed. */
  changed(list: readonly Change[]): void
}

interface Watched {
  readonly watcher: FSWatcher
  readonly inode: number
  /** `null`: every event counts; else only those of the names that are waited for. */
  names: ReadonlySet<string> | null
}

export class DetectWatch {
  readonly #options: DetectWatchOptions
  /** By folder that is there. */
  readonly #watches = new Map<string, Watched>()
  /** Folders that cannot be watched now, which was said. */
  readonly #unwatched = new Set<string>()
  #last: Detection
  #since: number | null = null
  #closed = false
  #cancel: () => void = () => {}
  #work: Promise<void> = Promise.resolve()

  constructor(options: DetectWatchOptions) {
    this.#options = options
    this.#last = options.before
  }

  /** Begins to watch, and looks whether anything changed since `before`. */
  begin(): Promise<void> {
    this.#work = this.#again()
    return this.#work
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#cancel()
    await this.#work
    for (const { watcher } of this.#watches.values()) watcher.close()
    this.#watches.clear()
  }

  #woken(): void {
    if (this.#closed) return
    const now = this.#options.clock.monotonic()
    this.#since ??= now
    this.#later(Math.max(0, Math.min(SETTLE, this.#since + LATEST - now)))
  }

  #later(milliseconds: number): void {
    this.#cancel()
    this.#cancel = this.#options.clock.after(milliseconds, () => {
      this.#since = null
      this.#work = this.#work.then(() => this.#again())
    })
  }

  async #again(): Promise<void> {
    for (let round = 0; round < MOST_ROUNDS && !this.#closed; round++) {
      const fresh = await this.#arm()
      this.#look()
      // What came into a folder before it was watched was seen by the look behind.
      if (!fresh) return
    }
  }

  #look(): void {
    const { root, changed, wanted, own = () => false } = this.#options
    if (!wanted()) return
    const next = detect(root)
    const others = ({ milters }: Detection): FoundMilter[] => milters.filter(milter => !own(milter))
    const list = changes(others(this.#last), others(next))
    this.#last = next
    if (list.length > 0) changed(list)
  }

  /** Watches what the last look read, and no longer what it did not. Resolves to whether it watches more than before. */
  async #arm(): Promise<boolean> {
    const wanted = new Map<string, { names: Set<string> | null; inode: number }>()
    for (const folder of this.#last.folders) {
      const { path, awaited, inode } = await nearest(folder)
      const held = wanted.get(path) ?? { names: new Set(), inode }
      wanted.set(path, held)
      if (awaited === null) held.names = null
      else held.names?.add(awaited)
    }
    if (this.#closed) return false
    let fresh = false
    for (const [path, { watcher, inode }] of this.#watches) {
      // A folder that was made anew is another one: the watch is on the old.
      if (wanted.get(path)?.inode === inode) continue
      watcher.close()
      this.#watches.delete(path)
    }
    for (const [path, { names, inode }] of [...wanted].slice(0, MOST_WATCHES)) {
      const held = this.#watches.get(path)
      if (held === undefined) {
        if (this.#watch(path, names, inode)) fresh = true
        continue
      }
      fresh ||= held.names !== null && (names === null || ![...names].every(name => held.names?.has(name)))
      held.names = names
    }
    return fresh
  }

  #watch(path: string, names: ReadonlySet<string> | null, inode: number): boolean {
    try {
      const watcher = watch(path, { persistent: false }, (_, name) => {
        const waited = this.#watches.get(path)?.names ?? null
        if (waited === null || name === null || waited.has(name)) this.#woken()
      })
      this.#watches.set(path, { watcher, names, inode })
      this.#unwatched.delete(path)
      watcher.on('error', error => this.#lost(path, error))
      return true
    } catch (error) {
      this.#lost(path, error as NodeJS.ErrnoException)
      return false
    }
  }

  /** Said once. What may not be read is tried again with the next look: its rights change with an event in the folder above. */
  #lost(path: string, error: NodeJS.ErrnoException): void {
    if (this.#closed) return
    this.#watches.get(path)?.watcher.close()
    this.#watches.delete(path)
    const { log, wanted } = this.#options
    if (wanted() && !this.#unwatched.has(path)) {
      this.#unwatched.add(path)
      log.warn({ folder: path, error: error.message }, 'a folder with settings of milters cannot be watched now')
    }
    if (error.code !== 'EACCES') this.#later(WATCH_AGAIN)
  }
}

/** The folder itself, or the nearest above it that is there and what has to appear in it. */
async function nearest(folder: string): Promise<{ path: string; awaited: string | null; inode: number }> {
  let awaited: string | null = null
  for (let path = folder; ; path = dirname(path)) {
    const found = await stat(path).catch(() => null)
    if (found?.isDirectory() || path === dirname(path)) return { path, awaited, inode: found?.ino ?? 0 }
    awaited = basename(path)
  }
}
