/** The resolver against name servers on loopback. */
import type { Answer } from 'dns-packet'
import { afterEach, describe, expect, it } from 'vitest'
import type { Resolver } from '../../src/dns/index.ts'
import { codeOf, resolver, shiftedClock } from './support/resolver.ts'
import { type Answerer, type NameServer, RCODE, SOA, startNameServer, zone } from './support/server.ts'

const servers: NameServer[] = []
afterEach(async () => {
  await Promise.all(servers.splice(0).map(server => server.close()))
})

async function serve(answer: Answerer): Promise<NameServer> {
  const server = await startNameServer(answer)
  servers.push(server)
  return server
}

const records: readonly Answer[] = [
  { name: 'a.test', type: 'A', ttl: 300, data: '192.0.2.1' },
  { name: 'a.test', type: 'A', ttl: 300, data: '192.0.2.2' },
  { name: 'a.test', type: 'AAAA', ttl: 300, data: '2001:db8::1' },
  { name: 'a.test', type: 'MX', ttl: 300, data: { preference: 20, exchange: 'mx2.test' } },
  { name: 'a.test', type: 'MX', ttl: 300, data: { preference: 10, exchange: 'MX.test' } },
  { name: 'a.test', type: 'TXT', ttl: 300, data: ['v=spf1', ' -all'] },
  { name: 'nomail.test', type: 'MX', ttl: 300, data: { preference: 0, exchange: '.' } },
  { name: '1.2.0.192.in-addr.arpa', type: 'PTR', ttl: 300, data: 'a.test' },
  { name: `${'0.'.repeat(19)}0.${'0.0.0.0.8.b.d.0.1.0.0.2'}.ip6.arpa`, type: 'PTR', ttl: 300, data: 'six.test' },
  { name: 'alias.test', type: 'CNAME', ttl: 60, data: 'second.test' },
  { name: 'second.test', type: 'CNAME', ttl: 60, data: 'a.test' },
  { name: 'loop.test', type: 'CNAME', ttl: 60, data: 'pool.test' },
  { name: 'pool.test', type: 'CNAME', ttl: 60, data: 'loop.test' },
]

describe('answers', () => {
  it('every kind of record is looked up', async () => {
    const dns = resolver({ servers: [await serve(zone(records))] })
    expect(await dns.a('A.test')).toEqual(['192.0.2.1', '192.0.2.2'])
    expect(await dns.aaaa('a.test.')).toEqual(['2001:db8::1'])
    expect(await dns.mx('a.test')).toEqual([
      { exchange: 'mx2.test', priority: 20 },
      { exchange: 'MX.test', priority: 10 },
    ])
    expect(await dns.mx('nomail.test')).toEqual([{ exchange: '', priority: 0 }])
    expect(await dns.txt('a.test')).toEqual(['v=spf1 -all'])
    expect(await dns.ptr('192.0.2.1')).toEqual(['a.test'])
    expect(await dns.ptr('2001:db8::')).toEqual(['six.test'])
  })

  it('aliases are followed, those in a circle are a failure', async () => {
    const dns = resolver({ servers: [await serve(zone(records))] })
    expect(await dns.a('alias.test')).toHaveLength(2)
    expect(await codeOf(dns.a('loop.test'))).toBe('ESERVFAIL')
  })

  it('a name that is not there and a record that is not there are two codes', async () => {
    const dns = resolver({ servers: [await serve(zone(records))] })
    expect(await codeOf(dns.a('nowhere.test'))).toBe('ENOTFOUND')
    expect(await codeOf(dns.a('nomail.test'))).toBe('ENODATA')
    expect(await codeOf(dns.ptr('192.0.2.99'))).toBe('ENOTFOUND')
  })

  it('names with the characters that SPF macros make are asked for as they are', async () => {
    const names = ["bounce+a=b%c:d'e!f~g@h&i#j k", 'strong-bad=x', '_dmarc/*']
    const dns = resolver({
      servers: [
        await serve(zone(names.map(name => ({ name: `${name}.spf.test`, type: 'A', ttl: 1, data: '127.0.0.2' })))),
      ],
    })
    for (const name of names) expect(await dns.a(`${name}.spf.test`), name).toEqual(['127.0.0.2'])
  })

  it('a name beyond ASCII is asked for as A-labels', async () => {
    const server = await serve(zone([{ name: 'xn--bcher-kva.test', type: 'A', data: '192.0.2.1' }]))
    expect(await resolver({ servers: [server] }).a('Bücher.test')).toEqual(['192.0.2.1'])
  })

  it('what cannot be a name is refused without asking', async () => {
    const server = await serve(zone(records))
    const dns = resolver({ servers: [server] })
    const bad = ['', '.', 'a..test', '.test', `${'x'.repeat(64)}.test`, `${'abcdefg.'.repeat(32)}test`]
    for (const name of [...bad, 'a\nb.test', 'a\0.test', 'a\r.test', '\x7f.test'])
      expect(await codeOf(dns.txt(name)), JSON.stringify(name)).toBe('EBADNAME')
    for (const address of ['', 'a.test', '192.0.2', 'fe80::1%eth0'])
      expect(await codeOf(dns.ptr(address)), address).toBe('EBADNAME')
    expect(server.asked).toEqual([])
    expect(await codeOf(dns.txt(`${'x'.repeat(63)}.test`))).toBe('ENOTFOUND')
  })

  it('bytes of a TXT record are one character each', async () => {
    const server = await serve(
      zone([{ name: 'a.test', type: 'TXT', data: [Buffer.from([0x41, 0xc3, 0xbc, 0xff, 0])] }]),
    )
    expect(await resolver({ servers: [server] }).txt('a.test')).toEqual(['A\xc3\xbc\xff\0'])
  })
})

