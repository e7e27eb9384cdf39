/** How a plugin is shown the message: headers, body in pieces, the whole as a stream. */
import { buffer } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { memoryBody } from '../../../src/host/message/body.ts'
import type { Body } from '../../../src/host/message/snapshot.ts'
import { reject } from '../../../src/plugin.ts'
import { converse, snapshot, withHooks } from './harness.ts'

test('the hooks of the message come in order, the body piece by piece', async () => {
  const seen: string[] = []
  const conversation = await converse(
    withHooks({
      headers: event => void seen.push(`headers ${event.headers.length}`),
      body: event => void seen.push(`body ${Buffer.from(event.chunk).toString()}`),
      end: event => void seen.push(`end ${event.recipients.map(String).join(' ')}`),
    }),
  )
  await conversation.deliver(snapshot({ fields: [['Subject', ' x']], body: ['one', 'two'] }))
  expect(seen).toEqual(['headers 1', 'body one', 'body two', 'end one@example.com two@example.com'])
})

test('a message without a body has no body event', async () => {
  let pieces = 0
  const conversation = await converse(withHooks({ body: () => void pieces++, end() {} }))
  expect(await conversation.deliver(snapshot())).toMatchObject({ verdict: { kind: 'continue' } })
  expect(pieces).toBe(0)
})

test('skip ends the pieces but not the message', async () => {
  const seen: string[] = []
  const conversation = await converse(
    withHooks({
      body(event) {
        seen.push(Buffer.from(event.chunk).toString())
        return 'skip'
      },
      end: () => void seen.push('end'),
    }),
  )
  await conversation.deliver(snapshot({ body: ['one', 'two', 'three'] }))
  expect(seen).toEqual(['one', 'end'])
})

test.each(['headers', 'body'] as const)('a verdict from %s ends the message for this plugin', async hook => {
  const seen: string[] = []
  const conversation = await converse(
    withHooks({
      headers() {
        seen.push('headers')
        if (hook === 'headers') return reject('no')
      },
      async body() {
        seen.push('body')
        return reject('no')
      },
      end: () => void seen.push('end'),
    }),
  )
  const answer = await conversation.deliver(snapshot({ body: ['one', 'two'] }))
  expect(answer).toEqual({ verdict: reject('no'), edits: [] })
  expect(seen).toEqual(hook === 'headers' ? ['headers'] : ['headers', 'body'])
})

test('a body in a file is read piece by piece, and closed when the plugin has seen enough', async () => {
  let closed = 0
  const body: Body = {
    size: 6,
    memory: null,
    async *chunks() {
      try {
        yield Buffer.from('one')
        yield Buffer.from('two')
      } finally {
        closed++
      }
    },
  }
  const seen: string[] = []
  const read = await converse(withHooks({ body: event => void seen.push(Buffer.from(event.chunk).toString()) }))
  await read.deliver(snapshot({ body }))
  const skip = await converse(withHooks({ body: () => 'skip' }))
  await skip.deliver(snapshot({ body }))
  expect(seen).toEqual(['one', 'two'])
  expect(closed).toBe(2)
})

test('header values are unfolded, trimmed and decoded, and their bytes are at hand', async () => {
  expect.assertions(4)
  const conversation = await converse(
    withHooks({
      headers(event) {
        expect(event.headers.map(({ name, value }) => [name, value])).toEqual([
          ['Subject', 'one two\tthree'],
          ['X-Utf8', 'ü'],
          ['X-Latin1', 'ü'],
          ['x-utf8', 'second'],
        ])
        expect(event.headers.map(({ raw }) => Buffer.from(raw).toString('latin1'))).toEqual([
          '  one\n two\n\tthree ',
          ' \xc3\xbc',
          ' \xfc',
          ' second',
        ])
        expect(event.header('X-UTF8')).toBe(event.headers[1])
        expect(event.headerAll('x-utf8')).toEqual([event.headers[1], event.headers[3]])
      },
    }),
  )
  const fields = [
    ['Subject', '  one\n two\n\tthree '],
    ['X-Utf8', ' \xc3\xbc'],
    ['X-Latin1', ' \xfc'],
    ['x-utf8', ' second'],
  ] as const
  await conversation.deliver(snapshot({ fields }))
})

test('the raw message has CRLF line ends, its size is known, and body and stream can be read again', async () => {
  expect.assertions(4)
  const whole = 'Subject: a\r\n b\r\nX-8bit: \xfc\r\n\r\none\r\ntwo\r\n'
  const conversation = await converse(
    withHooks({
      async end(event) {
        expect(event.size).toBe(whole.length)
        for (let i = 0; i < 2; i++) expect((await buffer(event.raw())).toString('latin1')).toBe(whole)
        const pieces: Uint8Array[] = []
        for await (const piece of event.body()) pieces.push(piece)
        expect(Buffer.concat(pieces).toString()).toBe('one\r\ntwo\r\n')
      },
    }),
  )
  const fields = [
    ['Subject', ' a\n b'],
    ['X-8bit', ' \xfc'],
  ] as const
  await conversation.deliver(snapshot({ fields, body: ['one\r\n', 'two\r\n'] }))
})

test('read with `reuse`, every piece lies in one block, which is not the stored message', async () => {
  expect.assertions(6)
  const stored = ['one\r\n', 'second\r\n', 'x'].map(text => Buffer.from(text))
  const conversation = await converse(
    withHooks({
      async end(event) {
        const texts: string[] = []
        const blocks = new Set<unknown>()
        for await (const piece of event.body({ reuse: true })) {
          texts.push(Buffer.from(piece).toString())
          blocks.add(piece.buffer)
          piece.fill(0)
        }
        expect(texts).toEqual(['one\r\n', 'second\r\n', 'x'])
        expect(blocks.size).toBe(1)
        for await (const piece of event.body({ reuse: true })) expect(piece.buffer).not.toBe([...blocks][0])
      },
    }),
  )
  await conversation.deliver(snapshot({ body: memoryBody(stored) }))
  expect(Buffer.concat(stored).toString()).toBe('one\r\nsecond\r\nx')
})
