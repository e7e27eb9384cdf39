/**
 * The file system below a root, read-only, as a program that has changed its root there would see it.
 *
 * Symbolic links are followed inside the root, absolute ones too, so that a mounted image or a tree of fixtures is read
 * like the machine itself and nothing outside is. What holds: only regular files are read, of bounded size; nothing is ever
 * executed or written; what is missing is `null`; what cannot be read is a warning, never a throw. It remembers
 * every folder that mattered, which is what `watch.ts` watches.
 */
import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs'
import { posix } from 'node:path'
import type { DetectWarning, SourceText } from './fact.ts'

/** Configuration of milters is small; what is larger is not one. */
const LARGEST = 1024 * 1024
const MOST_LINKS = 40
const MOST_NAMES = 10_000

export class Tree {
  readonly #root: string
  readonly #texts = new Map<string, SourceText | null>()
  readonly #folders = new Set<string>()
  readonly #warnings = new Map<string, DetectWarning>()

  constructor(root = '/') {
    this.#root = root.length > 1 ? root.replace(/\/+$/, '') : ''
  }

  get warnings(): readonly DetectWarning[] {
    return [...this.#warnings.values()]
  }

  /** Folders on this machine whose entries mattered, there or not. */
  get folders(): readonly string[] {
    return [...this.#folders].map(folder => this.#root + folder).sort()
  }

  warn(file: string, line: number, what: string): void {
    this.#warnings.set(`${file}:${line} ${what}`, { file, line, what })
  }

  /** `null` when it is missing, no regular file, or cannot be read; the last with a warning. */
  read(path: string): SourceText | null {
    const known = this.#texts.get(path)
    if (known !== undefined) return known
    this.#folders.add(posix.dirname(path))
    const text = this.#read(path)
    this.#texts.set(path, text)
    return text
  }

  /** The same of a file whose change is no cause to look again. */
  peek(path: string): string | null {
    return this.#read(path)?.text ?? null
  }

  /** Names in a folder, sorted; empty when it is missing. */
  list(path: string): readonly string[] {
    this.#folders.add(path)
    return this.#guard(path, () => readdirSync(this.#resolve(path)).sort().slice(0, MOST_NAMES)) ?? []
  }

  /** What a symbolic link says; `null` when the path is none. */
  link(path: string): string | null {
    this.#folders.add(posix.dirname(path))
    return this.#guard(path, () => {
      const at = posix.join(this.#resolve(posix.dirname(path)), posix.basename(path))
      return lstatSync(at).isSymbolicLink() ? readlinkSync(at) : null
    })
  }

  exists(path: string): boolean {
    this.#folders.add(posix.dirname(path))
    return this.#guard(path, () => lstatSync(this.#resolve(path)).isFile() || null) === true
  }

  #read(path: string): SourceText | null {
    return this.#guard(path, () => {
      // A FIFO must not hold us, and a link put there since must not lead out.
      const file = openSync(this.#resolve(path), constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW)
      try {
        const { size } = fstatSync(file)
        if (!fstatSync(file).isFile()) return null
        if (size > LARGEST) {
          this.warn(path, 0, `has ${size} bytes, too many for a configuration`)
          return null
        }
        // The kernel's own files say that they are empty.
        const bytes = Buffer.alloc(size === 0 ? 4096 : Math.min(size + 1, LARGEST))
        return { file: path, text: bytes.toString('utf8', 0, readSync(file, bytes, 0, bytes.length, 0)) }
      } finally {
        closeSync(file)
      }
    })
  }

  /** The path on this machine, every link resolved below the root. Throws as the system does. */
  #resolve(path: string): string {
    let links = 0
    let done = ''
    const left = path.split('/')
    while (left.length > 0) {
      const part = left.shift()!
      if (part === '' || part === '.') continue
      if (part === '..') {
        done = done.slice(0, Math.max(0, done.lastIndexOf('/')))
        continue
      }
      const at = `${this.#root}${done}/${part}`
      if (!lstatSync(at).isSymbolicLink()) {
        done += `/${part}`
        continue
      }
      if (++links > MOST_LINKS) throw Object.assign(new Error('too many symbolic links'), { code: 'ELOOP' })
      const target = readlinkSync(at)
      if (target.startsWith('/')) done = ''
      left.unshift(...target.split('/'))
    }
    return `${this.#root}${done}` || '/'
  }

  #guard<T>(path: string, look: () => T): T | null {
    try {
      return look()
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      if (code === undefined) throw error
      if (code !== 'ENOENT' && code !== 'ENOTDIR') this.warn(path, 0, WORDS[code] ?? message)
      return null
    }
  }
}

const WORDS: Readonly<Record<string, string>> = {
  EACCES: 'cannot be read: permission denied',
  EPERM: 'cannot be read: permission denied',
  ELOOP: 'cannot be read: its symbolic links go round in a circle',
}
