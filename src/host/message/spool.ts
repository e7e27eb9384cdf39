/**
 * Where message bodies are kept while their message is in work: small ones in memory, large ones in blocks that all
 * messages share, and in a file when these are used up.
 *
 * The file is unlinked as soon as it is open, so nothing of a message outlives the process, and lies in a folder that
 * nobody else may enter. A body is copied once, when it is written. Everything of a message, replacement bodies of its
 * filters included, belongs to one `MessageStore` and goes when that is disposed of; who still reads a file then gets
 * SPOOL_GONE, never other bytes. The session makes one store a message.
 */
import { lstatSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type HostError, hostError } from '../errors.ts'
import { Entry, Roster } from '../roster.ts'
import { BlockPool } from './block-pool.ts'
import { memoryBody, PIECE } from './body.ts'
import type { Body, BodyWriter } from './snapshot.ts'
import { SpoolFile } from './spool-file.ts'

export interface SpoolOptions {
  /** Made with mode 0700 when it is not there; refused when others may enter it or it is not ours. */
  readonly directory: string
  /** The most bytes of one body that it may keep in memory, whatever the others take. */
  readonly memory: number
  /** The most bytes that the larger bodies of all messages take together before they go to files. */
  readonly shared: number
  /** The most bytes of one body at all. */
  readonly limit: number
}

/** The bodies of one message. */
export interface MessageStore {
  writer(): BodyWriter
  /** Frees all bodies of the message, whoever still reads them. */
  dispose(): void
}

export interface Spool {
  message(): MessageStore
  /** Disposes of every message and waits until its files are closed. */
  close(): Promise<void>
}

const FIRST_BLOCK = 4096
/** Bytes of a body in blocks of its own; more of that, and V8 would mark its whole heap for every few messages to free them. */
const OWN = 16 * 1024
const LEFTOVER = /^body-[0-9a-f-]{36}$/

/** Opens the spool folder. Throws SPOOL_FOLDER when the folder cannot be trusted. */
export function createSpool(options: SpoolOptions): Spool {
  const { directory, limit, memory, shared } = options
  claimFolder(directory)
  const pool = new BlockPool(shared)
  const stores = new Roster<Store>()
  const closing = new Set<Promise<void>>()
  const files: Files = {
    open: () => new SpoolFile(directory),
    close(file) {
      const closed = file.close().finally(() => closing.delete(closed))
      closing.add(closed)
    },
  }
  return {
    message() {
      const store = new Store({ files, pool, memory, limit }, stores)
      stores.enter(store.entry)
      return store
    },
    async close() {
      for (const store of stores) store.dispose()
      await Promise.all(closing)
    },
  }
}

function claimFolder(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const found = lstatSync(directory)
    if (!found.isDirectory()) throw new Error('it is not a folder (a symbolic link will not do)')
    if (found.uid !== process.getuid?.()) throw new Error(`it belongs to user id ${found.uid}, not to this process`)
    if ((found.mode & 0o077) !== 0) throw new Error('others may enter it: chmod it to 0700')
    // A process that died between opening a file and unlinking it left a name behind.
    for (const name of readdirSync(directory)) if (LEFTOVER.test(name)) rmSync(join(directory, name), { force: true })
  } catch (error) {
    throw hostError('SPOOL_FOLDER', directory, (error as Error).message)
  }
}

interface Files {
  open(): SpoolFile
  close(file: SpoolFile): void
}

/** What all messages of a spool have in common. */
interface Means {
  readonly files: Files
  readonly pool: BlockPool
  readonly memory: number
  readonly limit: number
}

class Store implements MessageStore {
  readonly entry: Entry<Store> = new Entry(this)
  readonly #means: Means
  readonly #stores: Roster<Store>
  /** Most messages have one or none. */
  #writers: Writer[] | null = null
  #disposed = false

  constructor(means: Means, stores: Roster<Store>) {
    this.#means = means
    this.#stores = stores
  }

