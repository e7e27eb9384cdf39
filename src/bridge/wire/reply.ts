/**
 * Every packet a milter sends to an MTA, as a value, and the way to bytes and back. Pure: which reply is allowed when, and
 * whether an edit was negotiated, is the caller's concern; the text of a REPLYCODE is checked by `reply-text.ts`. Replies
 * without fields are always written with an empty payload, because Postfix takes any payload there as a fatal error; on the
 * way in such a payload is tolerated, as Sendmail does, and reported. CONN_FAIL and SHUTDOWN exist for decoding: Sendmail
 * calls both bogus, and Postfix 3.7 loses mail over SHUTDOWN, so no MTA may ever be sent one.
 */

import type { ByteString } from '../../host/bytes.ts'
import { type DecodeOptions, PayloadReader, TOLERANT } from './decode.ts'
import { PacketWriter } from './encode.ts'
import { WireError } from './error.ts'
import { action, replyByte, replyName } from './names.ts'
import { type Negotiation, readAnswer, writeNegotiation } from './negotiate.ts'

export interface NegotiateReply extends Negotiation {
  readonly kind: 'negotiate'
}

export interface BareReply {
  readonly kind:
    | 'continue'
    | 'accept'
    | 'reject'
    | 'tempfail'
    | 'discard'
    | 'skip'
    | 'progress'
    | 'conn-fail'
    | 'shutdown'
}

export interface HeaderReply {
  readonly kind: 'insert-header' | 'change-header'
  readonly index: number
  readonly name: ByteString
  /** An empty value of `change-header` deletes. */
  readonly value: ByteString
}

export type Reply =
  | NegotiateReply
  | BareReply
  /** `550-5.7.1 first\r\n550 5.7.1 last`, see `reply-text.ts`. */
  | { readonly kind: 'replycode'; readonly text: ByteString }
  | { readonly kind: 'add-recipient' | 'delete-recipient'; readonly path: ByteString }
  /** All ESMTP parameters in one string, parted by blanks; null when the packet has no such string. */
  | {
      readonly kind: 'add-recipient-with-parameters' | 'change-sender'
      readonly path: ByteString
      readonly parameters: ByteString | null
    }
  | { readonly kind: 'add-header'; readonly name: ByteString; readonly value: ByteString }
  | HeaderReply
  /** Decoded, `chunk` is a view of the payload: copy it to keep it. */
  | { readonly kind: 'replace-body'; readonly chunk: Buffer }
  | { readonly kind: 'quarantine'; readonly reason: ByteString }

export type ReplyKind = Reply['kind']

const letters = {
  negotiate: replyByte.OPTNEG,
  continue: replyByte.CONTINUE,
  accept: replyByte.ACCEPT,
  reject: replyByte.REJECT,
  tempfail: replyByte.TEMPFAIL,
  discard: replyByte.DISCARD,
  skip: replyByte.SKIP,
  progress: replyByte.PROGRESS,
  'conn-fail': replyByte.CONN_FAIL,
  shutdown: replyByte.SHUTDOWN,
  replycode: replyByte.REPLYCODE,
  'add-recipient': replyByte.ADDRCPT,
  'add-recipient-with-parameters': replyByte.ADDRCPT_PAR,
  'delete-recipient': replyByte.DELRCPT,
  'change-sender': replyByte.CHGFROM,
  'add-header': replyByte.ADDHEADER,
  'insert-header': replyByte.INSHEADER,
  'change-header': replyByte.CHGHEADER,
  'replace-body': replyByte.REPLBODY,
  quarantine: replyByte.QUARANTINE,
} as const satisfies Record<ReplyKind, number>

const kinds: ReadonlyMap<number, ReplyKind> = new Map(
  (Object.keys(letters) as ReplyKind[]).map(kind => [letters[kind], kind]),
)

