/**
 * What a plugin may send: replies, header fields, addresses.
 *
 * Each rule answers with the fault in words, or `null`. They are the strictest of both MTAs and of libmilter: Postfix 3.7
 * and Sendmail 8.17 pass a CR in a header value on, mend a bare LF each in its own way, and hand a line break in a
 * reply to the SMTP client as it is. Nothing is mended here; the caller turns a fault into an error that names the plugin.
 */
import type { ByteString } from '../bytes.ts'
import type { SmtpReply } from '../verdict.ts'

/** libmilter's limits. The length is that of the text behind the codes as it goes over the wire, `%` doubled. */
const MOST_LINES = 32
const MOST_LINE_BYTES = 980

/** RFC 5321 §4.5.3.1.3 says 256; real mail has longer ones, both MTAs take them. */
const MOST_ADDRESS_BYTES = 1000

export function replyFault({ code, enhanced, lines }: SmtpReply): string | null {
  if (!Number.isInteger(code) || code < 400 || code > 599) return `the code ${code} is not from 400 to 599`
  const digit = code < 500 ? '4' : '5'
  if (enhanced !== null && !(/^[45]\.\d{1,3}\.\d{1,3}$/.test(enhanced) && enhanced[0] === digit)) {
    return `the enhanced code ${JSON.stringify(enhanced)} does not fit the code ${code}, which needs ${digit}.x.y`
  }
  if (lines.length === 0) return 'there is no line of text'
  if (lines.length > MOST_LINES) return `${lines.length} lines, ${MOST_LINES} are the limit`
  for (const [index, line] of lines.entries()) {
    const fault = lineFault(line, enhanced === null ? digit : null)
    if (fault !== null) return `line ${index + 1} ${fault}`
  }
  return null
}

function lineFault(line: ByteString, classOfOwnCode: string | null): string | null {
  if (/[\r\n\0]/.test(line)) return 'holds a CR, LF or NUL'
  const bytes = line.replaceAll('%', '%%').length
  if (bytes > MOST_LINE_BYTES) return `has ${bytes} bytes, ${MOST_LINE_BYTES} are the limit`
  if (classOfOwnCode === null) return null
  const own = /^([245])\.\d{1,3}\.\d{1,3}(?= |$)/.exec(line)
  return own === null || own[1] === classOfOwnCode
    ? null
    : `has the enhanced code ${own[0]}, its class must be ${classOfOwnCode}`
}

export function headerNameFault(name: ByteString): string | null {
  if (name === '') return 'the name is empty'
  return /^[\x21-\x39\x3b-\x7e]+$/.test(name)
    ? null
    : `the name ${JSON.stringify(name)} holds a blank, a colon, a control or a character beyond ASCII`
}

/** Long lines are fine: neither MTA folds, and a signature covers what is there. */
export function headerValueFault(value: ByteString): string | null {
  if (value.includes('\0')) return 'the value holds a NUL'
  if (value.includes('\r')) return 'the value holds a CR; fold with LF and a space, the MTA writes the CR'
  if (/\n(?![ \t])/.test(value)) return 'the value has an LF that no space or tab follows'
  // A line of blanks ends the headers for some readers.
  if (/\n[ \t]*(?:\n|$)/.test(value)) return 'the value has a folded line with nothing but white space'
  return null
}

/** `address` without angle brackets; empty is the null sender. */
export function addressFault(address: ByteString): string | null {
  if (address.length > MOST_ADDRESS_BYTES) return `${address.length} bytes, ${MOST_ADDRESS_BYTES} are the limit`
  const control = controlFault(address)
  if (control !== null) return control
  const unquoted = address.replace(/^"(?:[^"\\]|\\.)*"/, '')
  return /[\s<>"(),;]/.test(unquoted)
    ? 'holds a blank, a bracket, a quote or a comma outside a quoted local part'
    : null
}

export const controlFault = (text: ByteString): string | null =>
  /[\0-\x1f\x7f]/.test(text) ? 'holds a control character' : null
