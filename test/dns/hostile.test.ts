/** What a hostile name server, or somebody between, can send: nothing crashes, nothing hangs, nothing of it is believed. */
import { createSocket } from 'node:dgram'
import dnsPacket, { type Answer } from 'dns-packet'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { readAnswer } from '../../src/dns/answer.ts'
import { makeQuery } from '../../src/dns/query.ts'
import { codeOf, resolver } from './support/resolver.ts'
import {
  type Answerer,
  type Asked,
  encodeReply,
  type NameServer,
  SOA,
  startNameServer,
  zone,
} from './support/server.ts'

const servers: NameServer[] = []
afterEach(async () => {
  await Promise.all(servers.splice(0).map(server => server.close()))
})

async function serve(answer: Answerer): Promise<NameServer> {
  const server = await startNameServer(answer)
  servers.push(server)
  return server
}

const QUICK = { timeout: 300, tries: 1, total: 2000 }
const text = (name: string, data: string): Answer => ({ name, type: 'TXT', ttl: 60, data })
const right = zone([text('a.test', 'right')])
const wrong = zone([text('a.test', 'wrong'), text('b.test', 'wrong')])

const withId = (bytes: Buffer, change: number): Buffer => {
  const copy = Buffer.from(bytes)
  copy.writeUInt16BE((copy.readUInt16BE(0) + change) & 0xffff, 0)
  return copy
}

describe('what is not the answer is waited past', () => {
  it.each([
    ['another id', (asked: Asked) => withId(encodeReply(asked, wrong(asked)), 1)],
    [
      'another question',
      (asked: Asked) =>
        encodeReply(asked, { ...wrong({ name: 'b.test', type: 'TXT' }), questions: [{ name: 'b.test', type: 'TXT' }] }),
    ],
    ['another type', (asked: Asked) => encodeReply(asked, { questions: [{ name: 'a.test', type: 'A' }] })],
    ['no question', (asked: Asked) => encodeReply(asked, { ...wrong(asked), questions: [] })],
    ['the query itself', (asked: Asked) => asked.bytes],
    ['too little', () => Buffer.from([1])],
    ['nothing', () => Buffer.alloc(0)],
  ])('%s', async (_, forge) => {
    const server = await serve(asked => [forge(asked), encodeReply(asked, right(asked))])
    expect(await resolver({ servers: [server], ...QUICK, timeout: 5000, total: 10_000 }).txt('a.test')).toEqual([
      'right',
    ])
  })

  it('what comes from another port', async () => {
    const stranger = createSocket('udp4')
    const server = await serve(async asked => {
      const forged = encodeReply(asked, wrong(asked))
      await new Promise(done => stranger.send(forged, asked.port, '127.0.0.1', done))
      return right(asked)
    })
    expect(await resolver({ servers: [server], ...QUICK, timeout: 5000, total: 10_000 }).txt('a.test')).toEqual([
      'right',
    ])
    stranger.close()
  })

  it('a flood of guesses ends the try', async () => {
    const server = await serve(asked => {
      const bytes = encodeReply(asked, wrong(asked))
      return Array.from({ length: 300 }, (_, i) => withId(bytes, i + 1))
    })
    expect(await codeOf(resolver({ servers: [server], ...QUICK, timeout: 20_000, total: 20_000 }).txt('a.test'))).toBe(
      'ESERVFAIL',
    )
  })
})

describe('records that do not belong to the answer', () => {
  it('of another name are not taken', async () => {
    const server = await serve(() => ({
      answers: [text('b.test', 'wrong')],
      authorities: [SOA],
      additionals: [text('a.test', 'wrong')],
    }))
    const dns = resolver({ servers: [server], ...QUICK })
    expect(await codeOf(dns.txt('a.test'))).toBe('ENODATA')
    server.answer = () => ({ authorities: [SOA] })
    expect(await codeOf(dns.txt('b.test'))).toBe('ENODATA')
  })
})

