/**
 * Reads the fields of one payload. It knows the field encodings and the ways in which peers bend them, and nothing of which
 * packet has which fields. Whatever is read stays within the payload; what cannot be read is a WireError that names packet
 * and field. Deviations that lose nothing are tolerated and told to `report`, so that the caller may be stricter.
 */

import type { ByteString } from '../../host/bytes.ts'
import { WireError } from './error.ts'

/** A tolerated deviation. `bytes` are the bytes left over, or those of the string without its NUL. */
export interface Irregularity {
  readonly kind: 'surplus' | 'unterminated' | 'odd-macros'
  readonly packet: string
  readonly bytes: number
}

export interface DecodeOptions {
  /**
   * What a last string without its NUL is. `error` by default: Postfix and libmilter refuse it too, and the string may
   * have been cut. `accept` takes it to the end of the payload and reports it.
   */
  readonly unterminated?: 'error' | 'accept'
  readonly report?: (irregularity: Irregularity) => void
}

/** What is tolerated is told to nobody. */
export const TOLERANT: DecodeOptions = {}

export class PayloadReader {
  readonly packet: string
  readonly #payload: Buffer
  readonly #options: DecodeOptions
  #at = 0

  constructor(packet: string, payload: Buffer, options: DecodeOptions) {
    this.packet = packet
    this.#payload = payload
    this.#options = options
  }

  get left(): number {
    return this.#payload.length - this.#at
  }

  text(field: string): ByteString {
    const start = this.#at
    const nul = this.#payload.indexOf(0, start)
    if (nul >= 0) {
      this.#at = nul + 1
      return this.#payload.toString('latin1', start, nul)
    }
    if (this.#options.unterminated !== 'accept' || this.left === 0) {
      throw new WireError('WIRE_UNTERMINATED', { packet: this.packet, field })
    }
    this.note('unterminated', this.left)
    this.#at = this.#payload.length
    return this.#payload.toString('latin1', start)
  }

  byte(field: string): number {
    this.#need(1, field)
    return this.#payload[this.#at++]!
  }

  u16(field: string): number {
    this.#need(2, field)
    this.#at += 2
    return this.#payload.readUInt16BE(this.#at - 2)
  }

  u32(field: string): number {
    this.#need(4, field)
    this.#at += 4
    return this.#payload.readUInt32BE(this.#at - 4)
  }

  /** All bytes that are left, as a view of the payload. */
  raw(): Buffer {
    const start = this.#at
    this.#at = this.#payload.length
    return this.#payload.subarray(start)
  }

  /** To be called behind the last field: reports what is left over. */
  end(): void {
    if (this.left > 0) this.note('surplus', this.left)
  }

  note(kind: Irregularity['kind'], bytes: number): void {
    this.#options.report?.({ kind, packet: this.packet, bytes })
  }

  #need(need: number, field: string): void {
    if (this.left < need) throw new WireError('WIRE_SHORT', { packet: this.packet, field, need, have: this.left })
  }
}
