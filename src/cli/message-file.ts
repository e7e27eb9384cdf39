/**
 * Reads a message file the way an MTA stores a message, and writes one.
 *
 * A file may have LF or CRLF line ends and an mbox `From ` line; filters see header values from after the colon, folds with
 * LF, and a body with CRLF. What does not look like a header begins the body, as with both MTAs.
 */
import { type ByteString, byteString, bytesOf } from '../host/bytes.ts'
import type { HeaderField, MessageSnapshot } from '../host/message/snapshot.ts'

export interface MessageFile {
  readonly headers: readonly Pick<HeaderField, 'name' | 'value'>[]
  readonly body: ByteString
  /** The line end of the file, for writing the result the same way. */
  readonly newline: '\n' | '\r\n'
}

const FIELD = /^([!-9;-~]+)[ \t]*:(.*)$/s

export function parseMessage(bytes: Uint8Array): MessageFile {
  const text = byteString(bytes)
  const newline = /\r\n/.test(text.slice(0, 4096)) ? '\r\n' : '\n'
  const lines = text.split(/\r?\n/)
  if (lines[0]?.startsWith('From ')) lines.shift()
  const headers: { name: ByteString; value: ByteString }[] = []
  let at = 0
  for (; at < lines.length; at++) {
    const line = lines[at]!
    const last = headers.at(-1)
    if (/^[ \t]/.test(line) && last !== undefined) {
      last.value += `\n${line}`
      continue
    }
    const field = FIELD.exec(line)
    if (field === null) break
    headers.push({ name: field[1]!, value: field[2]! })
  }
  if (lines[at] === '') at += 1
  return { headers, body: lines.slice(at).join('\r\n'), newline }
}

/** The first address in a header of that name. */
export function addressIn(message: MessageFile, name: string): ByteString | null {
  const field = message.headers.find(header => header.name.toLowerCase() === name)
  return field ? (/([^\s<>(),;:"]+@[^\s<>(),;:"]+)/.exec(field.value)?.[1] ?? null) : null
}

/** Lines of a message as text of one byte a character. */
export const messageLines = ({ headers, body }: Pick<MessageFile, 'headers' | 'body'>): ByteString[] => [
  ...headers.flatMap(({ name, value }) => `${name}:${value}`.split('\n')),
  '',
  ...body.split('\r\n'),
]

/** The stored message in the form of a file. */
export async function storedMessage(snapshot: MessageSnapshot): Promise<Pick<MessageFile, 'headers' | 'body'>> {
  const chunks: Buffer[] = []
  for await (const chunk of snapshot.body.chunks()) chunks.push(Buffer.from(chunk))
  return { headers: snapshot.headers, body: byteString(Buffer.concat(chunks)) }
}

export const messageBytes = (message: Pick<MessageFile, 'headers' | 'body'>, newline: string): Buffer =>
  bytesOf(messageLines(message).join(newline))
