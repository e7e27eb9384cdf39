/**
 * Files that are read again when they have changed: keys and tables.
 *
 * A change is seen when the file is next asked for, at most a second later. What cannot be read any more keeps serving as
 * it was and is told once for each change: a half-written key must not stop signing. The first reading throws.
 */
import { readFileSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Logger } from 'milterhost/plugin'

const LOOK_AGAIN = 1000

interface Held<T> {
  readonly stamp: string
  readonly value: T
  readonly looked: number
}

export interface FileReaderOptions {
  readonly log: Logger
  now(): number
}

export class FileReader<T> {
  readonly #parse: (text: string, path: string) => T
  readonly #secret: boolean
  readonly #options: FileReaderOptions
  readonly #held = new Map<string, Held<T>>()

  /** `secret`: nobody else may read the file. */
  constructor(options: FileReaderOptions & { readonly secret: boolean }, parse: (text: string, path: string) => T) {
    this.#options = options
    this.#secret = options.secret
    this.#parse = parse
  }

  get(path: string): T {
    const now = this.#options.now()
    const held = this.#held.get(path)
    if (held !== undefined && Math.abs(now - held.looked) < LOOK_AGAIN) return held.value
    let stamp = 'unreadable'
    try {
      const { mtimeMs, size, ino, mode } = statSync(path)
      stamp = `${mtimeMs} ${size} ${ino} ${mode}`
      if (held?.stamp === stamp) {
        this.#held.set(path, { ...held, looked: now })
        return held.value
      }
      if (this.#secret) checkSecret(path)
      const value = this.#parse(readFileSync(path, 'latin1'), path)
      this.#held.set(path, { stamp, value, looked: now })
      return value
    } catch (error) {
      const what = error instanceof Error ? error.message : String(error)
      if (held === undefined) throw new Error(`${path}: ${what}`)
      if (held.stamp !== stamp)
        this.#options.log.error(
          { file: path, error: what },
          'a changed file cannot be used; what it was before still is',
        )
      this.#held.set(path, { ...held, stamp, looked: now })
      return held.value
    }
  }
}

/** Throws when others may read or replace the file: whoever has the key signs in our name. */
export function checkSecret(path: string): void {
  const { mode, uid } = statSync(path)
  const own = process.getuid?.() ?? uid
  if ((mode & 0o007) !== 0 || (mode & 0o020) !== 0)
    throw new Error(`others may read or write this key (mode ${(mode & 0o777).toString(8)}): chmod 600 it`)
  if (uid !== own && uid !== 0) throw new Error('this key belongs to another user')
  const folder = statSync(dirname(path)).mode
  if ((folder & 0o002) !== 0 && (folder & 0o1000) === 0)
    throw new Error('anybody may replace this key: its folder is writable by all')
}