  writer(): BodyWriter {
    if (this.#disposed) throw hostError('SPOOL_GONE')
    const writer = new Writer(this.#means)
    this.#writers ??= []
    this.#writers.push(writer)
    return writer
  }

  dispose(): void {
    this.#disposed = true
    for (const writer of this.#writers ?? []) writer.discard()
    this.#writers = null
    this.#stores.leave(this.entry)
  }
}

class Writer implements BodyWriter {
  readonly #means: Means
  #size = 0
  #blocks: Buffer[] = []
  /** Of the pool; they go back when the body is freed, or when its file has them. */
  readonly #lent = new Set<Buffer>()
  /** The block being filled and how far; many small writes share one. */
  #block: Buffer | null = null
  #used = 0
  #file: SpoolFile | null = null
  #failure: HostError | null = null
  #discarded = false
  #finished = false

  constructor(means: Means) {
    this.#means = means
  }

  write(chunk: Uint8Array): void | Promise<void> {
    this.#usable()
    if (this.#finished) throw new Error('a body was written to after it had been finished')
    const { limit } = this.#means
    if (this.#size + chunk.length > limit) {
      this.#fail(hostError('LIMIT_BODY', limit))
      throw this.#failure
    }
    this.#size += chunk.length
    this.#copy(chunk)
    if (this.#file !== null) return this.#spill(this.#file)
  }

  finish(): Body | Promise<Body> {
    this.#usable()
    this.#finished = true
    if (this.#block !== null) this.#blocks.push(this.#block.subarray(0, this.#used))
    this.#block = null
    const file = this.#file
    if (file === null) {
      const own = this.#lent.size === 0 && this.#size <= this.#means.memory
      return own ? memoryBody(this.#blocks.splice(0)) : this.#sharedBody()
    }
    // What goes wrong here is what `flushed` rejects with.
    this.#spill(file)?.catch(() => {})
    return file.flushed().then(() => ({ size: this.#size, memory: null, chunks: () => file.pieces() }))
  }

  discard(): void {
    this.#discarded = true
    this.#free()
  }

  #usable(): void {
    if (this.#failure) throw this.#failure
    if (this.#discarded) throw hostError('SPOOL_GONE')
  }

  #fail(failure: HostError): void {
    this.#failure ??= failure
    this.#free()
  }

  #free(): void {
    this.#blocks = []
    this.#block = null
    if (this.#file) this.#means.files.close(this.#file)
    this.#file = null
    this.#giveBack([...this.#lent])
  }

  #giveBack(blocks: readonly Buffer[]): void {
    for (const block of blocks) if (this.#lent.delete(block)) this.#means.pool.give(block)
  }
  #sharedBody(): Body {
    const blocks = this.#blocks
    const writer = this
    function* pieces(): Generator<Buffer, void, undefined> {
      for (const block of blocks) {
        writer.#usable()
        yield block
      }
    }
    return { size: this.#size, memory: null, chunks: pieces }
  }

  /** To the file, and blocks of the pool back as soon as they are there. */
  #spill(file: SpoolFile): void | Promise<void> {
    return file.append(this.#blocks.splice(0), written => this.#giveBack(written))
  }

  #copy(chunk: Uint8Array): void {
    let from = 0
    while (from < chunk.length) {
      if (this.#block === null) this.#begin(chunk.length - from)
      const block = this.#block!
      const some =
        from === 0 && chunk.length <= block.length - this.#used
          ? chunk
          : chunk.subarray(from, from + block.length - this.#used)
      block.set(some, this.#used)
      this.#used += some.length
      from += some.length
      if (this.#used === block.length) {
        this.#blocks.push(block)
        this.#block = null
      }
    }
  }

  /** The next block: a small one of its own at first, then one of the pool; when there is none, of its own or by way of the file. */
  #begin(left: number): void {
    const { pool, files, memory } = this.#means
    const small = this.#size <= Math.min(OWN, memory)
    const lent = small || this.#file !== null ? null : pool.take()
    if (lent !== null) this.#lent.add(lent)
    else if (this.#size > memory) this.#file ??= files.open()
    this.#block = lent ?? Buffer.allocUnsafeSlow(Math.min(PIECE, Math.max(left, small ? FIRST_BLOCK : PIECE)))
    this.#used = 0
  }
}