/** Replies without a payload: one object each, since nearly all replies are such. */
const BARE = {
  continue: { kind: 'continue' },
  accept: { kind: 'accept' },
  reject: { kind: 'reject' },
  tempfail: { kind: 'tempfail' },
  discard: { kind: 'discard' },
  skip: { kind: 'skip' },
  progress: { kind: 'progress' },
  'conn-fail': { kind: 'conn-fail' },
  shutdown: { kind: 'shutdown' },
} as const satisfies Partial<Record<ReplyKind, Reply>>

const neededActions: Partial<Record<ReplyKind, number>> = {
  'add-recipient': action.ADDRCPT,
  'add-recipient-with-parameters': action.ADDRCPT_PAR,
  'delete-recipient': action.DELRCPT,
  'change-sender': action.CHGFROM,
  'add-header': action.ADDHDRS,
  'insert-header': action.ADDHDRS,
  'change-header': action.CHGHDRS,
  'replace-body': action.CHGBODY,
  quarantine: action.QUARANTINE,
}

export function replyLetter(kind: ReplyKind): number {
  return letters[kind]
}

/** The action flag that permits this reply; 0 for replies that are no edits. */
export function neededAction(kind: ReplyKind): number {
  return neededActions[kind] ?? 0
}

/** Throws WireError: unknown letter, a missing or cut field. Tolerated deviations go to `options.report`. */
export function decodeReply(letter: number, payload: Buffer, options: DecodeOptions = TOLERANT): Reply {
  const packet = replyName(letter)
  const kind = kinds.get(letter)
  if (kind === undefined) throw new WireError('WIRE_UNKNOWN_REPLY', { packet })
  const reader = new PayloadReader(packet, payload, options)
  const reply = read(kind, reader)
  reader.end()
  return reply
}

export function encodeReply(reply: Reply): Buffer {
  return writeReply(new PacketWriter(), reply).take()
}

/** Adds one packet to the writer. Throws WireError, and adds nothing, if a field cannot be sent. */
export function writeReply(writer: PacketWriter, reply: Reply): PacketWriter {
  writer.begin(letters[reply.kind])
  switch (reply.kind) {
    case 'negotiate':
      writeNegotiation(writer, reply)
      break
    case 'replycode':
      writer.text(reply.text, 'SMTP reply')
      break
    case 'add-recipient':
    case 'delete-recipient':
      writer.text(reply.path, 'recipient')
      break
    case 'add-recipient-with-parameters':
    case 'change-sender':
      writer.text(reply.path, 'path')
      if (reply.parameters !== null) writer.text(reply.parameters, 'parameters')
      break
    case 'insert-header':
    case 'change-header':
      writer.u32(reply.index, 'header index').text(reply.name, 'header name').text(reply.value, 'header value')
      break
    case 'add-header':
      writer.text(reply.name, 'header name').text(reply.value, 'header value')
      break
    case 'replace-body':
      writer.raw(reply.chunk)
      break
    case 'quarantine':
      writer.text(reply.reason, 'reason')
      break
  }
  return writer.end()
}

function read(kind: ReplyKind, reader: PayloadReader): Reply {
  switch (kind) {
    case 'negotiate':
      return { kind, ...readAnswer(reader) }
    case 'replycode':
      return { kind, text: reader.text('SMTP reply') }
    case 'add-recipient':
    case 'delete-recipient':
      return { kind, path: reader.text('recipient') }
    case 'add-recipient-with-parameters':
    case 'change-sender':
      return { kind, path: reader.text('path'), parameters: reader.left > 0 ? reader.text('parameters') : null }
    case 'insert-header':
    case 'change-header':
      return {
        kind,
        index: reader.u32('header index'),
        name: reader.text('header name'),
        value: reader.text('header value'),
      }
    case 'add-header':
      return { kind, name: reader.text('header name'), value: reader.text('header value') }
    case 'replace-body':
      return { kind, chunk: reader.raw() }
    case 'quarantine':
      return { kind, reason: reader.text('reason') }
    default:
      return BARE[kind]
  }
}
