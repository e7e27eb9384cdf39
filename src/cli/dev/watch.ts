/**
 * Tells when an author has saved something.
 *
 * Folders are watched, not files: editors write beside a file and rename, and a file that comes back is another one. Several events of one
 * save are one change. What tools write (hidden files, backups, what was built) is none. Called by `dev.ts`.
 */
import { type FSWatcher, readdirSync, statSync, watch } from 'node:fs'
import { dirname, join } from 'node:path'

/** Milliseconds of quiet after which a save is over, and the longest that quiet is waited for. */
const QUIET = 100
const PATIENCE = 1_000

/** What plugins are written in, and what they and their tests read. */
const WORTH = /\.(?:[cm]?[jt]s|json|scenario|zone|eml|txt|ya?ml)$/
const NOT_OURS = /^(?:\.|node_modules$|dist$|coverage$)/

export class ChangeWatcher {
  readonly #folder: string
  readonly #watchers = new Map<string, FSWatcher>()
  readonly #changed = new Set<string>()
  #files: ReadonlySet<string> = new Set()
  #quiet: NodeJS.Timeout | null = null
  #since = 0
  #tell: ((files: readonly string[]) => void) | null = null

  /** `folder`: the author's; it and what is below its `src` and `test` is watched at once. */
  constructor(folder: string) {
    this.#folder = folder
    this.watch([])
  }

  /** Watches the folders of these files too, wherever they are. Replaced folders are watched anew. */
  watch(files: readonly string[]): void {
    this.#files = new Set([...this.#files, ...files])
    const below = ['src', 'test', 'tests'].flatMap(name => foldersIn(join(this.#folder, name)))
    const wanted = new Set([this.#folder, ...below, ...[...this.#files].map(file => dirname(file))])
    const before = new Map(this.#watchers)
    this.#watchers.clear()
    for (const folder of wanted) {
      if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) continue
      const watcher = watch(folder, (_event, name) => this.#noticed(folder, name))
      // A folder that goes away; what comes in its place is watched after the next round.
      watcher.on('error', () => watcher.close())
      this.#watchers.set(folder, watcher)
    }
    for (const watcher of before.values()) watcher.close()
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
    for (const watcher of this.#watchers.values()) watcher.close()
    this.#watchers.clear()
  }

  #noticed(folder: string, name: string | null): void {
    const path = name === null ? folder : join(folder, name)
    if (name !== null && !this.#files.has(path) && !isWorth(path, name)) return
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

function foldersIn(folder: string): string[] {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return []
  const inside = readdirSync(folder, { withFileTypes: true }).filter(
    entry => entry.isDirectory() && !NOT_OURS.test(entry.name),
  )
  return [folder, ...inside.flatMap(({ name }) => foldersIn(join(folder, name)))]
}