describe('answers that cannot be read', () => {
  const withByte = (asked: Asked, find: (bytes: Buffer) => number, value: number): Buffer => {
    const bytes = encodeReply(asked, right(asked))
    bytes[find(bytes)] = value
    return bytes
  }
  /** The answer record begins behind header and question. */
  const recordAt = (asked: Asked): number => asked.bytes.length - 11
  const cases: readonly (readonly [string, (asked: Asked) => Buffer])[] = [
    ['a record longer than the answer', asked => withByte(asked, () => recordAt(asked) + 8 + 8, 0xff)],
    ['a record shorter than its text', asked => withByte(asked, () => recordAt(asked) + 8 + 9, 2)],
    ['a text longer than its record', asked => withByte(asked, () => recordAt(asked) + 8 + 10, 0xff)],
    ['65,535 records announced', asked => withByte(asked, () => 6, 0xff)],
    ['a label of an unknown kind', asked => withByte(asked, () => recordAt(asked), 0x41)],
    ['a name that points to itself', asked => pointed(asked, 0)],
    ['a name that points ahead', asked => pointed(asked, 4)],
    ['an answer that is cut off', asked => encodeReply(asked, right(asked)).subarray(0, recordAt(asked) + 5)],
    [
      'an address of three bytes',
      asked => {
        const bytes = Buffer.from(encodeReply(asked, { answers: [{ name: 'a.test', type: 'A', data: '192.0.2.1' }] }))
        bytes.writeUInt16BE(3, recordAt(asked) + 8 + 8)
        return bytes
      },
    ],
  ]
  const pointed = (asked: Asked, ahead: number): Buffer => {
    const reply = encodeReply(asked, right(asked))
    const at = recordAt(asked)
    const pointer = Buffer.alloc(2)
    pointer.writeUInt16BE(0xc000 | (at + ahead))
    return Buffer.concat([reply.subarray(0, at), pointer, reply.subarray(at + 8)])
  }

  it.each(cases)('%s', async (_, forge) => {
    const bad = await serve(forge)
    const type = forge === cases.at(-1)![1] ? 'a' : 'txt'
    expect(await codeOf(resolver({ servers: [bad], ...QUICK })[type]('a.test'))).toBe('ESERVFAIL')
    const good = await serve(zone([text('a.test', 'right'), { name: 'a.test', type: 'A', data: '192.0.2.9' }]))
    expect(await resolver({ servers: [bad, good], ...QUICK })[type]('a.test')).toHaveLength(1)
  })

  const query = makeQuery(7, 'a.test', 'TXT', true)
  const valid = dnsPacket.encode({
    type: 'response',
    id: 7,
    questions: [{ name: 'a.test', type: 'TXT' }],
    answers: [
      { name: 'a.test', type: 'CNAME', ttl: 5, data: 'b.test' },
      { name: 'b.test', type: 'TXT', ttl: 5, data: ['one', 'two'] },
      { name: 'b.test', type: 'MX', ttl: 5, data: { preference: 1, exchange: 'c.test' } },
    ],
    authorities: [SOA],
  })

  it('any bytes, and any change to an answer, are read without an exception', () => {
    const change = fc.tuple(fc.nat(valid.length - 1), fc.integer({ min: 0, max: 255 }))
    fc.assert(
      fc.property(fc.array(change, { maxLength: 12 }), fc.nat(valid.length), (changes, length) => {
        const bytes = Buffer.from(valid)
        for (const [at, value] of changes) bytes[at] = value
        expect(readAnswer(bytes.subarray(0, length), query).kind).toBeTypeOf('string')
        expect(readAnswer(bytes, query).kind).toBeTypeOf('string')
      }),
      { numRuns: 3000 },
    )
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), bytes => {
        const answer = Buffer.concat([valid.subarray(0, query.questionEnd), bytes])
        expect(readAnswer(Buffer.from(bytes), query).kind).toBeTypeOf('string')
        expect(readAnswer(answer, query).kind).toBeTypeOf('string')
      }),
      { numRuns: 1000 },
    )
  })

  it('64 KiB made of nothing but pointers cost no more than a blink', () => {
    const header = Buffer.from(valid.subarray(0, query.questionEnd))
    const chain: Buffer[] = []
    let at = header.length + 10 + 2
    // A record of no interest that holds a chain of pointers, each to the one before, then as many aliases as are read.
    const first = Buffer.alloc(12)
    first.writeUInt16BE(0xc00c, 0)
    first.writeUInt16BE(99, 2)
    first.writeUInt16BE(1, 4)
    const links = Buffer.alloc(2 * 7000)
    let previous = 12
    for (let i = 0; i < 7000; i++) {
      links.writeUInt16BE(0xc000 | previous, i * 2)
      previous = at + i * 2
    }
    first.writeUInt16BE(links.length, 10)
    chain.push(first, links)
    at += links.length
    for (let i = 0; i < 1000; i++) {
      const alias = Buffer.alloc(14)
      alias.writeUInt16BE(0xc000 | previous, 0)
      alias.writeUInt16BE(5, 2)
      alias.writeUInt16BE(1, 4)
      alias.writeUInt16BE(2, 10)
      alias.writeUInt16BE(0xc000 | previous, 12)
      chain.push(alias)
    }
    header.writeUInt16BE(1001, 6)
    header.writeUInt16BE(0, 8)
    const began = performance.now()
    expect(readAnswer(Buffer.concat([header, ...chain]), query).kind).toBe('broken')
    expect(performance.now() - began).toBeLessThan(1500)
  })
})

