// Whoever reaches the listener without being an MTA, and MTAs whose bytes make no sense: the connection ends at once with a word in
// the log, memory stays as it is, and the session beside never notices.

import { once } from 'node:events'
import type net from 'node:net'
import { expect, test } from 'vitest'
import { cstrings, frame, Splitter, uint32, within } from '../harness/index.ts'
import { BODY_CHUNK, closed, greeted, manyAtOnce, OFFER, passes, pour, rawConnection } from './load.ts'
import { watched } from './watched.ts'

const GIB = 1024 ** 3
const its = watched()

/** 64 KiB that are always the same and look like nothing. */
function noise(): Buffer {
  const bytes = Buffer.alloc(65_536)
  let state = 0x9e3779b9
  for (let i = 0; i < bytes.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes[i] = state >>> 24
  }
  return bytes
}

test.for([
  ['noise', noise()],
  ['zeros', Buffer.alloc(65_536)],
  ['0xFF', Buffer.alloc(65_536, 0xff)],
  ['text', Buffer.alloc(65_536, 'GET / HTTP/1.1\r\nHost: mx.example\r\n')],
] as const)('256 MiB of %s, poured by one connection after another, find no ear', async ([, bytes]) => {
  its.allow(32)
  let sent = 0
  while (sent < GIB / 4) {
    const socket = await rawConnection(its.daemon.address)
    sent += await pour(socket, bytes, GIB / 4)
    await within(10, 'the connection is closed', closed(socket))
  }
  await its.daemon.tells('MTA_JUNK', /./)
})

test('1 GiB behind a length of 0xFFFFFFFF is refused at its header', async () => {
  its.allow(16)
  const socket = await rawConnection(its.daemon.address)
  socket.write(OFFER)
  await once(socket, 'data')
  socket.write(uint32(0xffffffff))
  const sent = await pour(socket, Buffer.alloc(65_536, 'B'), GIB)
  await within(10, 'the connection is closed', closed(socket))
  // What the kernel took, not the daemon.
  expect(sent).toBeLessThan(GIB / 16)
  await its.daemon.tells('MTA_PROTOCOL', /4294967295/)
})

test('1 GiB of packets that mean nothing where they come are let pass by, and the connection is good afterwards', async () => {
  // Measured: 50 to 100.
  its.allow(224)
  const socket = await rawConnection(its.daemon.address)
  socket.write(OFFER)
  await once(socket, 'data')
  // Content without a message is not answered: the MTA was told not to wait.
  await pour(socket, frame('B', Buffer.alloc(BODY_CHUNK, 'x')), GIB)
  socket.write(Buffer.concat([frame('C', cstrings('x', 'U')), frame('Q')]))
  const [answer] = (await once(socket, 'data')) as [Buffer]
  expect(new Splitter().feed(answer).map(({ command }) => command)).toEqual(['c'])
  await within(10, 'the connection is closed', closed(socket))
})

/** The beginnings of what talks to open ports. */
const SCANS: readonly (readonly [string, Buffer])[] = [
  ['nothing', Buffer.alloc(0)],
  ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\nHost: mx.example\r\nUser-Agent: scan\r\n\r\n')],
  ['a TLS hello', Buffer.from('16030100c8010000c40303', 'hex')],
  ['an SSH banner', Buffer.from('SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n')],
  ['1 KiB of noise', noise().subarray(100, 1124)],
]

test('a port scan of 10,000 connections leaves nothing behind and does not fill the log', async () => {
  const lines = its.daemon.told('MTA_JUNK').length
  await manyAtOnce(10_000, 40, async n => {
    const [what, bytes] = SCANS[n % SCANS.length]!
    const socket = await rawConnection(its.daemon.address)
    if (what === 'nothing') socket.destroy()
    else socket.write(bytes)
    await closed(socket)
  })
  expect(its.daemon.told('MTA_JUNK').length - lines).toBeLessThanOrEqual(20)
})

test('5,000 connections that never finish their offer are closed at the deadline', async () => {
  const sockets: net.Socket[] = []
  await manyAtOnce(5_000, 100, async () => {
    const socket = await rawConnection(its.daemon.address)
    socket.write(OFFER.subarray(0, 9))
    sockets.push(socket)
  })
  expect(its.daemon.holds().sockets).toBeGreaterThan(4_000)
  await within(30, 'all are closed', Promise.all(sockets.map(closed)))
  await its.daemon.tells('MTA_HANDSHAKE', /5/)
})

test('every command byte there is, alone and with a payload, harms nobody', async () => {
  const known = new Set('ABCDEHKLMNOQRTU')
  const junk = noise()
  for (let byte = 0; byte < 256; byte++) {
    const letter = String.fromCharCode(byte)
    for (const payload of [Buffer.alloc(0), junk.subarray(byte, byte + 40)]) {
      const socket = await rawConnection(its.daemon.address)
      const answers: Buffer[] = []
      socket.on('data', chunk => answers.push(chunk))
      socket.write(Buffer.concat([OFFER, frame(letter, payload), frame('Q')]))
      await within(10, `the connection is closed after ${byte}`, closed(socket))
      const said = new Splitter().feed(Buffer.concat(answers)).map(({ command }) => command)
      // The offer's answer, and to a command that an MTA waits for one that lets no mail pass by itself.
      expect(said.slice(0, 1)).toEqual(['O'])
      expect(['', 'c', 'y']).toContain(said.slice(1).join(''))
      if (!known.has(letter)) expect(said).toHaveLength(1)
    }
  }
  await its.daemon.tells('MTA_PROTOCOL', /unknown command/)
})

test('2,000 connections with random packets harm nobody', async () => {
  const junk = noise()
  await manyAtOnce(2_000, 20, async n => {
    const socket = await rawConnection(its.daemon.address)
    socket.resume()
    const packets = [OFFER]
    for (let k = 0; k < 30; k++) {
      const at = (n * 31 + k * 977) % 60_000
      const letter = 'ABCDEHKLMNRTU'[junk[at]! % 13]!
      packets.push(frame(letter, junk.subarray(at + 1, at + 1 + junk[at + 1]!)))
    }
    socket.write(Buffer.concat(packets))
    if (n % 3 === 0) socket.resetAndDestroy()
    else socket.end()
    await within(30, 'the connection is closed', closed(socket))
  })
})

test.for(['C', 'H', 'M', 'R'])('%s without its payload is answered, and the next message passes', async letter => {
  const client = await greeted(its.daemon.address)
  if (letter === 'R') await client.mail('<alice@example.com>')
  const answer = await client.step(letter)
  expect(answer.map(({ command }) => command)).toEqual([letter === 'C' || letter === 'H' ? 'c' : 'y'])
  await client.quit()
  const next = await greeted(its.daemon.address)
  await passes(next)
  await next.quit()
})
