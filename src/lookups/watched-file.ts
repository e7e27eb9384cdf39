/**
 * A file held in memory as whatever it means, and read again when it changes.
 *
 * Watches the folder and not the file: Postfix's tools and editors replace files by renaming, after which a watch on the file
 * itself is silent for ever. Where the path is a symbolic link, the folder of its target is watched too. What holds: answers come from a
 * whole file that was read without an error; a file that is gone or cannot be read any more leaves the last good one in use,
 * logged, and told by `check`. Used by every look-up that reads a file.
 */
import { type FSWatcher, watch } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { HostError, hostError } from '../host/errors.ts'
import type { LookupEnvironment } from '../host/policy/lookup.ts'

/** A change comes as several events; a table is often written in several steps. */
const SETTLE = 100
/** After a watch broke, as when the folder was replaced. */
const WATCH_AGAIN = 5_000
/** A file that is always being written is read at most so often in a row. */
const MOST_TRIES = 5

export class WatchedFile<T> {
  readonly path: string
  readonly #read: (path: string) => Promise<T>
  readonly #around: LookupEnvironment
  readonly #watchers: FSWatcher[] = []
  #value: T
  #readAt: number
  #seen: string
  #problem: Error | null = null
  #reading = false
  #again = false
  #closed = false
  #cancel: () => void = () => {}

  /** Rejects with `LOOKUP_FILE` when it cannot be read now. `read` throws an error that says what is wrong, with the line. */
  static async open<T>(
    path: string,
    read: (path: string) => Promise<T>,
    around: LookupEnvironment,
  ): Promise<WatchedFile<T>> {
    const { value, seen } = await readWhole(path, read)
    const file = new WatchedFile(path, read, around, value, seen)
    await file.#watch()
    // It may have changed before the watch began.
    file.#changed()
    return file
  }

  private constructor(
    path: string,
    read: (path: string) => Promise<T>,
    around: LookupEnvironment,
    value: T,
    seen: string,
  ) {
    this.path = path
    this.#read = read
    this.#around = around
    this.#value = value
    this.#seen = seen
    this.#readAt = around.clock.now()
  }

  get value(): T {
    return this.#value
  }

  /** Milliseconds since 1970. */
  get readAt(): number {
    return this.#readAt
  }

  /** Throws why the file as it is now cannot be used, though an older one still is. */
  probe(): void {
    if (this.#problem !== null) throw this.#problem
  }

  close(): void {
    this.#closed = true
    this.#cancel()
    this.#unwatch()
  }

  #unwatch(): void {
    for (const watcher of this.#watchers.splice(0)) watcher.close()
  }

  async #watch(): Promise<void> {
    try {
      const folders = new Set([dirname(this.path), dirname(await realpath(this.path))])
      if (this.#closed) return
      for (const folder of folders) {
        const watcher = watch(folder, { persistent: false }, () => this.#changed())
        watcher.on('error', error => this.#lost(error))
        this.#watchers.push(watcher)
      }
    } catch (error) {
      this.#lost(error as Error)
    }
  }

  /** The watch is gone: begun again a little later, with a look at what was missed. */
  #lost(error: Error): void {
    if (this.#closed) return
    this.#unwatch()
    this.#around.log.warn({ file: this.path, error: error.message }, 'a file cannot be watched now')
    this.#later(WATCH_AGAIN, async () => {
      await this.#watch()
      await this.#refresh()
    })
  }

  #changed(): void {
    if (!this.#closed) this.#later(SETTLE, () => this.#refresh())
  }

  #later(milliseconds: number, run: () => Promise<void>): void {
    this.#cancel()
    this.#cancel = this.#around.clock.after(milliseconds, () => void run())
  }

  /** Never rejects. */
  async #refresh(): Promise<void> {
    if (this.#reading) {
      this.#again = true
      return
    }
    this.#reading = true
    try {
      do {
        this.#again = false
        await this.#readAgain()
      } while (this.#again && !this.#closed)
    } finally {
      this.#reading = false
    }
  }

  async #readAgain(): Promise<void> {
    try {
      if ((await identity(this.path)) === this.#seen && this.#problem === null) return
      const { value, seen } = await readWhole(this.path, this.#read)
      if (this.#closed) return
      this.#value = value
      this.#seen = seen
      this.#readAt = this.#around.clock.now()
      this.#problem = null
      this.#around.log.info({ file: this.path }, 'a changed file was read')
    } catch (thrown) {
      const error = fileError(this.path, thrown)
      if (error.message !== this.#problem?.message) {
        this.#around.log.error(
          { file: this.path, error: error.message },
          'a changed file cannot be used: the old one serves',
        )
      }
      this.#problem = error
    }
  }
}

/** The same before and after the reading, so that no half-written file is taken for a whole one. */
async function readWhole<T>(path: string, read: (path: string) => Promise<T>): Promise<{ value: T; seen: string }> {
  try {
    for (let tries = 1; ; tries++) {
      const before = await identity(path)
      const value = await read(path)
      if ((await identity(path)) === before) return { value, seen: before }
      if (tries === MOST_TRIES) throw new Error('it changes all the time')
    }
  } catch (thrown) {
    throw fileError(path, thrown)
  }
}

async function identity(path: string): Promise<string> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true })
  return `${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`
}

function fileError(path: string, thrown: unknown): HostError {
  if (thrown instanceof HostError) return thrown
  const { code, message } = thrown as NodeJS.ErrnoException
  const words = code === 'ENOENT' ? 'there is no such file' : code === 'EACCES' ? 'permission denied' : message
  return hostError('LOOKUP_FILE', path, words)
}
