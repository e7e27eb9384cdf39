/**
 * The message while it comes in: header fields and body, held within the limits.
 *
 * The MTA is asked not to wait for answers here, so a limit that is passed is remembered and told at the end of the
 * message; what is beyond it is not stored. A spool that cannot take more is told the same way. Nothing here throws.
 */
import type { ByteString } from './bytes.ts'
import { describeThrown } from './chain/failure.ts'
import type { Limits } from './config/settings.ts'
import { described } from './errors.ts'
import type { Body, BodyWriter, HeaderField } from './message/snapshot.ts'
import { rejectWith, tempfailWith, type Verdict } from './verdict.ts'

/** Why a message cannot be taken: what to tell the client, and which limit or trouble it was. */
export interface Overflow {
  readonly verdict: Verdict
  readonly code: string
  readonly detail: string
}

export class Collector {
  readonly #limits: Limits
  readonly #writer: BodyWriter
  readonly #fields: { name: ByteString; value: ByteString }[] = []
  #headerBytes = 0
  #bodyBytes = 0
  #overflow: Overflow | null = null

  constructor(limits: Limits, writer: BodyWriter) {
    this.#limits = limits
    this.#writer = writer
  }

  get overflow(): Overflow | null {
    return this.#overflow
  }

  /** Bytes of headers and body so far. */
  get size(): number {
    return this.#headerBytes + this.#bodyBytes
  }

  header(name: ByteString, value: ByteString): void {
    if (this.#overflow !== null) return
    this.#headerBytes += name.length + value.length + 3
    if (this.#fields.length >= this.#limits.headers) {
      this.#stop(rejectWith(552, '5.3.4', 'Too many header fields'), described('LIMIT_HEADERS', this.#limits.headers))
    } else if (this.#headerBytes > this.#limits.headerBytes) {
      this.#stop(
        rejectWith(552, '5.3.4', 'Message headers too large'),
        described('LIMIT_HEADER_BYTES', this.#limits.headerBytes),
      )
    } else {
      this.#fields.push({ name, value })
    }
  }

  body(chunk: Uint8Array): void | Promise<void> {
    if (this.#overflow !== null) return
    this.#bodyBytes += chunk.length
    if (this.#bodyBytes > this.#limits.body) {
      this.#stop(rejectWith(552, '5.3.4', 'Message body too large'), described('LIMIT_BODY', this.#limits.body))
      return
    }
    try {
      return this.#writer.write(chunk)?.catch(thrown => this.#spoolFailed(thrown))
    } catch (thrown) {
      this.#spoolFailed(thrown)
    }
  }

  /** The body, or `null` when the spool failed; then `overflow` says so. */
  async finish(): Promise<Body | null> {
    if (this.#overflow !== null) return null
    try {
      return await this.#writer.finish()
    } catch (thrown) {
      this.#spoolFailed(thrown)
      return null
    }
  }

  get fields(): readonly Pick<HeaderField, 'name' | 'value'>[] {
    return this.#fields
  }

  #spoolFailed(thrown: unknown): void {
    const { code, detail } = describeThrown(thrown)
    this.#stop(tempfailWith(452, '4.3.1', 'Insufficient system storage'), { code: code ?? 'SPOOL_FAILED', detail })
  }

  #stop(verdict: Verdict, what: Omit<Overflow, 'verdict'>): void {
    this.#overflow = { verdict, ...what }
    this.#fields.length = 0
    this.#writer.discard()
  }
}