describe('over TCP', () => {
  const truncated = { flags: dnsPacket.TRUNCATED_RESPONSE }
  const overTcp =
    (answer: Answerer): Answerer =>
    asked =>
      asked.over === 'udp' ? truncated : answer(asked)

  it.each<readonly [string, Answerer, string]>([
    ['silence', () => null, 'ETIMEOUT'],
    ['an answer that is cut off', asked => encodeReply(asked, right(asked)).subarray(0, 20), 'ESERVFAIL'],
    ['the answer to another query', asked => withId(encodeReply(asked, right(asked)), 1), 'ESERVFAIL'],
    ['a truncated answer', () => truncated, 'ESERVFAIL'],
    ['a length and nothing', () => Buffer.alloc(0), 'ESERVFAIL'],
  ])('%s is a failure', async (_, answer, code) => {
    const server = await serve(overTcp(answer))
    expect(await codeOf(resolver({ servers: [server], ...QUICK }).txt('a.test'))).toBe(code)
  })

  it('an answer of 64 KiB is read, a TXT record of that size is refused', async () => {
    const many = Array.from({ length: 250 }, (_, i) => text('many.test', `${i} ${'x'.repeat(230)}`))
    const huge = { name: 'huge.test', type: 'TXT', ttl: 60, data: Array(250).fill('x'.repeat(250)) } as Answer
    const fits = { name: 'fits.test', type: 'TXT', ttl: 60, data: Array(32).fill('x'.repeat(255)) } as Answer
    const server = await serve(zone([...many, huge, fits]))
    const dns = resolver({ servers: [server], ...QUICK, timeout: 5000, total: 10_000 })
    expect(await dns.txt('many.test')).toHaveLength(250)
    expect(await codeOf(dns.txt('huge.test'))).toBe('EMSGSIZE')
    expect((await dns.txt('fits.test'))[0]).toHaveLength(32 * 255)
  })
})

it('a thousand look-ups at once that nobody answers all end, with few sockets', async () => {
  const server = await serve(() => null)
  const dns = resolver({ servers: [server], timeout: 200, tries: 1, total: 400 })
  const codes = await Promise.all(Array.from({ length: 1000 }, (_, i) => codeOf(dns.a(`n${i}.test`))))
  expect(new Set(codes)).toEqual(new Set(['ETIMEOUT']))
  expect(server.asked.length).toBeLessThanOrEqual(1000)
})