describe('over UDP and TCP', () => {
  const large = Array.from(
    { length: 40 },
    (_, i): Answer => ({ name: 'big.test', type: 'TXT', data: `${i} ${'x'.repeat(200)}` }),
  )

  it('an answer that does not fit is fetched over TCP', async () => {
    const server = await serve(zone(large))
    expect(await resolver({ servers: [server] }).txt('big.test')).toHaveLength(40)
    expect(server.asked.map(({ over }) => over)).toEqual(['udp', 'tcp'])
  })

  it('one that fits into 1232 bytes is not', async () => {
    const server = await serve(zone(large.slice(0, 4)))
    expect(await resolver({ servers: [server] }).txt('big.test')).toHaveLength(4)
    expect(server.asked.map(({ over, edns }) => [over, edns])).toEqual([['udp', true]])
  })

  it.each([RCODE.FORMERR, RCODE.NOTIMP])('a server that answers EDNS with code %i is asked without it', async rcode => {
    const answers = zone(records)
    const server = await serve(asked => (asked.edns ? { rcode, questions: [] } : answers(asked)))
    expect(await resolver({ servers: [server] }).a('a.test')).toHaveLength(2)
    expect(server.asked.map(({ edns }) => edns)).toEqual([true, false])
  })

  it('each query has an id and a port of its own', async () => {
    const server = await serve(zone(records))
    const dns = resolver({ servers: [server] })
    await Promise.all(Array.from({ length: 40 }, (_, i) => codeOf(dns.a(`n${i}.test`))))
    const ids = new Set(server.asked.map(({ packet }) => packet.id))
    const ports = new Set(server.asked.map(({ port }) => port))
    expect(server.asked).toHaveLength(40)
    // Two of 40 may meet among 65,536 ids, and a port may be used again once it is free.
    expect(ids.size).toBeGreaterThan(35)
    expect(ports.size).toBeGreaterThan(20)
  })
})

