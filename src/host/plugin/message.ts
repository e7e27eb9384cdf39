/**
 * The stored message as one plugin is shown it: recipients, headers, body and the whole as a stream.
 *
 * Everything handed out is the plugin's own copy, so that nothing a plugin does to it reaches the stored message or another
 * filter. Reading stops with the signal's reason when the host no longer waits for the plugin.
 */
import { Readable } from 'node:stream'
import { bytesOf } from '../bytes.ts'
import { PIECE } from '../message/body.ts'
import type { MessageSnapshot } from '../message/snapshot.ts'
import { type Address, EnvelopeAddress } from './address.ts'
import { ShownHeaders } from './header.ts'

const CRLF_BYTES = 2

export class ShownMessage {
  readonly headers: ShownHeaders
  readonly #snapshot: MessageSnapshot
  #recipients: readonly Address[] | null = null

  constructor(snapshot: MessageSnapshot) {
    this.#snapshot = snapshot
    this.headers = new ShownHeaders(snapshot.headers)
  }

  get recipients(): readonly Address[] {
    this.#recipients ??= Object.freeze(this.#snapshot.recipients.map(path => new EnvelopeAddress(path.raw)))
    return this.#recipients
  }

  get size(): number {
    let size = this.#snapshot.body.size + CRLF_BYTES
    for (const { name, value } of this.#snapshot.headers) {
      size += name.length + 1 + value.length + CRLF_BYTES
      for (let at = value.indexOf('\n'); at >= 0; at = value.indexOf('\n', at + 1)) if (value[at - 1] !== '\r') size++
    }
    return size
  }

  /** `reuse`: a piece holds until the next; fresh memory for each makes the garbage collector the dearest part of a large message. */
  async *body(signal: AbortSignal, reuse = false): AsyncGenerator<Uint8Array> {
    let block: Uint8Array | null = null
    for await (const piece of this.#snapshot.body.chunks()) {
      signal.throwIfAborted()
      if (!reuse) yield new Uint8Array(piece)
      else {
        block ??= new Uint8Array(Math.min(PIECE, this.#snapshot.body.size))
        block.set(piece)
        yield block.subarray(0, piece.length)
      }
    }
  }

  raw(signal: AbortSignal): Readable {
    const stream = Readable.from(this.#raw(signal), { objectMode: false })
    // Who reads the stream gets the error; a stream that nobody reads any more must not end the process.
    stream.on('error', () => {})
    return stream
  }

  async *#raw(signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const lines = this.#snapshot.headers.map(({ name, value }) => `${name}:${value.replace(/(?<!\r)\n/g, '\r\n')}\r\n`)
    yield bytesOf(`${lines.join('')}\r\n`)
    yield* this.body(signal)
  }
}
