/**
 * Cuts a byte stream into milter packets: four bytes of length, one command byte (counted by the length), payload. It
 * takes chunks of any size, split or glued anywhere, and gives whole packets in order; what a packet means is not its
 * business. Used on both sides, for commands from an MTA and for replies from an external milter.
 *
 * A packet that lies within one chunk is handed on without a copy. Therefore a payload is valid only during the callback,
 * and a chunk may be a read buffer that is used again: whatever stays is copied in. Memory grows with the bytes that have
 * arrived, never with an announced length, and a bad length is refused at the header. After such a refusal the stream has
 * no known packet border any more, so the decoder stays failed.
 */

import { WireError } from './error.ts'
import { packetName, replyByte } from './names.ts'

export interface FrameLimits {
  /** Greatest length of a packet, command byte included. Default 1 MiB. */
  readonly maxFrame?: number
  /** The same for a replacement body ('b'): rspamd sends a whole body in one packet. Default `maxFrame`. */
  readonly maxBodyReplacement?: number
  /** Shared by the decoders of many connections, so that each body packet does not cost fresh memory. */
  readonly spares?: SpareBuffers
}

/** Buffers for unfinished packets of the size of a body packet: taken when one has grown large, given back when it is done. */
export class SpareBuffers {
  readonly #free: Buffer[] = []

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(spareSize)
  }

  give(buffer: Buffer): void {
    if (this.#free.length < keptSpares) this.#free.push(buffer)
  }
}

/** Returns false to pause: this packet counts as taken, later ones wait for `resume`. */
export type OnFrame = (command: number, payload: Buffer) => boolean | void

export const defaultMaxFrame: number = 1024 * 1024

const headerSize = 5
/** An emptied buffer up to this size is kept for the next split packet. */
const keptCapacity = 16 * 1024
/** Length field, letter, and the most that MTAs and libmilter put into a body packet. */
const spareSize = 5 + 65_535
const keptSpares = 16
const nothing = Buffer.alloc(0)

export class FrameDecoder {
  readonly #maxFrame: number
  readonly #maxBodyReplacement: number
  readonly #spares: SpareBuffers | null
  /** The unfinished packet, header included: the first `#filled` bytes of `#partial`. */
  #partial: Buffer = nothing
  #filled = 0
  /** Bytes that wait behind the packet at which the consumer paused. */
  #waiting: Buffer = nothing
  #paused = false
  #delivering = false
  #failure: WireError | null = null

  constructor(limits: FrameLimits = {}) {
    this.#maxFrame = limits.maxFrame ?? defaultMaxFrame
    this.#maxBodyReplacement = limits.maxBodyReplacement ?? this.#maxFrame
    this.#spares = limits.spares ?? null
  }

  get paused(): boolean {
    return this.#paused
  }

  /** Bytes held: those of an unfinished packet and those that wait. 0 at the end of a stream means it ended cleanly. */
  get buffered(): number {
    return this.#filled + this.#waiting.length
  }