describe('servers that fail', () => {
  const patience = { timeout: 300, tries: 2, total: 5000 }

  it.each([
    [RCODE.SERVFAIL, 'ESERVFAIL'],
    [RCODE.REFUSED, 'EREFUSED'],
  ])('after code %i the next server is asked, and the first not again', async (rcode, code) => {
    const bad = await serve(() => ({ rcode }))
    const good = await serve(zone(records))
    expect(await resolver({ servers: [bad, good], ...patience }).a('a.test')).toHaveLength(2)
    expect(await codeOf(resolver({ servers: [bad], ...patience }).a('a.test'))).toBe(code)
    expect(bad.asked).toHaveLength(2)
  })

  it('a silent server is asked again, then the look-up ends', async () => {
    const server = await serve(() => null)
    expect(await codeOf(resolver({ servers: [server], ...patience }).a('a.test'))).toBe('ETIMEOUT')
    expect(server.asked).toHaveLength(2)
  })

  it('a lost answer costs a try', async () => {
    const answers = zone(records)
    let first = true
    const server = await serve(asked => {
      if (!first) return answers(asked)
      first = false
      return null
    })
    expect(await resolver({ servers: [server], ...patience }).a('a.test')).toHaveLength(2)
  })

  it('a silent server is asked after the others for a while', async () => {
    const silent = await serve(() => null)
    const good = await serve(zone(records))
    const dns = resolver({ servers: [silent, good], ...patience })
    expect(await dns.a('a.test')).toHaveLength(2)
    expect(await dns.aaaa('a.test')).toHaveLength(1)
    expect(await dns.mx('a.test')).toHaveLength(2)
    expect(silent.asked).toHaveLength(1)
  })

  it('the whole look-up ends with its time, however many servers are silent', async () => {
    const silent = await Promise.all([1, 2, 3].map(() => serve(() => null)))
    const began = performance.now()
    const dns = resolver({ servers: silent, timeout: 60_000, tries: 5, total: 200 })
    expect(await codeOf(dns.a('a.test'))).toBe('ETIMEOUT')
    expect(performance.now() - began).toBeLessThan(10_000)
  })

  it('a port where nobody listens is told at once', async () => {
    const gone = await startNameServer(() => null)
    await gone.close()
    const dns = resolver({ servers: [gone], timeout: 60_000, tries: 2, total: 60_000 })
    expect(await codeOf(dns.a('a.test'))).toBe('ECONNREFUSED')
  })

  it('a server that does not recurse is a failure, not a name without records', async () => {
    const server = await serve(() => ({ authorities: [{ name: 'test', type: 'NS', ttl: 60, data: 'ns.test' }] }))
    expect(await codeOf(resolver({ servers: [server], ...patience }).txt('a.test'))).toBe('ESERVFAIL')
  })
})

describe('signals', () => {
  it('a look-up ends with its signal and does not begin after it; others go on', async () => {
    const answers = zone(records)
    const server = await serve(asked => (asked.name === 'silent.test' ? null : answers(asked)))
    const dns = resolver({ servers: [server], timeout: 30_000, total: 60_000 })
    const controller = new AbortController()
    const code = codeOf(dns.a('silent.test', controller.signal))
    const other = dns.a('a.test')
    controller.abort()
    expect(await code).toBe('ECANCELLED')
    expect(await other).toHaveLength(2)
    expect(await codeOf(dns.a('a.test', controller.signal))).toBe('ECANCELLED')
  })
})

describe('single flight', () => {
  it('whoever asks what is being asked waits for the same answer', async () => {
    const answers = zone(records)
    const gate = Promise.withResolvers<void>()
    const server = await serve(async asked => {
      await gate.promise
      return answers(asked)
    })
    const dns = resolver({ servers: [server], timeout: 30_000, total: 60_000 })
    const controller = new AbortController()
    const leaving = codeOf(dns.a('a.test', controller.signal))
    const staying = [dns.a('a.test'), dns.a('A.TEST.')]
    while (server.asked.length === 0) await new Promise(done => setTimeout(done, 10))
    controller.abort()
    expect(await leaving).toBe('ECANCELLED')
    gate.resolve()
    for (const answer of await Promise.all(staying)) expect(answer).toHaveLength(2)
    expect(server.asked).toHaveLength(1)
  })
})

