/**
 * Bytes held in strings.
 *
 * What the wire carries has no declared character set: addresses, header values and macro values are bytes
 * (RFC 5321 §2.3.1 with SMTPUTF8 is raw UTF-8, old mail is anything). A `ByteString` holds one byte in one
 * character, U+0000 to U+00FF, so that text passes through unchanged to the byte; decoding is for those who ask.
 */

/** A string in which every character is one byte (U+0000 to U+00FF), as received and not decoded. */
export type ByteString = string

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The bytes of a `ByteString`. */
export const bytesOf = (text: ByteString): Buffer => Buffer.from(text, 'latin1')

/** Bytes as a `ByteString`. */
export const byteString = (bytes: Uint8Array): ByteString =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')

/** A readable form: UTF-8 where the bytes are valid UTF-8, else one character a byte. */
export function decodeText(text: ByteString): string {
  if (isAscii(text)) return text
  try {
    return utf8.decode(bytesOf(text))
  } catch {
    // Not UTF-8: mail from before RFC 6532 in some 8-bit set. One character a byte loses nothing.
    return text
  }
}

/** Text an author wrote, or bytes, as a `ByteString` (UTF-8). */
export const encodeText = (text: string | Uint8Array): ByteString =>
  typeof text !== 'string' ? byteString(text) : isAscii(text) ? text : Buffer.from(text, 'utf8').toString('latin1')

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false
  return true
}