  /**
   * Feeds a chunk. While paused it is only stored, so the source must be paused too. Throws WireError for a bad length; an error of `onFrame` itself goes
   * through and leaves the decoder paused behind that packet.
   */
  push(chunk: Buffer, onFrame: OnFrame): void {
    this.#refuseWhenUnusable()
    if (this.#paused) this.#waiting = Buffer.concat([this.#waiting, chunk])
    else this.#consume(chunk, onFrame, false)
  }

  /** Goes on behind the packet at which `onFrame` returned false. */
  resume(onFrame: OnFrame): void {
    this.#refuseWhenUnusable()
    if (!this.#paused) return
    const chunk = this.#waiting
    this.#waiting = nothing
    this.#paused = false
    this.#consume(chunk, onFrame, true)
  }

  #refuseWhenUnusable(): void {
    if (this.#failure !== null) throw this.#failure
    if (this.#delivering) throw new Error('FrameDecoder used from inside its own callback; return false to pause')
  }

  /** `owned`: the chunk is ours, so the rest after a pause needs no copy. */
  #consume(chunk: Buffer, onFrame: OnFrame, owned: boolean): void {
    let at = 0
    let goOn = true
    if (this.#filled > 0) {
      at = this.#fill(chunk)
      if (this.#filled < headerSize || this.#filled < this.#partialSize()) return
      goOn = this.#deliverPartial(chunk, at, onFrame, owned)
    }
    while (goOn && chunk.length - at >= headerSize) {
      const end = at + 4 + this.#checkedLength(chunk, at)
      if (end > chunk.length) break
      const start = at
      at = end
      goOn = this.#deliver(chunk[start + 4]!, chunk.subarray(start + headerSize, end), chunk, at, onFrame, owned)
    }
    if (goOn && at < chunk.length) this.#fill(chunk.subarray(at))
  }

  /** Copies what belongs to the unfinished packet and returns how many bytes of the chunk that took. */
  #fill(chunk: Buffer): number {
    let at = 0
    if (this.#filled < headerSize) {
      at = this.#append(chunk, 0, headerSize, keptCapacity)
      if (this.#filled >= 4) this.#checkedLength(this.#partial, 0, this.#filled)
      if (this.#filled < headerSize) return at
    }
    const size = this.#partialSize()
    return at + this.#append(chunk, at, size, size)
  }

  #append(chunk: Buffer, at: number, upTo: number, mostCapacity: number): number {
    const count = Math.min(chunk.length - at, upTo - this.#filled)
    const needed = this.#filled + count
    if (needed > this.#partial.length) {
      const grown = this.#larger(needed, upTo, mostCapacity)
      this.#partial.copy(grown, 0, 0, this.#filled)
      this.#partial = grown
    }
    chunk.copy(this.#partial, this.#filled, at, at + count)
    this.#filled = needed
    return count
  }

  #larger(needed: number, size: number, mostCapacity: number): Buffer {
    if (this.#spares !== null && needed > keptCapacity && size <= spareSize) return this.#spares.take()
    return Buffer.allocUnsafe(Math.max(needed, Math.min(mostCapacity, Math.max(256, this.#partial.length * 2))))
  }

  #partialSize(): number {
    return 4 + this.#partial.readUInt32BE(0)
  }

  #deliverPartial(chunk: Buffer, at: number, onFrame: OnFrame, owned: boolean): boolean {
    const buffer = this.#partial
    const payload = buffer.subarray(headerSize, this.#filled)
    if (buffer.length > keptCapacity) this.#partial = nothing
    this.#filled = 0
    try {
      return this.#deliver(buffer[4]!, payload, chunk, at, onFrame, owned)
    } finally {
      if (buffer.length === spareSize) this.#spares?.give(buffer)
    }
  }

  #deliver(command: number, payload: Buffer, chunk: Buffer, next: number, onFrame: OnFrame, owned: boolean): boolean {
    let goOn = false
    this.#delivering = true
    try {
      goOn = onFrame(command, payload) !== false
    } finally {
      this.#delivering = false
      if (!goOn) {
        this.#waiting = next === chunk.length ? nothing : rest(chunk, next, owned)
        this.#paused = true
      }
    }
    return goOn
  }

  /** With only the four length bytes there, the greater of the two limits decides; the command byte settles it. */
  #checkedLength(bytes: Buffer, at: number, available = headerSize): number {
    const length = bytes.readUInt32BE(at)
    if (length === 0) throw this.#fail(new WireError('WIRE_LENGTH_ZERO'))
    const command = available >= headerSize ? bytes[at + 4]! : null
    const limit = this.#limitFor(command)
    if (length > limit) {
      const packet = command === null ? 'packet' : packetName(command)
      throw this.#fail(new WireError('WIRE_LENGTH_OVER', { packet, length, limit }))
    }
    return length
  }

  #limitFor(command: number | null): number {
    if (command === null) return Math.max(this.#maxFrame, this.#maxBodyReplacement)
    return command === replyByte.REPLBODY ? this.#maxBodyReplacement : this.#maxFrame
  }

  #fail(error: WireError): WireError {
    this.#failure = error
    this.#partial = nothing
    this.#filled = 0
    return error
  }
}

/** Never an empty view: it would keep the memory behind it for as long as a client is made to wait. */
const rest = (chunk: Buffer, from: number, owned: boolean): Buffer =>
  owned ? chunk.subarray(from) : Buffer.from(chunk.subarray(from))
