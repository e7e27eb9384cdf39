/**
 * The folder of a recording: who may read it, the secret of its pseudonyms, and how much may lie in it.
 *
 * The folder is its owner's alone (0700), and so is every file (0600). A file has its name only when all of it is written. Recordings lie in
 * a folder for each day, named by when the session began, so that their order is that of the mail and old days are easily removed.
 */
import { randomBytes } from 'node:crypto'
import { chmod, lstat, mkdir, readdir, readFile, rename, rm, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export interface DirectoryLimits {
  readonly maxBytes: number
  readonly maxFiles: number
  /** Bytes that stay free on the disk. */
  readonly minFree: number
}

export const EXTENSION = '.scenario'
const KEY = '.key'

export class RecordDirectory {
  readonly path: string
  /** Of the pseudonyms: the same as long as the folder is there. */
  readonly key: Uint8Array
  #bytes: number
  #files: number

  /** Makes what is missing. Rejects when it cannot be used, or would be open to others. */
  static async open(path: string): Promise<RecordDirectory> {
    await mkdir(path, { recursive: true, mode: 0o700 })
    const { mode, uid } = await lstat(path)
    if (uid !== process.getuid?.()) throw new Error('it belongs to another user')
    if ((mode & 0o077) !== 0) await chmod(path, 0o700)
    const key = await keyOf(join(path, KEY))
    return new RecordDirectory(path, key, await used(path))
  }

  private constructor(
    path: string,
    key: Uint8Array,
    { bytes, files }: { readonly bytes: number; readonly files: number },
  ) {
    this.path = path
    this.key = key
    this.#bytes = bytes
    this.#files = files
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Why nothing more may be written; `null` when it may. Looks at the disk. */
  async full({ maxBytes, maxFiles, minFree }: DirectoryLimits): Promise<string | null> {
    if (this.#bytes >= maxBytes || this.#files >= maxFiles) {
      // The postmaster may have made room.
      const { bytes, files } = await used(this.path)
      this.#bytes = bytes
      this.#files = files
    }
    if (this.#bytes >= maxBytes) return `${this.#bytes} bytes are recorded, record.maxBytes is ${maxBytes}`
    if (this.#files >= maxFiles) return `${this.#files} sessions are recorded, record.maxFiles is ${maxFiles}`
    const { bavail, bsize } = await statfs(this.path)
    const free = bavail * bsize
    return free < minFree ? `${free} bytes are free on the disk, record.minFree is ${minFree}` : null
  }

  async write(began: number, id: string, text: string): Promise<void> {
    const time = new Date(began).toISOString()
    const folder = join(this.path, time.slice(0, 10))
    const file = join(folder, `${time.slice(11, 23).replaceAll(':', '')}-${id.replace(/[^\w.-]/g, '_')}${EXTENSION}`)
    const part = `${file}.part`
    await mkdir(folder, { recursive: true, mode: 0o700 })
    try {
      await writeFile(part, text, { mode: 0o600, flag: 'wx' })
      await rename(part, file)
    } catch (error) {
      await rm(part, { force: true })
      throw error
    }
    this.#bytes += Buffer.byteLength(text)
    this.#files++
  }
}

async function keyOf(path: string): Promise<Uint8Array> {
  try {
    await writeFile(path, randomBytes(32).toString('hex'), { mode: 0o600, flag: 'wx' })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  const key = Buffer.from((await readFile(path, 'utf8')).trim(), 'hex')
  if (key.length < 16) throw new Error(`${path} holds no secret of at least 16 bytes in hexadecimal`)
  return key
}

async function used(path: string): Promise<{ readonly bytes: number; readonly files: number }> {
  let bytes = 0
  let files = 0
  for (const entry of await readdir(path, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith(EXTENSION)) continue
    bytes += (await lstat(join(entry.parentPath, entry.name))).size
    files++
  }
  return { bytes, files }
}
