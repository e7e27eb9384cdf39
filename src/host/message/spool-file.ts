/**
 * One spooled body: a file without a name, written in the background and read by any number of readers.
 *
 * Writes are queued and go out joined, one call at a time; `append` gives a promise only while more than `HIGH` bytes wait,
 * so that a fast sender waits for a slow disk and a small excess costs nothing. Reads are positional. Closing never
 * waits for a reader: the reader's next step fails. Only `spool.ts` uses it.
 */
import { randomUUID } from 'node:crypto'
import { type FileHandle, open, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { type HostError, hostError } from '../errors.ts'
import { PIECE } from './body.ts'

const HIGH = 1024 * 1024
const LOW = 256 * 1024
/** One read gives so many pieces: a trip to the thread pool costs more than the copy. */
const PIECES_A_READ = 4

export class SpoolFile {
  readonly #directory: string
  readonly #opened: Promise<FileHandle>
  #queue: { readonly blocks: readonly Buffer[]; readonly written: (blocks: readonly Buffer[]) => void }[] = []
  #written = 0
  /** Bytes appended and not yet written. */
  #waiting = 0
  #pump: Promise<void> | null = null
  #failure: HostError | null = null
  #wakers: (() => void)[] = []

  constructor(directory: string) {
    this.#directory = directory
    this.#opened = this.#open()
    // Every use awaits it again; without this a failure before the first use would be an unhandled rejection.
    this.#opened.catch((error: NodeJS.ErrnoException) => this.#fail(error))
  }

  async #open(): Promise<FileHandle> {
    const path = join(this.#directory, `body-${randomUUID()}`)
    const handle = await open(path, 'wx+', 0o600)
    try {
      await unlink(path)
    } catch (error) {
      // ENOENT: another process that starts in this folder has tidied it up.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
        await handle.close()
        throw error
      }
    }
    return handle
  }

  /**
   * Takes the blocks over, and says when they are in the file. A promise while too much waits for the disk; rejects when
   * the disk has failed.
   */
  append(blocks: readonly Buffer[], written: (blocks: readonly Buffer[]) => void): void | Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure)
    if (blocks.length > 0) this.#queue.push({ blocks, written })
    for (const block of blocks) this.#waiting += block.length
    if (this.#queue.length > 0) this.#pump ??= this.#write()
    if (this.#waiting > HIGH) return this.#until(LOW)
  }

  /** When all has been written. */
  async flushed(): Promise<void> {
    await this.#until(0)
  }

  async #until(mark: number): Promise<void> {
    while (this.#failure === null && this.#waiting > mark) await new Promise<void>(done => this.#wakers.push(done))
    if (this.#failure) throw this.#failure
  }

  async #write(): Promise<void> {
    try {
      const handle = await this.#opened
      while (this.#queue.length > 0 && this.#failure === null) {
        const queue = this.#queue
        this.#queue = []
        const blocks = queue.flatMap(part => part.blocks)
        const size = await writeAll(handle, blocks, this.#written)
        this.#written += size
        this.#waiting -= size
        for (const part of queue) part.written(part.blocks)
        this.#wake()
      }
    } catch (error) {
      this.#fail(error as NodeJS.ErrnoException)
    } finally {
      this.#pump = null
    }
  }

  #fail(error: NodeJS.ErrnoException): void {
    this.#failure ??=
      error.code === 'ENOSPC' || error.code === 'EDQUOT'
        ? hostError('SPOOL_FULL', this.#directory)
        : hostError('SPOOL_FAILED', this.#directory, error.message)
    this.#queue = []
    this.#wake()
  }

  #wake(): void {
    const wakers = this.#wakers
    this.#wakers = []
    for (const wake of wakers) wake()
  }

  /** The whole file, piece by piece, from its beginning; each piece holds until the next one. Only after `flushed`. */
  async *pieces(): AsyncGenerator<Buffer, void, undefined> {
    const handle = await this.#opened
    let at = 0
    const buffer = Buffer.allocUnsafeSlow(Math.min(PIECE * PIECES_A_READ, this.#written))
    while (at < this.#written) {
      if (this.#failure) throw this.#failure
      const block = buffer.subarray(0, Math.min(buffer.length, this.#written - at))
      await this.#read(handle, at, block)
      at += block.length
      for (let from = 0; from < block.length; from += PIECE) {
        if (this.#failure) throw this.#failure
        yield block.subarray(from, from + PIECE)
      }
    }
  }

  async #read(handle: FileHandle, at: number, block: Buffer): Promise<void> {
    let filled = 0
    while (filled < block.length) {
      const { bytesRead } = await this.#attempt(handle.read(block, filled, block.length - filled, at + filled))
      if (bytesRead === 0) throw hostError('SPOOL_FAILED', this.#directory, 'a file has become shorter')
      filled += bytesRead
    }
  }

  async #attempt<T>(read: Promise<T>): Promise<T> {
    try {
      return await read
    } catch (error) {
      throw this.#failure ?? hostError('SPOOL_FAILED', this.#directory, (error as Error).message)
    }
  }

  /** Frees the space. Whoever reads or writes next gets SPOOL_GONE. */
  async close(): Promise<void> {
    this.#failure ??= hostError('SPOOL_GONE')
    this.#queue = []
    this.#wake()
    try {
      const handle = await this.#opened
      await handle.close()
    } catch {
      // It never opened, or closing failed on a file that nobody can reach any more: there is nothing left to free.
    }
  }
}

async function writeAll(handle: FileHandle, blocks: Buffer[], at: number): Promise<number> {
  let size = 0
  let rest = blocks
  for (const block of blocks) size += block.length
  let done = 0
  while (done < size) {
    const { bytesWritten } = await handle.writev(rest, at + done)
    done += bytesWritten
    rest = after(rest, bytesWritten)
  }
  return size
}

/** What is left of `blocks` when the disk took only the first `count` bytes. */
function after(blocks: Buffer[], count: number): Buffer[] {
  let left = count
  const out: Buffer[] = []
  for (const block of blocks) {
    if (left >= block.length) left -= block.length
    else {
      out.push(block.subarray(left))
      left = 0
    }
  }
  return out
}