describe('what is known', () => {
  const ask = async (dns: Resolver, server: NameServer, name: string): Promise<number> => {
    const before = server.asked.length
    await codeOf(dns.txt(name))
    return server.asked.length - before
  }

  it('an answer is kept as long as the least TTL on the way to it', async () => {
    const clock = shiftedClock()
    const server = await serve(
      zone([
        { name: 'alias.test', type: 'CNAME', ttl: 30, data: 'a.test' },
        { name: 'a.test', type: 'TXT', ttl: 300, data: 'text' },
      ]),
    )
    const dns = resolver({ servers: [server], clock })
    expect(await ask(dns, server, 'alias.test')).toBe(1)
    clock.shift(25)
    expect(await ask(dns, server, 'alias.test')).toBe(0)
    clock.shift(10)
    expect(await ask(dns, server, 'alias.test')).toBe(1)
  })

  it('that there is nothing is kept as long as the SOA says, and not without one', async () => {
    const clock = shiftedClock()
    const server = await serve(({ name }) => ({
      rcode: name.startsWith('nx') ? RCODE.NXDOMAIN : RCODE.NOERROR,
      authorities: name.includes('bare') ? [] : [SOA],
    }))
    const dns = resolver({ servers: [server], clock })
    for (const name of ['nx.test', 'empty.test']) {
      expect(await ask(dns, server, name)).toBe(1)
      clock.shift(50)
      expect(await ask(dns, server, name)).toBe(0)
      clock.shift(15)
      expect(await ask(dns, server, name)).toBe(1)
    }
    expect(await ask(dns, server, 'nx.bare.test')).toBe(1)
    expect(await ask(dns, server, 'nx.bare.test')).toBe(1)
  })

  it('a TTL of zero, or one with the highest bit set, is not kept', async () => {
    for (const ttl of [0, 0x8000_0000, 0xffff_ffff]) {
      const server = await serve(zone([{ name: 'a.test', type: 'TXT', ttl, data: 'text' }]))
      const dns = resolver({ servers: [server] })
      expect(await ask(dns, server, 'a.test')).toBe(1)
      expect(await ask(dns, server, 'a.test')).toBe(1)
    }
  })

  it('a failure is kept for seconds, so that a dead zone is not asked for at every message', async () => {
    const clock = shiftedClock()
    const server = await serve(() => ({ rcode: RCODE.SERVFAIL }))
    const dns = resolver({ servers: [server], clock })
    expect(await ask(dns, server, 'a.test')).toBe(1)
    expect(await ask(dns, server, 'a.test')).toBe(0)
    clock.shift(6)
    expect(await ask(dns, server, 'a.test')).toBe(1)
  })

  it('no more is kept than there is room for', async () => {
    const server = await serve(({ name }) => ({ answers: [{ name, type: 'TXT', ttl: 300, data: 'x'.repeat(200) }] }))
    const dns = resolver({ servers: [server], cache: 5_000 })
    for (let i = 0; i < 20; i++) await ask(dns, server, `n${i}.test`)
    expect(await ask(dns, server, 'n19.test')).toBe(0)
    expect(await ask(dns, server, 'n0.test')).toBe(1)
  })

  it('other servers know other things', async () => {
    const one = await serve(zone([{ name: 'a.test', type: 'TXT', ttl: 300, data: 'one' }]))
    const two = await serve(zone([{ name: 'a.test', type: 'TXT', ttl: 300, data: 'two' }]))
    const dns = resolver({ servers: [one] })
    expect(await dns.txt('a.test')).toEqual(['one'])
    const { DEFAULT_DNS } = await import('../../src/host/config/settings.ts')
    dns.configure({ ...DEFAULT_DNS, servers: [two] })
    expect(await dns.txt('a.test')).toEqual(['two'])
  })
})

describe('names without a dot', () => {
  it('are looked for in the search domains, then as they are', async () => {
    const server = await serve(
      zone([
        { name: 'host.two.test', type: 'A', ttl: 1, data: '192.0.2.7' },
        { name: 'top', type: 'A', ttl: 1, data: '192.0.2.8' },
      ]),
    )
    const dns = resolver({ servers: [server], search: ['one.test', 'two.test'] })
    expect(await dns.a('host')).toEqual(['192.0.2.7'])
    expect(await dns.a('top')).toEqual(['192.0.2.8'])
    expect(await codeOf(dns.a('host.'))).toBe('ENOTFOUND')
    expect(await codeOf(dns.a('host.nowhere'))).toBe('ENOTFOUND')
    expect(server.asked.map(({ name }) => name)).not.toContain('host.nowhere.one.test')
  })
})
