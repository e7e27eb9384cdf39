import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { harmless, harmlessJson, readable } from '../../../src/host/observe/safe.ts'

const ESC = '\u001b'

describe('text of a peer', () => {
  it.each([
    ['an ANSI colour', `${ESC}[31mred${ESC}[0m`, '\\x1b[31mred\\x1b[0m'],
    ['a title sequence', `${ESC}]0;owned\u0007`, '\\x1b]0;owned\\x07'],
    ['a forged line', 'a\r\n2026-11-24 fake', 'a\\r\\n2026-11-24 fake'],
    ['a tab', 'a\tb', 'a\\tb'],
    ['a NUL and DEL', '\u0000\u007f', '\\x00\\x7f'],
    ['C1: the one-byte CSI', '\u009b31m', '\\x9b31m'],
    ['a right-to-left override', 'gnp\u202e.exe', 'gnp\\u{202e}.exe'],
    ['bidirectional isolates', '\u2066a\u2069', '\\u{2066}a\\u{2069}'],
    ['a line separator', 'a\u2028b', 'a\\u{2028}b'],
    ['zero width characters', 'a\u200bb\ufeff', 'a\\u{200b}b\\u{feff}'],
    ['tag characters', 'a\u{e0041}', 'a\\u{e0041}'],
    ['half a surrogate pair', 'a\ud800', 'a\\u{d800}'],
    ['a backslash', '\\x1b', '\\\\x1b'],
  ])('is shown harmless: %s', (_what, text, shown) => {
    expect(harmless(text)).toBe(shown)
  })

  it('that is plain is left as it is', () => {
    const plain = 'Grüße an <jörg@例え.jp> 🙂 "quoted"'
    expect(harmless(plain)).toBe(plain)
  })

  it('is cut to a length, and says how much is missing', () => {
    expect(harmless('x'.repeat(600))).toBe(`${'x'.repeat(500)}…(100 more)`)
  })

  it('never holds a control character, and is never mistaken for another', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
        expect(harmless(a)).not.toMatch(/[\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e]/u)
        if (a !== b) expect(harmless(a, 1e6)).not.toBe(harmless(b, 1e6))
      }),
    )
  })
})

describe('bytes of a peer', () => {
  it('that are UTF-8 are shown as such', () => {
    expect(readable(Buffer.from('müller').toString('latin1'))).toBe('müller')
  })

  it('that are not are shown one by one, C1 escaped', () => {
    expect(readable('caf\u00e9 \u009b')).toBe('café \\x9b')
  })

  it('that hide a control in UTF-8 are escaped', () => {
    expect(readable(Buffer.from('a\u202eb').toString('latin1'))).toBe('a\\u{202e}b')
  })
})

describe('a line of JSON', () => {
  it('keeps its meaning and loses what a terminal would act on', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), text => {
        const line = harmlessJson(JSON.stringify({ text }))
        expect(line).not.toMatch(/[\p{Cc}\u2028\u2029\u202a-\u202e\u{e0000}-\u{e007f}]/u)
        expect(JSON.parse(line)).toEqual({ text })
      }),
    )
  })
})
