/**
 * Tells when an author has saved something.
 *
 * Folders are watched, not files: editors write beside a file and rename, and a file that comes back is another one. Several events of one
 * save are one change. What tools write (hidden files, backups, what was built) is none. That a plugin reads in a folder elsewhere is known only when
 * a round has read there: what was saved in it meanwhile is found by its times. Called by `dev.ts`.
 */
import { type FSWatcher, readdirSync, statSync, watch } from 'node:fs'
import { dirname, join } from 'node:path'

/** Milliseconds of quiet after which a save is over, and the longest that quiet is waited for. */
const QUIET = 100
const PATIENCE = 1_000

/** What plugins are written in, and what they and their tests read. */
const WORTH = /\.(?:[cm]?[jt]s|json|scenario|zone|eml|txt|ya?ml)$/
const NOT_OURS = /^(?:\.|node_modules$|dist$|coverage$)/

/** Where an author's own files lie, with all below. */
const OURS = ['src', 'test', 'tests']

interface Watched {
  readonly watcher: FSWatcher
  /** Another folder of the same name has another one. */
  readonly identity: string
}

export class ChangeWatcher {
  readonly #folder: string
  #watchers = new Map<string, Watched>()
  readonly #changed = new Set<string>()
  #files: ReadonlySet<string> = new Set()
  #quiet: NodeJS.Timeout | null = null
  #since = 0
  #tell: ((files: readonly string[]) => void) | null = null

  /** `folder`: the author's; it and what is below its `src` and `test` is watched at once. */
  constructor(folder: string) {
    this.#folder = folder
    this.watch([], Number.POSITIVE_INFINITY)
  }

  /**
   * Watches the folders of these files too, wherever they are. Replaced folders are watched anew. `since`: when they were begun to be read, in
   * milliseconds since 1970; what has changed from then on in a folder that was not watched is a change.
   */
  watch(files: readonly string[], since: number): void {
    this.#files = new Set([...this.#files, ...files])
    const before = this.#watchers
    this.#watchers = new Map()
    const folders = new Set([...this.#files].map(file => dirname(file)))
    for (const folder of [this.#folder, ...folders]) this.#add(folder)
    for (const name of OURS) this.#addAll(join(this.#folder, name))
    for (const { watcher } of before.values()) watcher.close()
    for (const [folder, { identity }] of this.#watchers) {
      if (before.get(folder)?.identity === identity) continue
      for (const path of [folder, ...files.filter(file => dirname(file) === folder)])
        if (changedAt(path) >= since) this.#change(path)
    }
  }

  /** Resolves at the next change, or at once when there was one since the last that was told, with the files. */
  async next(): Promise<readonly string[]> {
    return new Promise(resolve => {
      this.#tell = resolve
      if (this.#quiet === null) this.#settle()
    })
  }

  close(): void {
    if (this.#quiet !== null) clearTimeout(this.#quiet)
    for (const { watcher } of this.#watchers.values()) watcher.close()
    this.#watchers.clear()
  }

  #add(folder: string): void {
    const found = statSync(folder, { throwIfNoEntry: false })
    if (!found?.isDirectory() || this.#watchers.has(folder)) return
    const watcher = ifThere(() => watch(folder, (_event, name) => this.#noticed(folder, name)))
    if (watcher === null) return
    // A folder that goes away; what comes in its place is watched after the next round.
    watcher.on('error', () => watcher.close())
    this.#watchers.set(folder, { watcher, identity: `${found.ino} ${found.birthtimeMs}` })
  }

  /** With all below it: each is watched before it is looked into, so that nothing comes between. */
  #addAll(folder: string): void {
    this.#add(folder)
    if (!this.#watchers.has(folder)) return
    for (const entry of ifThere(() => readdirSync(folder, { withFileTypes: true })) ?? [])
      if (entry.isDirectory() && !NOT_OURS.test(entry.name)) this.#addAll(join(folder, entry.name))
  }

  #noticed(folder: string, name: string | null): void {
    const path = name === null ? folder : join(folder, name)
    if (name !== null && !this.#files.has(path) && !isWorth(path, name)) return
    if (name !== null && this.#isOurs(path)) this.#addAll(path)
    this.#change(path)
  }

  /** Below the author's sources or tests. */
  #isOurs(path: string): boolean {
    return OURS.some(name => `${path}/`.startsWith(`${join(this.#folder, name)}/`))
  }

  #change(path: string): void {
    this.#changed.add(path)
    const now = performance.now()
    if (this.#quiet === null) this.#since = now
    else if (now - this.#since > PATIENCE) return
    else clearTimeout(this.#quiet)
    this.#quiet = setTimeout(() => {
      this.#quiet = null
      this.#settle()
    }, QUIET)
  }

  #settle(): void {
    if (this.#changed.size === 0 || this.#tell === null) return
    const files = [...this.#changed]
    this.#changed.clear()
    this.#tell(files)
    this.#tell = null
  }
}

/** A folder may bring what was missing. */
const isWorth = (path: string, name: string): boolean =>
  !NOT_OURS.test(name) && (WORTH.test(name) || (statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false))

/** Also when it was renamed to that name. Milliseconds since 1970; never, where nothing is. */
const changedAt = (path: string): number =>
  statSync(path, { throwIfNoEntry: false })?.ctimeMs ?? Number.NEGATIVE_INFINITY

/** `null` when it has just gone. */
function ifThere<T>(look: () => T): T | null {
  try {
    return look()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
