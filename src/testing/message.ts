/**
 * A message as a test writes it, taken apart into what an MTA sends to a filter.
 */
import { type ByteString, byteString, encodeText } from '../host/bytes.ts'

/** A message: as in an `.eml` file, or its parts. Text is UTF-8; line feeds become CRLF. */
export type TestMessage =
  | string
  | Uint8Array
  | {
      /** By name, or as pairs where order or repetition matters. */
      readonly headers?: Readonly<Record<string, string>> | readonly (readonly [name: string, value: string])[]
      readonly body?: string | Uint8Array
    }

/** Header values with their leading space, folds as LF and white space; the body with CRLF line ends. */
export interface MessageParts {
  readonly fields: readonly { readonly name: ByteString; readonly value: ByteString }[]
  readonly body: Buffer
}

export function messageParts(message: TestMessage): MessageParts {
  if (typeof message === 'string' || message instanceof Uint8Array) return parse(encodeText(message))
  const { headers = {}, body = '' } = message
  const pairs = Array.isArray(headers) ? (headers as readonly (readonly [string, string])[]) : Object.entries(headers)
  const fields = pairs.map(([name, value]) => ({ name, value: ` ${encodeText(value).replaceAll('\r\n', '\n')}` }))
  return { fields, body: crlf(typeof body === 'string' ? encodeText(body) : byteString(body)) }
}

/** As an MTA does it: the first line that is no header ends the headers, a blank one is dropped. */
function parse(text: ByteString): MessageParts {
  const fields: { name: ByteString; value: ByteString }[] = []
  let at = 0
  while (at < text.length) {
    const end = text.indexOf('\n', at)
    const next = end < 0 ? text.length : end + 1
    const line = text.slice(at, end < 0 ? text.length : end).replace(/\r$/, '')
    const last = fields.at(-1)
    if (line === '') {
      at = next
      break
    }
    const field = /^([\x21-\x39\x3b-\x7e]+)[ \t]*:(.*)$/s.exec(line)
    if (last !== undefined && /^[ \t]/.test(line)) last.value += `\n${line}`
    else if (field !== null) fields.push({ name: field[1]!, value: field[2]! })
    else break
    at = next
  }
  return { fields, body: crlf(text.slice(at)) }
}

const crlf = (text: ByteString): Buffer => Buffer.from(text.replace(/(?<!\r)\n/g, '\r\n'), 'latin1')
