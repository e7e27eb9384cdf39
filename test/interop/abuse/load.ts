// The load of these tests, at little cost to itself: what is sent again and again is one buffer, and the sender waits for its peer.

import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type net from 'node:net'
import { expect } from 'vitest'
import { steadily } from '../faults/chain.ts'
import { dial } from '../harness/address.ts'
import {
  cstrings,
  frame,
  type MtaClient,
  mtaClient,
  onCleanup,
  type Packet,
  Splitter,
  sleep,
  uint32,
  within,
} from '../harness/index.ts'

/** A connection of which nothing is expected but its end. */
export async function rawConnection(address: string): Promise<net.Socket> {
  const socket = dial(address)
  // How the daemon closes is its own affair: a reset, when there was more to read.
  socket.on('error', () => {})
  onCleanup(() => void socket.destroy())
  await once(socket, 'connect')
  return socket
}

/** Writes the buffer until so many bytes have gone or the peer is gone; returns how many went. */
export async function pour(socket: net.Socket, buffer: Buffer, total: number): Promise<number> {
  let sent = 0
  while (sent < total && socket.writable) {
    sent += buffer.length
    if (!socket.write(buffer)) await drained(socket)
  }
  return sent
}

function drained(socket: net.Socket): Promise<void> {
  return new Promise(resolve => {
    const done = (): void => {
      socket.off('drain', done)
      socket.off('close', done)
      resolve()
    }
    socket.on('drain', done)
    socket.on('close', done)
  })
}

export const closed = async (socket: net.Socket): Promise<void> => {
  if (socket.destroyed) return
  socket.resume()
  await once(socket, 'close')
}

/** Runs the work over and over, so many at a time. */
export async function manyAtOnce(count: number, width: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0
  await Promise.all(
    Array.from({ length: width }, async () => {
      while (next < count) await work(next++)
    }),
  )
}

/** Negotiated and greeted. */
export async function greeted(address: string): Promise<MtaClient> {
  const client = await mtaClient(address, { timeout: 60 })
  await client.negotiate()
  await client.connect()
  await client.helo()
  return client
}

export const textOf = ({ command, data }: Packet): string => command + data.toString('latin1')

export const hashOf = (...pieces: Buffer[]): string => {
  const hash = createHash('sha256')
  for (const piece of pieces) hash.update(piece)
  return hash.digest('hex').slice(0, 16)
}

const SMALL = Buffer.from('Just a body\r\n')
const STAMP_OF_SMALL = `i\0\0\0\0X-Witness\0 1 1 ${SMALL.length} ${hashOf(SMALL)}\0`

/** One small message, which must pass with its stamp. */
export async function passes(client: MtaClient): Promise<void> {
  const { edits, verdict } = await client.message({
    from: '<alice@example.com>',
    to: ['<bob@example.net>'],
    raw: `Subject: x\r\n\r\n${SMALL}`,
  })
  expect([...edits, verdict].map(textOf)).toEqual([STAMP_OF_SMALL, 'c'])
}

/** A session beside that goes on with its mail; `stop` fails if any of it went wrong. */
export async function probing(address: string): Promise<{ stop(): Promise<number> }> {
  const client = await greeted(address)
  const { stop } = steadily(() => passes(client))
  return {
    async stop() {
      // One more after whatever it was.
      await sleep(0.1)
      const rounds = await stop()
      await client.quit()
      return rounds
    },
  }
}

export const OFFER: Buffer = frame('O', uint32(6, 0x1ff, 0x1fffff))
export const BODY_CHUNK: number = 65_535
export const MAIL: Buffer = frame('M', cstrings('<alice@example.com>'))
export const RCPT: Buffer = frame('R', cstrings('<bob@example.net>'))

export const header = (name: string, value: string): Buffer => frame('L', cstrings(name, value))

/** A piece of body. */
export const LINES: Buffer = Buffer.alloc(BODY_CHUNK, `${'a line of the body '.repeat(3)}\r\n`)

/** Packets as they come, with their number known beforehand. */
export async function packets(socket: net.Socket, splitter: Splitter, count: number): Promise<string[]> {
  const said: string[] = []
  while (said.length < count) {
    const [chunk] = (await within(60, 'an answer', once(socket, 'data'))) as [Buffer]
    said.push(...splitter.feed(chunk).map(textOf))
  }
  return said
}

/** Negotiated and greeted. */
export async function begun(socket: net.Socket, splitter: Splitter = new Splitter()): Promise<void> {
  socket.write(
    Buffer.concat([OFFER, frame('C', cstrings('client.example', 'U')), frame('H', cstrings('client.example'))]),
  )
  await packets(socket, splitter, 3)
}
