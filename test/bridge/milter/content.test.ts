import { once } from 'node:events'
import net from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Body } from '../../../src/host/message/snapshot.ts'
import { createSpool, type Spool } from '../../../src/host/message/spool.ts'
import { CONTINUE } from '../../../src/host/verdict.ts'
import { type RawMilter, rawMilter, strings, tempDir } from '../../interop/harness/index.ts'
import { codeOf, playAt } from './play.ts'

const headersOf = (milter: RawMilter): string[][] => milter.received('L').map(({ data }) => strings(data))
const bodyOf = (milter: RawMilter): Buffer => Buffer.concat(milter.received('B').map(({ data }) => data))

async function spooled(bytes: number): Promise<{ body: Body; content: Buffer }> {
  const spool: Spool = createSpool({
    directory: `${tempDir('spool')}/bodies`,
    memory: 64 * 1024,
    shared: 4 << 20,
    limit: 1 << 30,
  })
  onTestFinished(() => spool.close())
  const content = Buffer.alloc(bytes, 'the quick brown fox jumps over the lazy dog, at length\r\n')
  const writer = spool.message().writer()
  for (let at = 0; at < bytes; at += 65_535) await writer.write(content.subarray(at, at + 65_535))
  return { body: await writer.finish(), content }
}

describe('header fields', () => {
  const headers: [string, string][] = [
    ['Subject', ' one'],
    ['To', '  two'],
    ['X-None', 'none'],
    ['X-Tab', '\tv'],
    ['X-Fold', ' a\n b\n\tc'],
    ['X-Empty', ''],
    ['x-8bit', ' \xe9'],
  ]

  test('reach a milter without their leading space', async () => {
    const milter = await rawMilter()
    await (await playAt(milter.address).greet()).send({ headers })
    expect(headersOf(milter)).toEqual([
      ['Subject', 'one'],
      ['To', ' two'],
      ['X-None', 'none'],
      ['X-Tab', '\tv'],
      ['X-Fold', 'a\n b\n\tc'],
      ['X-Empty', ''],
      ['x-8bit', '\xe9'],
    ])
  })

  test('reach a milter that negotiated it with every byte behind the colon', async () => {
    const milter = await rawMilter({ protocol: 0x100000 })
    await (await playAt(milter.address).greet()).send({ headers })
    expect(headersOf(milter)).toEqual(headers)
  })
})

