import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeReplyText, encodeReplyText, replyFault } from '../../../src/bridge/wire/index.ts'
import type { SmtpReply } from '../../../src/host/verdict.ts'
import { text } from './arbitrary.ts'
import { codeOf, errorOf } from './error-of.ts'

const replyOf = (wire: string): SmtpReply => {
  const decoded = decodeReplyText(wire)
  if (!decoded.ok) throw new Error(decoded.why)
  return decoded.reply
}

/** What libmilter's smfi_setreply and smfi_setmlreply can make. */
const libmilterText = fc
  .record({
    code: fc.tuple(fc.constantFrom(4, 5), fc.integer({ min: 0, max: 99 })),
    enhanced: fc.option(fc.tuple(fc.integer({ min: 0, max: 999 }), fc.integer({ min: 0, max: 999 }))),
    texts: fc.array(
      text.map(line => line.replace(/[\r\n]|^[245](?=\.)/g, '').replace(/%/g, '%%')),
      { minLength: 1, maxLength: 32 },
    ),
    blank: fc.boolean(),
  })
  .map(({ code: [first, rest], enhanced, texts, blank }) => {
    const code = `${first}${String(rest).padStart(2, '0')}`
    const own = enhanced === null ? '' : `${first}.${enhanced[0]}.${enhanced[1]}`
    if (texts.length === 1 && blank) return `${code} ${own}`
    const words = (line: string): string => (own === '' ? line : `${own} ${line}`)
    return texts.map((line, at) => `${code}${at === texts.length - 1 ? ' ' : '-'}${words(line)}`).join('\r\n')
  })

describe('decodeReplyText', () => {
  it('takes code, enhanced code and lines apart', () => {
    expect(replyOf('550-5.7.1 l1 100%%\r\n550 5.7.1 l2')).toEqual({
      code: 550,
      enhanced: '5.7.1',
      lines: ['l1 100%', 'l2'],
    })
    expect(replyOf('451 later')).toEqual({ code: 451, enhanced: null, lines: ['later'] })
    expect(replyOf('421 4.7.0 bye')).toEqual({ code: 421, enhanced: '4.7.0', lines: ['bye'] })
    expect(replyOf('550 ')).toEqual({ code: 550, enhanced: null, lines: [''] })
    expect(replyOf('550-5.7.1 \r\n550 5.7.1 x')).toEqual({ code: 550, enhanced: '5.7.1', lines: ['', 'x'] })
  })

  it.each([
    ['550 5.7.1', ['5.7.1']],
    ['550-5.7.1 a\r\n550 5.7.2 b', ['5.7.1 a', '5.7.2 b']],
    ['550-5.7.1 a\r\n550 b', ['5.7.1 a', 'b']],
    ['550-a\r\n550 5.7.1 b', ['a', '5.7.1 b']],
  ])('leaves the enhanced codes of %j to their lines', (wire, lines) => {
    expect(replyOf(wire)).toEqual({ code: 550, enhanced: null, lines })
    expect(encodeReplyText(replyOf(wire))).toBe(wire)
  })

  it('gives back the bytes of every text that libmilter can make', () => {
    fc.assert(
      fc.property(libmilterText, wire => {
        expect(encodeReplyText(replyOf(wire))).toBe(wire)
      }),
    )
  })

  it('takes a lone % for itself, and it goes out doubled', () => {
    expect(replyOf('550 100% sure %s').lines).toEqual(['100% sure %s'])
    expect(encodeReplyText(replyOf('550 100% sure %s'))).toBe('550 100%% sure %%s')
  })

  it('lets 8-bit text and tabs pass', () => {
    expect(encodeReplyText(replyOf('550 5.7.1 caf\xc3\xa9\t!'))).toBe('550 5.7.1 caf\xc3\xa9\t!')
  })

  it.each([
    ['', 4, 'empty'],
    ['no', 4, 'no code'],
    ['250 2.0.0 fine', 4, 'a positive code'],
    ['354 go on', 4, 'an intermediate code'],
    ['650 x', 4, 'no SMTP code'],
    ['550', 5, 'a code without separator'],
    ['5505 x', 5, 'four digits'],
    ['55x y', 5, 'a letter in the code'],
    ['550-x', 5, 'a last line with a hyphen'],
    ['550 a\r\n550 b', 5, 'a middle line without a hyphen'],
    ['550-a\r\n551 b', 5, 'two codes'],
    ['550-a\r\n450 b', 5, 'two classes'],
    ['550 5.7.1 a\r\n250 2.0.0 ok', 5, 'an injected line that says 250'],
    ['550-5.7.1 a\r\n250 2.0.0 ok', 5, 'an injected last line that says 250'],
    ['450 a\r\n', 4, 'a trailing CRLF'],
    ['550-a\n550 b', 5, 'LF alone between lines'],
    ['550 a\rb', 5, 'a bare CR'],
    ['550 a\0b', 5, 'a NUL'],
    ['550 4.7.1 a', 5, 'an enhanced code of the other class'],
    ['450 5.7.1 a', 4, 'an enhanced code of the other class'],
    ['550 2.0.0 a', 5, 'an enhanced code of success'],
    ['550-5.7.1 a\r\n550 4.7.1 b', 5, 'a later enhanced code of the other class'],
    ['550 2.0.0', 5, 'an enhanced code of success and no text'],
    [`550 ${'x'.repeat(981)}`, 5, 'a line that is too long'],
    [`550 ${'%%'.repeat(491)}`, 5, 'a line that is too long with its % doubled'],
    [`${'550-x\r\n'.repeat(32)}550 x`, 5, '33 lines'],
  ] as const)('refuses %j as class %i: %s', (wire, expected, _why) => {
    const decoded = decodeReplyText(wire)
    expect(decoded).toMatchObject({ ok: false, class: expected })
    expect(!decoded.ok && decoded.why).toMatch(/^[\x20-\x7e]+$/)
  })

  it('takes the longest line and the greatest number of lines', () => {
    const wire = `${`550-5.7.1 ${'x'.repeat(980)}\r\n`.repeat(31)}550 5.7.1 ${'%%'.repeat(490)}`
    expect(encodeReplyText(replyOf(wire))).toBe(wire)
  })

  it('never gives a reply that cannot be sent, whatever comes in', () => {
    const pieces = fc.constantFrom(
      '550',
      '450',
      '250',
      '-',
      ' ',
      '5.7.1',
      '4.0.0',
      '2.0.0',
      '\r\n',
      '\n',
      '%',
      '\0',
      'x',
    )
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 14 }), parts => {
        const decoded = decodeReplyText(parts.join(''))
        if (!decoded.ok) return
        const wire = encodeReplyText(decoded.reply)
        for (const line of wire.split('\r\n')) expect(line).toMatch(/^[45]\d\d[- ]/)
        expect(wire).not.toMatch(/\0|\r(?!\n)|(?<!\r)\n|\r\n$/)
        expect(wire.replaceAll('%%', '')).not.toContain('%')
      }),
    )
  })
})

