/**
 * Writes packets one after another into one Buffer, because the cost of this protocol lies in the number of writes: macros
 * and the command they belong to, or all edits and the verdict, leave in one. It knows the field encodings and nothing of
 * which packet has which fields; `command.ts` and `reply.ts` do. A packet that cannot be written is taken out whole, so a
 * writer never holds half a packet.
 */

import type { ByteString } from '../../host/bytes.ts'
import { quoted, WireError } from './error.ts'
import { packetName } from './names.ts'

/** Payload bytes of one body packet that every peer takes (MILTER_CHUNK_SIZE). */
export const bodyChunkSize = 65535

const unsendable = /[^\x01-\xff]/
const nothing = Buffer.alloc(0)

export class PacketWriter {
  #buffer: Buffer = nothing
  #taken: Buffer = nothing
  #at = 0
  #start = 0
  #packet = 0

  /** Bytes written so far. */
  get length(): number {
    return this.#at
  }

  begin(packet: number): this {
    this.#room(5)
    this.#start = this.#at
    this.#packet = packet
    this.#buffer[this.#at + 4] = packet
    this.#at += 5
    return this
  }

  end(): this {
    this.#buffer.writeUInt32BE(this.#at - this.#start - 4, this.#start)
    return this
  }

  /** A string and its NUL. */
  text(text: ByteString, field: string): this {
    if (unsendable.test(text)) throw this.#drop('WIRE_UNSENDABLE_TEXT', { field, text: quoted(text) })
    this.#room(text.length + 1)
    this.#buffer.write(text, this.#at, 'latin1')
    this.#at += text.length
    this.#buffer[this.#at++] = 0
    return this
  }

  byte(value: number): this {
    this.#room(1)
    this.#buffer[this.#at++] = value
    return this
  }

  u16(value: number, field: string): this {
    this.#number(value, 0xffff, field)
    this.#room(2)
    this.#at = this.#buffer.writeUInt16BE(value, this.#at)
    return this
  }

  u32(value: number, field: string): this {
    this.#number(value, 0xffffffff, field)
    this.#room(4)
    this.#at = this.#buffer.writeUInt32BE(value, this.#at)
    return this
  }

  raw(bytes: Uint8Array): this {
    this.#room(bytes.length)
    this.#buffer.set(bytes, this.#at)
    this.#at += bytes.length
    return this
  }

  /** The packets written since the last call. The Buffer is the caller's: it is not written again before `reuse`. */
  take(): Buffer {
    const taken = this.#buffer.subarray(0, this.#at)
    this.#taken = this.#buffer
    this.#buffer = nothing
    this.#at = 0
    return taken
  }

  /** Writes over what the last `take` gave, which nobody needs any more. */
  reuse(): void {
    if (this.#buffer === nothing) this.#buffer = this.#taken
    this.#taken = nothing
  }

  /** Forgets packets that were not taken. */
  clear(): void {
    this.#at = 0
    this.#taken = nothing
  }

  #number(value: number, limit: number, field: string): void {
    if (Number.isInteger(value) && value >= 0 && value <= limit) return
    throw this.#drop('WIRE_UNSENDABLE_NUMBER', { field, value, limit })
  }

  #drop(code: 'WIRE_UNSENDABLE_TEXT' | 'WIRE_UNSENDABLE_NUMBER', values: Record<string, string | number>): WireError {
    this.#at = this.#start
    return new WireError(code, { packet: packetName(this.#packet), ...values })
  }

  #room(count: number): void {
    const needed = this.#at + count
    if (needed <= this.#buffer.length) return
    const grown = Buffer.allocUnsafe(Math.max(needed, 256, this.#buffer.length * 2))
    this.#buffer.copy(grown, 0, 0, this.#at)
    this.#buffer = grown
  }
}
