/** Named attacks on SPF and the DNS below it: each has a bounded cost and an ordinary result. */
import type { Answer } from 'dns-packet'
import { definePlugin, resultKey } from 'milterhost/plugin'
import { fakeDns, type TestHost, testPlugin, zoneDns } from 'milterhost/testing'
import { afterEach, describe, expect, onTestFinished, test } from 'vitest'
import { resolver } from '../../../test/dns/support/resolver.ts'
import { type Answerer, type NameServer, startNameServer, zone } from '../../../test/dns/support/server.ts'
import { domainOf } from '../src/domain.ts'
import { loadEngine } from '../src/engine.ts'
import spf, { type SpfOptions, type SpfResult } from '../src/index.ts'

const servers: NameServer[] = []
afterEach(async () => {
  await Promise.all(servers.splice(0).map(server => server.close()))
})
async function serve(answer: Answerer): Promise<NameServer> {
  const server = await startNameServer(answer)
  servers.push(server)
  return server
}

const key = resultKey<SpfResult>('spf')
async function start(
  options: SpfOptions,
  dns = fakeDns(),
): Promise<{ host: TestHost; seen: (SpfResult | undefined)[] }> {
  const seen: (SpfResult | undefined)[] = []
  const reader = definePlugin({ name: 'reader', setup: () => ({ mail: event => void seen.push(event.result(key)) }) })
  const host = await testPlugin([spf(options), reader()], { dns })
  onTestFinished(() => host.close())
  return { host, seen }
}

describe('a TXT record of 64 KiB', () => {
  const record = (name: string, text: string): Answer => ({
    name,
    type: 'TXT',
    ttl: 60,
    data: text.match(/[\s\S]{1,255}/g)!,
  })
  const huge = `v=spf1 ${'a:%{l}.%{d} '.repeat(4900)}-all`
  const largest = `v=spf1 ${'x=%{l}%{d}%{s} '.repeat(540)}-all`

  test.each(['mailauth', 'spf-check'] as const)('is a permanent error with %s, and is not parsed', async name => {
    const server = await serve(zone([record('huge.test', huge), record('largest.test', largest.slice(0, 8192))]))
    const dns = resolver({ servers: [server], timeout: 5000, total: 10_000 })
    const engine = await loadEngine(name, () => {})
    const evaluate = async (domain: string): Promise<{ result: string; cost: number }> => {
      const began = process.cpuUsage()
      const question = { ip: '192.0.2.1', helo: 'x.test', sender: `a@${domain}`, receiver: 'mx.test' }
      const { result } = await engine.evaluate(question, { dns, time: 20_000, signal: new AbortController().signal })
      const { user, system } = process.cpuUsage(began)
      return { result, cost: (user + system) / 1000 }
    }
    expect((await evaluate('huge.test')).result).toBe('permerror')
    // The largest that is taken costs what can be borne, in milliseconds of CPU.
    expect((await evaluate('largest.test')).cost).toBeLessThan(1000)
  })
})

describe('a DNS that never answers', () => {
  test.each(['mailauth', 'spf-check', 'compare'] as const)(
    'is a temperror in time with %s, and the policy applies',
    async engine => {
      const server = await serve(() => null)
      const dns = resolver({ servers: [server], timeout: 60_000, tries: 2, total: 60_000 })
      const seen: (SpfResult | undefined)[] = []
      const reader = definePlugin({
        name: 'reader',
        setup: () => ({ mail: event => void seen.push(event.result(key)) }),
      })
      await using host = await testPlugin([spf({ engine, timeout: '300ms', reject: { temperror: true } }), reader()], {
        dns,
      })
      const began = performance.now()
      const { verdict } = await host.deliver({ from: 'a@silent.test', helo: 'silent.test' })
      expect(performance.now() - began).toBeLessThan(15_000)
      expect(seen[0]).toMatchObject({ result: 'temperror', helo: { result: 'temperror' } })
      expect(verdict).toMatchObject({ kind: 'tempfail', reply: { code: 451, enhanced: '4.7.24' } })
    },
  )

  test('nothing is looked up any more when the time is over', async () => {
    const dns = zoneDns('silent.test. TXT !hang')
    const engine = await loadEngine('mailauth', () => {})
    let ended = 0
    const watched = {
      ...dns,
      txt: async (name: string, signal?: AbortSignal) => {
        try {
          return await dns.txt(name, signal)
        } finally {
          ended++
        }
      },
    }
    const question = { ip: '192.0.2.1', helo: 'x.test', sender: 'a@silent.test', receiver: 'mx.test' }
    const around = { dns: watched, time: 50, signal: new AbortController().signal }
    expect((await engine.evaluate(question, around)).result).toBe('temperror')
    for (let i = 0; ended === 0 && i < 500; i++) await new Promise(done => setTimeout(done, 10))
    expect(ended).toBe(1)
  })
})

