/**
 * The stored message as a filter is shown it: a value, never changed in place.
 *
 * A filter answers with edits (`edit.ts`); applying them makes a new snapshot that shares what did not change
 * (`apply.ts`). So filters that only read may look at one snapshot side by side.
 */
import type { ByteString } from '../bytes.ts'
import type { Path } from '../events.ts'
import type { HeaderNode } from './layout.ts'

export interface HeaderField {
  /** Unique within the message and kept when the value changes. */
  readonly id: number
  /** As typed. Compared without case. */
  readonly name: ByteString
  /** All bytes after the colon, the leading space included; folds are LF and white space, never CR. */
  readonly value: ByteString
}

/** A message body with CRLF line ends, in memory or in a spool file; may be read any number of times while its message lives. */
export interface Body {
  /** Bytes. */
  readonly size: number
  /** The whole body in pieces that are nobody else's, when it has memory of its own; else `null`. */
  readonly memory: readonly Buffer[] | null
  /**
   * The body in pieces of at most 65,535 bytes. A piece must not be written to, and is to be copied before the next one is
   * asked for or anything is awaited: its memory is used again.
   */
  chunks(): AsyncIterable<Buffer> | Iterable<Buffer>
}

export interface MessageSnapshot {
  /** The host's own id of this message. */
  readonly id: string
  readonly sender: Path
  readonly recipients: readonly Path[]
  /** What filters see, in order. The MTA's own Received line is never shown by either MTA. */
  readonly headers: readonly HeaderField[]
  readonly body: Body
  /** How the headers stand among what is not shown. For `apply.ts` and `batch.ts`; absent until a header was edited. */
  readonly layout?: readonly HeaderNode[]
}

/** Takes a body piece by piece; what is large goes to the spool. */
export interface BodyWriter {
  /** Copies the bytes. A promise when the spool must catch up: wait for it before the next call. */
  write(chunk: Uint8Array): void | Promise<void>
  finish(): Body | Promise<Body>
  /** Gives up what was written. */
  discard(): void
}

/** The message as the MTA sent it: what the first filter is shown. */
export function receivedMessage(parts: {
  readonly id: string
  readonly sender: Path
  readonly recipients: readonly Path[]
  readonly fields: readonly { readonly name: ByteString; readonly value: ByteString }[]
  readonly body: Body
}): MessageSnapshot {
  const { fields, ...rest } = parts
  return { ...rest, headers: fields.map(({ name, value }, id) => ({ id, name, value })) }
}