describe('encodeReplyText', () => {
  it('gives one code on all lines, hyphens but on the last, and CRLF between', () => {
    const reply = { code: 550, enhanced: '5.7.1', lines: ['one', '100%', ''] }
    expect(encodeReplyText(reply)).toBe('550-5.7.1 one\r\n550-5.7.1 100%%\r\n550 5.7.1 ')
  })

  it.each([
    [{ code: 250, enhanced: null, lines: ['x'] }, 'the code 250 is not from 400 to 599'],
    [{ code: 550.5, enhanced: null, lines: ['x'] }, 'the code 550.5 is not from 400 to 599'],
    [
      { code: 550, enhanced: '4.7.1', lines: ['x'] },
      'the enhanced code "4.7.1" does not fit the code 550, which needs 5.x.y',
    ],
    [
      { code: 550, enhanced: '5.7', lines: ['x'] },
      'the enhanced code "5.7" does not fit the code 550, which needs 5.x.y',
    ],
    [{ code: 550, enhanced: null, lines: [] }, 'there is no line'],
    [{ code: 550, enhanced: null, lines: ['a', 'b\nc'] }, 'line 2 holds a CR, LF or NUL'],
    [
      { code: 550, enhanced: null, lines: ['€'] },
      'line 1 holds a character above U+00FF, encode it as UTF-8 bytes first',
    ],
    [{ code: 550, enhanced: null, lines: ['4.7.1 x'] }, 'line 1 has the enhanced code 4.7.1, its class must be 5'],
    [{ code: 550, enhanced: null, lines: ['x'.repeat(981)] }, 'line 1 has 981 bytes, 980 are the limit'],
    [{ code: 550, enhanced: null, lines: Array(33).fill('x') }, '33 lines, 32 are the limit'],
  ])('refuses %j', (reply: SmtpReply, why) => {
    expect(replyFault(reply)).toBe(why)
    expect(errorOf(() => encodeReplyText(reply)).message).toBe(`SMTP reply refused: ${why}`)
    expect(codeOf(() => encodeReplyText(reply))).toBe('WIRE_REPLY_TEXT')
  })
})
