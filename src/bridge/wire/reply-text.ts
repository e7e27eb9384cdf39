/**
 * The text of a REPLYCODE packet: read from a filter and checked, or made from an SMTP reply. The rules are the strictest
 * of all MTAs and of libmilter, because a reply that slips through is dangerous: Postfix 3.7 hands a line `250 ok` inside a
 * reply on to the client, which then believes its mail was taken, and Sendmail answers a text it dislikes with a bounce.
 * Bad text is a result and no exception, so the caller can answer with safe words of the same class.
 *
 * On the wire `%` is doubled (Sendmail formats the text); an `SmtpReply` holds it single. A lone `%` from a filter is taken
 * as itself. Any text that libmilter can send comes out again with the same bytes.
 */

import type { ByteString } from '../../host/bytes.ts'
import type { SmtpReply } from '../../host/verdict.ts'
import { quoted, WireError } from './error.ts'

/** libmilter's limits; the length is that of the text behind the codes, `%` doubled. */
export const replyLimits = { lines: 32, lineBytes: 980 } as const

export type DecodedReplyText =
  | { readonly ok: true; readonly reply: SmtpReply }
  /** `class` is that of the code as far as one can be seen, else 4: what cannot be read must not bounce mail. */
  | { readonly ok: false; readonly class: 4 | 5; readonly why: string }

const linePattern = /^([45][0-9][0-9])([- ])(.*)$/s
const enhancedPattern = /^([245])\.[0-9]{1,3}\.[0-9]{1,3}(?= |$)/
const enhancedOnly = /^[45]\.[0-9]{1,3}\.[0-9]{1,3}$/

export function decodeReplyText(text: ByteString): DecodedReplyText {
  const bad = (why: string): DecodedReplyText => ({ ok: false, class: text.startsWith('5') ? 5 : 4, why })
  const wireLines = text.split('\r\n')
  if (wireLines.length > replyLimits.lines) return bad(`${wireLines.length} lines, ${replyLimits.lines} are the limit`)
  const texts: ByteString[] = []
  let code = ''
  for (const [index, wireLine] of wireLines.entries()) {
    const match = linePattern.exec(wireLine)
    if (match === null) return bad(`line ${index + 1} ${quoted(wireLine)} does not start with a 4xx or 5xx code`)
    const last = index === wireLines.length - 1
    if (match[2] !== (last ? ' ' : '-')) return bad(`line ${index + 1} needs "${last ? ' ' : '-'}" behind its code`)
    code ||= match[1]!
    if (match[1] !== code) return bad(`line ${index + 1} has the code ${match[1]}, the first line ${code}`)
    texts.push(match[3]!)
  }
  const { enhanced, lines } = splitEnhanced(texts)
  const reply: SmtpReply = { code: Number(code), enhanced, lines: lines.map(line => line.replaceAll('%%', '%')) }
  const fault = replyFault(reply)
  return fault === null ? { ok: true, reply } : bad(fault)
}

/** Throws WireError WIRE_REPLY_TEXT if the reply breaks a rule; check with `replyFault` what a filter's author wrote. */
export function encodeReplyText(reply: SmtpReply): ByteString {
  const fault = replyFault(reply)
  if (fault !== null) throw new WireError('WIRE_REPLY_TEXT', { why: fault })
  const last = reply.lines.length - 1
  const prefix = reply.enhanced === null ? '' : `${reply.enhanced} `
  return reply.lines
    .map((line, index) => `${reply.code}${index === last ? ' ' : '-'}${prefix}${line.replaceAll('%', '%%')}`)
    .join('\r\n')
}

/** What is wrong with a reply, in words, or null. */
export function replyFault(reply: SmtpReply): string | null {
  const { code, enhanced, lines } = reply
  if (!Number.isInteger(code) || code < 400 || code > 599) return `the code ${code} is not from 400 to 599`
  const digit = String(code)[0]!
  if (enhanced !== null && (!enhancedOnly.test(enhanced) || enhanced[0] !== digit)) {
    return `the enhanced code ${quoted(enhanced)} does not fit the code ${code}, which needs ${digit}.x.y`
  }
  if (lines.length === 0) return 'there is no line'
  if (lines.length > replyLimits.lines) return `${lines.length} lines, ${replyLimits.lines} are the limit`
  for (const [index, line] of lines.entries()) {
    const fault = lineFault(line, enhanced === null ? digit : null)
    if (fault !== null) return `line ${index + 1} ${fault}`
  }
  return null
}

function lineFault(line: ByteString, ownEnhancedDigit: string | null): string | null {
  if (/[\r\n\0]/.test(line)) return 'holds a CR, LF or NUL'
  if (/[^\0-\xff]/.test(line)) return 'holds a character above U+00FF, encode it as UTF-8 bytes first'
  const bytes = line.replaceAll('%', '%%').length
  if (bytes > replyLimits.lineBytes) return `has ${bytes} bytes, ${replyLimits.lineBytes} are the limit`
  if (ownEnhancedDigit === null) return null
  const own = enhancedPattern.exec(line)
  if (own === null || own[1] === ownEnhancedDigit) return null
  return `has the enhanced code ${own[0]}, its class must be ${ownEnhancedDigit}`
}

/** The enhanced code is taken out if every line has the same one and a blank behind it; else the lines keep theirs. */
function splitEnhanced(texts: readonly ByteString[]): { enhanced: string | null; lines: readonly ByteString[] } {
  const enhanced = enhancedPattern.exec(texts[0]!)?.[0]
  if (enhanced === undefined || !texts.every(text => text.startsWith(`${enhanced} `))) {
    return { enhanced: null, lines: texts }
  }
  return { enhanced, lines: texts.map(text => text.slice(enhanced.length + 1)) }
}
