/**
 * Names and values of header fields: what may be sent to an MTA, and the rule of the leading space. A value that breaks
 * these rules would tear the message apart: Postfix and Sendmail pass a CR through, and mend a bare or trailing LF each in
 * its own way. Nothing is mended here; a fault is told in words and the caller decides.
 */

import type { ByteString } from '../../host/bytes.ts'

/** What is wrong with a header name, or null: printable ASCII without blank and colon. */
export function headerNameFault(name: ByteString): string | null {
  if (name === '') return 'the name is empty'
  return /^[\x21-\x39\x3b-\x7e]+$/.test(name)
    ? null
    : 'the name holds a blank, a colon, a control or an 8-bit character'
}

/** What is wrong with a header value, or null. Folding is LF and then space or tab; 8-bit bytes are allowed. */
export function headerValueFault(value: ByteString): string | null {
  if (/\0/.test(value)) return 'the value holds a NUL'
  if (/\r/.test(value)) return 'the value holds a CR; lines are folded with LF alone'
  if (/\n(?![ \t])/.test(value)) return 'the value has an LF that no space or tab follows'
  return /[^\x01-\xff]/.test(value) ? 'the value holds a character above U+00FF, encode it as UTF-8 bytes first' : null
}

/**
 * A value as it stands in the message, everything behind the colon, from one that a peer sent. Without HDR_LEADSPC the
 * peer leaves out exactly one space. For an empty CHGHEADER value, which deletes, do not ask.
 */
export function headerFromWire(value: ByteString, leadingSpace: boolean): ByteString {
  return leadingSpace ? value : ` ${value}`
}

/** The way back. Without HDR_LEADSPC a value that has no leading space gets one from the MTA: that cannot be avoided. */
export function headerToWire(value: ByteString, leadingSpace: boolean): ByteString {
  return !leadingSpace && value.startsWith(' ') ? value.slice(1) : value
}