describe('the body', () => {
  test('of no bytes is no body packet', async () => {
    const milter = await rawMilter()
    await (await playAt(milter.address).greet()).send({ body: '', headers: [] })
    expect(milter.letters()).toBe('OCHMRTNE')
  })

  test.each([
    ['answered', 0],
    ['not answered', 0x80000],
  ])('from the spool arrives byte for byte in pieces of at most 65535, each %s', async (_how, protocol) => {
    const milter = await rawMilter({ protocol })
    const { body, content } = await spooled(5_000_000)
    expect(body.memory).toBeNull()
    const play = await playAt(milter.address).greet()
    expect((await play.send({ body })).message?.verdict).toEqual(CONTINUE)
    expect(bodyOf(milter).equals(content)).toBe(true)
    expect(Math.max(...milter.received('B').map(({ data }) => data.length))).toBeLessThanOrEqual(65_535)
  })

  test('from the spool can be told to one milter after another, and its file is let go when a milter skips', async () => {
    const { body, content } = await spooled(1_000_000)
    for (const on of [{ B: ['s'] }, {}, { B: ['r'] }]) {
      const milter = await rawMilter({ protocol: 0x400, on })
      await (await playAt(milter.address).greet()).send({ body })
      expect(bodyOf(milter).length).toBe('B' in on ? 65_535 : content.length)
    }
  })

  test('and ten thousand header fields come to a pipelined milter that is slow to read and to answer', async () => {
    const milter = await rawMilter({ on: { L: (_, { seen }) => (seen % 1000 === 0 ? [['sleep', 0.05], 'c'] : ['c']) } })
    const { body, content } = await spooled(5_000_000)
    const headers = Array.from({ length: 10_000 }, (_, i): [string, string] => [`X-${i}`, ` ${'v'.repeat(i % 100)}`])
    const play = await playAt(milter.address, { pipelining: true }).greet()
    expect((await play.send({ headers, body })).message?.verdict).toEqual(CONTINUE)
    expect(headersOf(milter)).toEqual(headers.map(([name, value]) => [name, value.slice(1)]))
    expect(bodyOf(milter).equals(content)).toBe(true)
    expect((await play.send()).message?.verdict).toEqual(CONTINUE)
    expect(milter.letters()).toMatch(/^OCHMRT(L{10000})NB+EMRTLNBE$/)
  })

  test('to a pipelined milter that skips ends soon, and the next message has its own answers', async () => {
    const milter = await rawMilter({ protocol: 0x400, on: { B: ['s'] } })
    const { body } = await spooled(20_000_000)
    const play = await playAt(milter.address, { pipelining: true }).greet()
    expect((await play.send({ body })).message?.verdict).toEqual(CONTINUE)
    expect(bodyOf(milter).length).toBeLessThan(20_000_000)
    expect((await play.send()).message?.verdict).toEqual(CONTINUE)
    expect(play.refused).toEqual([])
  })

  test('to a milter that does not read waits in the spool and not in memory, until the host gives up', async () => {
    const address = `unix:${tempDir('deaf')}/milter.sock`
    await deafMilter(address.slice(5))
    const play = await playAt(address).greet()
    const body = new CountedBody(1000)
    const failure = codeOf(play.send({ body }))
    let before = -1
    while (before !== body.read || body.read === 0) {
      before = body.read
      await new Promise(resolve => setTimeout(resolve, 100))
    }
    expect(body.read).toBeLessThan(50)
    play.controller.abort({ kind: 'timeout', detail: 'too late' })
    expect(await failure).toBe('INTERRUPTED')
    expect(body.open).toBe(0)
  })
})

/** Agrees to answer only the end, and reads nothing after that. */
async function deafMilter(path: string): Promise<void> {
  const sockets: net.Socket[] = []
  const server = net.createServer(socket => {
    sockets.push(socket)
    socket.on('error', () => {})
    socket.once('data', () => {
      socket.write(Buffer.from('0000000d4f00000006000001ff000ff080', 'hex'))
      socket.pause()
    })
  })
  server.listen(path)
  await once(server, 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
}

/** So many pieces of 64 KiB that exist only while they are read. */
class CountedBody implements Body {
  readonly size: number
  readonly memory = null
  /** Pieces given out. */
  read = 0
  /** Readers that have not finished. */
  open = 0
  readonly #pieces: number

  constructor(pieces: number) {
    this.#pieces = pieces
    this.size = pieces * 65_535
  }

  async *chunks(): AsyncIterable<Buffer> {
    this.open++
    try {
      for (; this.read < this.#pieces; this.read++) yield Buffer.alloc(65_535, 'x')
    } finally {
      this.open--
    }
  }
}

describe('one write for all that waits for no answer in between', () => {
  test('a small message to a milter that answers only the end leaves in one piece', async () => {
    const milter = await rawMilter({ protocol: 0xff080 })
    const play = await playAt(milter.address).greet()
    await play.mail()
    await play.rcpt()
    await play.data()
    await milter.waitFor('DATA', () => milter.letters().endsWith('T'))
    const before = milter.log.length
    await play.message({ headers: Array.from({ length: 50 }, (_, i) => [`X-${i}`, ' v']) })
    const arrived = milter.log.slice(before).filter(entry => entry.direction === 'in')
    expect(arrived.map(entry => entry.command).join('')).toBe(`${'L'.repeat(50)}NBE`)
  })
})
