/**
 * The one batch that ends a message: body replacement first and contiguous, then the other edits in the order they
 * come, then the verdict.
 *
 * Nothing is written before all of it is known to be writable, and small things leave in a single write. A body from the
 * spool is written with back-pressure; Postfix allows nothing between its packets, not even PROGRESS. If its file cannot be
 * read half way, the message is tempfailed: what both MTAs have received of it then counts for nothing.
 */
import type { Edit } from '../../host/message/edit.ts'
import type { Body } from '../../host/message/snapshot.ts'
import type { Settlement } from '../../host/session.ts'
import {
  action,
  bodyChunkSize,
  headerToWire,
  neededAction,
  PacketWriter,
  type Reply,
  writeReply,
} from '../wire/index.ts'
import { answerTo } from './answer.ts'
import type { Terms } from './negotiate.ts'

/** Where bytes for the MTA go. */
export interface Outlet {
  /** `false`: more than enough waits to be sent; `flushed` tells when to go on. */
  write(bytes: Buffer): boolean
  /** Resolves when the MTA has caught up, or is gone. */
  flushed(): Promise<void>
}

/** Gathered before it is written. */
const gathered = 256 * 1024
/** Both MTAs append at any index beyond the last header; Postfix adds 1 to it in a signed number. */
const endIndex = 0xff_ffff

/** Throws WireError, with nothing written, if an edit or the verdict cannot be put on the wire. */
export function writeBatch(outlet: Outlet, { verdict, edits }: Settlement, terms: Terms): void | Promise<void> {
  const tail = new PacketWriter()
  let body: Body | null = null
  for (const edit of edits) {
    if (edit.kind === 'replaceBody') body = edit.body
    else writeReply(tail, replyFor(edit, terms))
  }
  tail.raw(answerTo('eom', verdict))
  if (body === null) return void outlet.write(tail.take())
  if (body.memory === null || body.size > gathered) return writeLarge(outlet, body, tail)
  const writer = new PacketWriter()
  let empty = true
  for (const piece of body.memory) empty = !writeChunks(writer, piece) && empty
  if (empty) writeReply(writer, { kind: 'replace-body', chunk: Buffer.alloc(0) })
  outlet.write(writer.raw(tail.take()).take())
}

async function writeLarge(outlet: Outlet, body: Body, tail: PacketWriter): Promise<void> {
  const writer = new PacketWriter()
  let empty = true
  for await (const piece of body.chunks()) {
    empty = !writeChunks(writer, piece) && empty
    if (writer.length >= gathered && !outlet.write(writer.take())) await outlet.flushed()
  }
  if (empty) writeReply(writer, { kind: 'replace-body', chunk: Buffer.alloc(0) })
  outlet.write(writer.raw(tail.take()).take())
}

function writeChunks(writer: PacketWriter, piece: Buffer): boolean {
  for (let at = 0; at < piece.length; at += bodyChunkSize)
    writeReply(writer, { kind: 'replace-body', chunk: piece.subarray(at, at + bodyChunkSize) })
  return piece.length > 0
}

function replyFor(edit: Exclude<Edit, { kind: 'replaceBody' }>, { leadingSpace, answer }: Terms): Reply {
  switch (edit.kind) {
    case 'addHeader':
      return { kind: 'add-header', name: edit.name, value: headerToWire(edit.value, leadingSpace) }
    case 'insertHeader': {
      const value = headerToWire(edit.value, leadingSpace)
      return { kind: 'insert-header', index: Math.min(edit.index, endIndex), name: edit.name, value }
    }
    case 'changeHeader': {
      // An empty value would delete the header.
      const value = headerToWire(edit.value, leadingSpace) || ' '
      return { kind: 'change-header', index: edit.occurrence, name: edit.name, value }
    }
    case 'removeHeader':
      return { kind: 'change-header', index: edit.occurrence, name: edit.name, value: '' }
    case 'addRecipient': {
      const withArgs = edit.args !== '' && (answer.actions & neededAction('add-recipient-with-parameters')) !== 0
      return withArgs || (answer.actions & action.ADDRCPT) === 0
        ? { kind: 'add-recipient-with-parameters', path: edit.address, parameters: edit.args || null }
        : { kind: 'add-recipient', path: edit.address }
    }
    case 'removeRecipient':
      return { kind: 'delete-recipient', path: edit.address }
    case 'changeSender':
      return { kind: 'change-sender', path: edit.address, parameters: edit.args || null }
    case 'quarantine':
      return { kind: 'quarantine', reason: edit.reason }
  }
}
