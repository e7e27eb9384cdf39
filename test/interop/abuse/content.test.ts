// Messages that are too large, or very large: bodies, header fields, and new bodies that the MTA is slow to take. What is over a limit
// is refused in the protocol with words that say so; the rest goes through to the byte in little memory.

import { once } from 'node:events'
import type net from 'node:net'
import { expect, test } from 'vitest'
import { cstrings, frame, type MtaClient, Splitter, sleep, uint32, until, within } from '../harness/index.ts'
import { LARGE_BODY } from './filters.ts'
import {
  BODY_CHUNK,
  begun,
  greeted,
  hashOf,
  header,
  LINES,
  MAIL,
  packets,
  passes,
  pour,
  RCPT,
  rawConnection,
  textOf,
} from './load.ts'
import { watched } from './watched.ts'

const its = watched()

/** MAIL to the end of the headers, without waiting. */
const BEGINNING = Buffer.concat([MAIL, RCPT, frame('T'), frame('L', cstrings('Subject', ' x')), frame('N')])

test('a body of 100 MB on 20 connections at once is taken, to the byte', { timeout: 110_000 }, async () => {
  // Of each connection 1 MiB may be on its way to the disk; most of it is what V8 leaves lying. Measured: 130.
  its.allow(384)
  const pieces = Math.ceil(100_000_000 / BODY_CHUNK)
  const packet = frame('B', LINES)
  const expected = hashOf(...Array.from({ length: pieces }, () => LINES))
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      const socket = await rawConnection(its.daemon.address)
      const splitter = new Splitter()
      await begun(socket, splitter)
      socket.write(BEGINNING)
      // MAIL, RCPT, DATA.
      expect(await packets(socket, splitter, 3)).toEqual(['c', 'c', 'c'])
      await pour(socket, packet, pieces * packet.length)
      socket.write(frame('E'))
      const said: string[] = []
      while (said.at(-1) !== 'c') said.push(...(await packets(socket, splitter, 1)).filter(each => each !== 'p'))
      expect(said).toEqual([`i\0\0\0\0X-Witness\0 1 1 ${pieces * BODY_CHUNK} ${expected}\0`, 'c'])
      socket.end(frame('Q'))
    }),
  )
})

const content = (client: MtaClient): Promise<string[]> => client.step('E').then(all => all.map(textOf))

async function upToData(client: MtaClient): Promise<void> {
  await client.mail('<alice@example.com>')
  await client.rcpt('<bob@example.net>')
  await client.step('T')
}

/** What is too much of it, and what is said. */
const HEADERS = [
  { what: '100,000 headers', packet: header('X-Bomb', ` ${'x'.repeat(60)}`), count: 100_000, code: 'LIMIT_HEADERS' },
  {
    what: '100 headers of 1 MB',
    packet: header('X-Bomb', 'x'.repeat(1_000_000)),
    count: 100,
    code: 'LIMIT_HEADER_BYTES',
  },
] as const

test.for(HEADERS)('$what are refused once and with words', async ({ packet, count, code }) => {
  const client = await greeted(its.daemon.address)
  await upToData(client)
  const glued = Buffer.concat(Array.from({ length: count > 1000 ? 1000 : 1 }, () => packet))
  for (let sent = 0; sent < count; sent += count > 1000 ? 1000 : 1) {
    client.sendRaw(glued)
    await sleep(0)
  }
  client.send('N')
  const text = code === 'LIMIT_HEADERS' ? 'Too many header fields' : 'Message headers too large'
  expect(await content(client)).toEqual([`y552 5.3.4 ${text}\0`])
  await its.daemon.tells(code, /limits\.header/)
  await passes(client)
  await client.quit()
})

test('10,000 headers are taken', async () => {
  const client = await greeted(its.daemon.address)
  await upToData(client)
  client.sendRaw(Buffer.concat(Array.from({ length: 10_000 }, (_, n) => header('X-Many', ` ${n}`))))
  client.send('N')
  expect(await content(client)).toEqual([`i\0\0\0\0X-Witness\0 1 10000 0 ${hashOf()}\0`, 'c'])
  await client.quit()
})

test('a header of 16 MiB in one packet is no header: the connection ends, with a word in the log', async () => {
  const client = await greeted(its.daemon.address)
  await upToData(client)
  client.sendRaw(Buffer.concat([uint32(16 * 1024 * 1024), Buffer.from('LX-Bomb\0')]))
  await within(10, 'the connection is closed', client.closed)
  await its.daemon.tells('MTA_PROTOCOL', /16777216/)
})

/** A message whose body a filter replaces by 100 MiB. */
async function replaced(): Promise<{ socket: net.Socket; splitter: Splitter }> {
  const socket = await rawConnection(its.daemon.address)
  const splitter = new Splitter()
  await begun(socket, splitter)
  const mail = frame('M', cstrings('<replace@example.com>'))
  socket.write(Buffer.concat([mail, RCPT, frame('T'), header('Subject', ' x'), frame('N'), frame('B', LINES)]))
  expect(await packets(socket, splitter, 3)).toEqual(['c', 'c', 'c'])
  socket.pause()
  socket.write(frame('E'))
  return { socket, splitter }
}

test('an MTA that stops reading a large new body is waited for, and gets the rest when it reads on', async () => {
  const { socket, splitter } = await replaced()
  await until('the new body is there', () => its.daemon.holds().spooled > 0)
  await sleep(2)
  let bytes = 0
  const rest: string[] = []
  const done = new Promise<void>(resolve => {
    socket.on('data', chunk => {
      for (const packet of splitter.feed(chunk)) {
        if (packet.command === 'b') bytes += packet.data.length
        else rest.push(textOf(packet))
        if (packet.command === 'c') resolve()
      }
    })
  })
  socket.resume()
  await within(50, 'the whole new body', done)
  expect(bytes).toBe(LARGE_BODY)
  expect(rest.filter(each => each !== 'p')).toEqual([`i\0\0\0\0X-Witness\0 1 1 ${BODY_CHUNK} ${hashOf(LINES)}\0`, 'c'])
  socket.end(frame('Q'))
  await within(10, 'the connection is closed', once(socket, 'close'))
})

test.for(['destroy', 'resetAndDestroy'] as const)(
  'an MTA that leaves (%s) within a large new body leaves nothing behind',
  async leave => {
    for (let round = 0; round < 3; round++) {
      const { socket } = await replaced()
      await until('the new body is there', () => its.daemon.holds().spooled > 0)
      await sleep(0.3)
      socket[leave]()
    }
  },
)
