import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { addressIn, messageBytes, parseMessage } from '../../src/cli/message-file.ts'

const parse = (text: string): ReturnType<typeof parseMessage> => parseMessage(Buffer.from(text, 'latin1'))

describe('a message file', () => {
  it.each(['\n', '\r\n'])(
    'with line ends %j gives values with their space, folds with LF, a body with CRLF',
    newline => {
      const text = ['Subject: a', '\tfolded', 'X-Tight:b', 'X-Empty:', '', 'one', 'two', ''].join(newline)
      expect(parse(text)).toEqual({
        headers: [
          { name: 'Subject', value: ' a\n\tfolded' },
          { name: 'X-Tight', value: 'b' },
          { name: 'X-Empty', value: '' },
        ],
        body: 'one\r\ntwo\r\n',
        newline,
      })
    },
  )

  it('from a mailbox loses its first line', () => {
    expect(parse('From ann@example.org Tue Nov 24\nSubject: x\n\n').headers).toEqual([{ name: 'Subject', value: ' x' }])
  })

  it('has a body from the first line that is no header, as with an MTA', () => {
    expect(parse('Subject: x\nno header\n\nrest')).toMatchObject({ body: 'no header\r\n\r\nrest' })
    expect(parse('just text')).toMatchObject({ headers: [], body: 'just text' })
    expect(parse(' folded nothing\n')).toMatchObject({ headers: [], body: ' folded nothing\r\n' })
  })

  it('may have no body, or nothing at all', () => {
    expect(parse('Subject: x\n')).toMatchObject({ headers: [{ name: 'Subject', value: ' x' }], body: '' })
    expect(parse('')).toMatchObject({ headers: [], body: '' })
  })

  it('keeps every byte', () => {
    const line = fc.string({ unit: fc.constantFrom('a', ' ', ':', '\t', '\u0000', '\u00ff', '\u0080') })
    fc.assert(
      fc.property(fc.array(line, { minLength: 1 }), fc.constantFrom('\n', '\r\n'), (body, newline) => {
        const bytes = Buffer.from(['Subject: x', '', ...body].join(newline), 'latin1')
        expect(messageBytes(parseMessage(bytes), newline)).toEqual(bytes)
      }),
    )
  })
})

it.each([
  ['From: Ann <ann@example.org>', 'ann@example.org'],
  ['from: ann@example.org (Ann)', 'ann@example.org'],
  ['From: "a, b" <c@d.e>, f@g.h', 'c@d.e'],
  ['From: nobody', null],
  ['Subject: x', null],
])('the first address of %j is %s', (header, address) => {
  expect(addressIn(parse(`${header}\n\n`), 'from')).toBe(address)
})
