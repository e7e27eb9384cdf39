/**
 * Text of peers, made harmless for a terminal, a log and whoever reads them.
 *
 * A client may put escape sequences, line ends or bidirectional controls into HELO, addresses and headers, to forge log
 * lines or to act on the postmaster's terminal. Everything that is not plain printable text is shown as an escape; the backslash
 * is doubled, so that nothing can pretend to have been escaped.
 */
import { type ByteString, decodeText } from '../bytes.ts'

/** C0, DEL, C1; soft hyphen, Arabic letter mark, Mongolian separator; zero width, bidi, line separators; BOM; tags; lone surrogates. */
const UNSAFE =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}\p{Cs}]/gu
const UNSAFE_OR_BACKSLASH = new RegExp(`${UNSAFE.source}|\\\\`, 'gu')

/** For one line of text, at most `limit` characters of the original. */
export function harmless(text: string, limit = 500): string {
  const cut = text.length > limit ? text.slice(0, limit) : text
  const shown = cut.replaceAll(UNSAFE_OR_BACKSLASH, escaped)
  return cut === text ? shown : `${shown}…(${text.length - limit} more)`
}

/** Bytes of a peer for one line of text. */
export const readable = (text: ByteString, limit?: number): string => harmless(decodeText(text), limit)

/** For a line of JSON that is otherwise finished: only what JSON leaves as it is needs escapes, and they lose nothing. */
export const harmlessJson = (line: string): string =>
  line.replaceAll(UNSAFE, character =>
    Array.from({ length: character.length }, (_, i) => `\\u${hex(character.charCodeAt(i), 4)}`).join(''),
  )

function escaped(character: string): string {
  if (character === '\\') return '\\\\'
  if (character === '\n') return '\\n'
  if (character === '\r') return '\\r'
  if (character === '\t') return '\\t'
  const code = character.codePointAt(0)!
  return code < 0x100 ? `\\x${hex(code, 2)}` : `\\u{${hex(code, 4)}}`
}

const hex = (code: number, width: number): string => code.toString(16).padStart(width, '0')
