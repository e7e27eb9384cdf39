import { expect, test } from 'vitest'
import { messageParts } from '../../src/testing/message.ts'

test('a message as in a file is taken apart as an MTA does it', () => {
  const { fields, body } = messageParts('Subject: one\n two\r\nX-Empty:\r\nX-8bit: ü\n\nbody\nline\r\n')
  expect(fields).toEqual([
    { name: 'Subject', value: ' one\n two' },
    { name: 'X-Empty', value: '' },
    { name: 'X-8bit', value: ' \xc3\xbc' },
  ])
  expect(body.toString()).toBe('body\r\nline\r\n')
})

test('the first line that is no header begins the body', () => {
  expect(messageParts('A: 1\nno header here\n').body.toString()).toBe('no header here\r\n')
  expect(messageParts('no header at all').fields).toEqual([])
  expect(messageParts(' folded before any header').body.toString()).toBe(' folded before any header')
  expect(messageParts('')).toMatchObject({ fields: [] })
})

test('a message of parts keeps order and repetition', () => {
  const parts = messageParts({
    headers: [
      ['A', '1'],
      ['B', 'x\r\n y'],
      ['A', '2'],
    ],
    body: 'text\n',
  })
  expect(parts.fields).toEqual([
    { name: 'A', value: ' 1' },
    { name: 'B', value: ' x\n y' },
    { name: 'A', value: ' 2' },
  ])
  expect(messageParts({ headers: { Subject: 'ü' } }).fields).toEqual([{ name: 'Subject', value: ' \xc3\xbc' }])
  expect(messageParts({ body: Uint8Array.of(0xfc, 0x0a) }).body.toString('latin1')).toBe('\xfc\r\n')
})