describe('records that want more look-ups than is decent', () => {
  test('ten terms that look up are the most, and two without an answer', async () => {
    const includes = Array.from({ length: 11 }, (_, i) => `include:i${i}.test`).join(' ')
    const includesZone = Array.from({ length: 11 }, (_, i) => `i${i}.test. TXT "v=spf1 ?all"`).join('\n')
    const dns = zoneDns(`many.test. TXT "v=spf1 ${includes} -all"\n${includesZone}
void.test. TXT "v=spf1 a:v1.test a:v2.test a:v3.test -all"
loop.test. TXT "v=spf1 include:loop.test -all"`)
    const { host, seen } = await start({}, dns)
    for (const name of ['many', 'void', 'loop']) await host.deliver({ helo: 'x', from: `a@${name}.test` })
    expect(seen.map(found => found?.result)).toEqual(['permerror', 'permerror', 'permerror'])
    expect(dns.calls.length).toBeLessThan(40)
  })

  test('ten exchangers of a hundred are the most', async () => {
    const exchangers = Array.from({ length: 100 }, (_, i) => `mx.test. MX 1 m${i}.test.`).join('\n')
    const dns = zoneDns(`mx.test. TXT "v=spf1 mx -all"\n${exchangers}`)
    const { host, seen } = await start({}, dns)
    await host.deliver({ helo: 'x', from: 'a@mx.test' })
    expect(seen[0]?.result).toBe('permerror')
    expect(dns.calls.length).toBeLessThan(20)
  })
})

describe('control characters and other strange things in domains', () => {
  const strange = [
    'a\nb.test',
    'a\r\nX: y.test',
    'a\0b.test',
    'example.net(.example.com',
    'a;b.test',
    'a"b.test',
    'a b.test',
    '\x1b[2Ja.test',
  ]

  test.each(strange)('%j is no domain: not looked up, not published, not printed', async name => {
    const dns = fakeDns()
    const { host, seen } = await start({ receivedSpf: true, reject: { none: true } }, dns)
    const { verdict } = await host.deliver({ helo: name, from: `a@${name}` })
    expect(dns.calls).toEqual([])
    expect(seen[0]).toMatchObject({ domain: '', result: 'none' })
    const lines = verdict.kind === 'reject' ? verdict.reply!.lines : []
    expect(lines).toEqual(['SPF none for MAIL FROM: this sender does not say that 192.0.2.1 may send its mail'])
  })

  test.each(strange)('%j in HELO and MAIL FROM breaks no header field', async name => {
    const { host } = await start({ receivedSpf: true }, zoneDns('pass.test. TXT "v=spf1 +all"'))
    for (const from of [`a@${name}`, `"${name.replaceAll(/["\\]/g, '')}"@pass.test`]) {
      const { message } = await host.deliver({ helo: name, from, message: 'Subject: x\r\n\r\nhi\r\n' })
      const fields = message!.headers.map(field => field.name).filter(field => field !== 'Received-SPF')
      expect(new Set(fields)).toEqual(new Set(['Authentication-Results', 'Subject']))
      for (const { value } of message!.headers) expect(value).not.toMatch(/[^\x20-\x7e\t\r\n]|[\r\n](?![ \t\n])/)
    }
  })

  test('what is a domain', () => {
    for (const yes of ['a.test', '_spf.A.test', 'x--y.test', 'xn--bcher-kva.test', 'a.test.'])
      expect(domainOf(yes)).not.toBeNull()
    expect(domainOf('Bücher.test')).toBe('xn--bcher-kva.test')
    for (const no of [
      '',
      'test',
      '.',
      'a..test',
      '-a.test',
      '1.2.3.4',
      '[1.2.3.4]',
      `${'a'.repeat(64)}.test`,
      'a.'.repeat(128),
    ])
      expect(domainOf(no), no).toBeNull()
  })
})

describe('reply injection through exp=', () => {
  const explained = (text: string): ReturnType<typeof fakeDns> =>
    fakeDns({ 'fail.test': { txt: ['v=spf1 -all exp=why.test'] }, 'why.test': { txt: [text] } })
  const linesOf = async (text: string, from = 'a@fail.test'): Promise<readonly string[]> => {
    const { host } = await start({ explanation: true }, explained(text))
    const { verdict } = await host.deliver({ helo: 'x', from })
    return verdict.kind === 'reject' ? verdict.reply!.lines : []
  }

  test.each(['no\r\n250 ok', 'no\n.\nQUIT', 'a\0b', '\x1b]0;x\x07', 'f\xfcr dich'])(
    '%j is not passed on',
    async text => {
      expect(await linesOf(text)).toEqual([
        'SPF fail for MAIL FROM: fail.test does not permit 192.0.2.1 to send its mail',
      ])
    },
  )

  test('nor what a macro brings in from the sender', async () => {
    const lines = await linesOf('you are %{l}', '"x\r\n250 2.0.0 ok"@fail.test')
    expect(lines).toHaveLength(2)
    for (const line of lines) expect(line).toMatch(/^[\x20-\x7e]+$/)
  })

  test('a long one is cut, a percent sign is only itself', async () => {
    const [, line] = await linesOf(`100%% ${'x'.repeat(5000)}`)
    expect(line).toMatch(/^fail\.test explains: 100% x+$/)
    expect(line!.length).toBeLessThan(230)
  })
})
