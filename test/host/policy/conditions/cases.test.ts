/** Every shipped condition: when it holds and when not, and at which stage the filter it is for comes in; on both MTAs' macros. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import * as conditions from '../../../../src/conditions.ts'
import {
  authenticated,
  type ConditionLike,
  client,
  condition,
  dnsbl,
  dnswl,
  header,
  helo,
  localNetwork,
  macro,
  messageSize,
  recipient,
  recipientDomain,
  remoteNetwork,
  resultKey,
  s25r,
  sample,
  sender,
  senderDomain,
  stress,
  time,
  tls,
  trusted,
  verifiedPtr,
} from '../../../../src/conditions.ts'
import { definePlugin } from '../../../../src/plugin.ts'
import {
  fakeClock,
  fakeDns,
  type TestClient,
  type TestMail,
  type TestOptions,
  testPlugin,
} from '../../../../src/testing.ts'
import { witness } from '../witness.ts'

const folder = mkdtempSync(join(tmpdir(), 'milterhost-conditions-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
writeFileSync(join(folder, 'trusted'), '# partners\nexample.net  # the first\n\n/^mx\\d+\\.example\\.org$/\n')

type Stage = 'connect' | 'helo' | 'mail' | 'rcpt' | 'message'

/** At which stage the filter has heard of the connection; `null` if never. */
async function joins(
  when: ConditionLike,
  mail: TestMail,
  options: TestOptions,
  before: readonly Parameters<typeof testPlugin>[0][] = [],
): Promise<Stage | null> {
  const filter = witness('f', { when })
  await using host = await testPlugin([...(before.flat() as never[]), filter.entry], options)
  const conversation = host.open(mail.client)
  const heard = (): boolean => filter.told.length > 0
  await conversation.connect()
  if (heard()) return 'connect'
  await conversation.helo(mail.helo)
  if (heard()) return 'helo'
  await conversation.mail(mail.from)
  if (heard()) return 'mail'
  for (const to of [mail.to ?? []].flat()) await conversation.rcpt(to)
  if (heard()) return 'rcpt'
  await conversation.message(mail.message)
  return heard() ? 'message' : null
}

interface Case {
  readonly when: ConditionLike
  readonly stage: Stage
  readonly holds: readonly (readonly [what: string, mail: TestMail, options?: TestOptions])[]
  readonly not: readonly (readonly [what: string, mail: TestMail, options?: TestOptions])[]
}

const from = (address: string, more: TestClient = {}): TestMail => ({ client: { address, ...more } })
const clock = (at: string): TestOptions => ({ clock: fakeClock(at) })
const listed = (a: readonly string[], name = '1.2.0.192.bl.example'): TestOptions => ({
  dns: fakeDns({ [name]: { a } }),
})

const cases: Record<string, Case> = {
  localNetwork: {
    when: localNetwork({ local: ['192.0.2.0/24'], remote: ['10.9.0.0/16'] }),
    stage: 'connect',
    holds: [
      ['loopback', from('127.0.0.1')],
      ['RFC 1918', from('172.20.1.1')],
      ['ULA', from('fd12::1')],
      ['an added one', from('192.0.2.1')],
    ],
    not: [
      ['the internet', from('203.0.113.1')],
      ['one taken out', from('10.9.1.1')],
      ['IPv6 at large', from('2001:db8::1')],
    ],
  },
  remoteNetwork: {
    when: remoteNetwork(),
    stage: 'connect',
    holds: [
      ['the internet', from('203.0.113.1')],
      ['IPv6', from('2001:db8::1')],
    ],
    not: [
      ['loopback', from('::1')],
      ['an IPv4 address inside IPv6', from('::ffff:10.0.0.1')],
    ],
  },
  client: {
    when: client('192.0.2.0/24', '2001:db8::/32', 'example.org', /^mx\d+\.example\.com$/),
    stage: 'connect',
    holds: [
      ['the network', from('192.0.2.9', { hostname: null })],
      ['the IPv6 network', from('2001:db8::9')],
      ['a name below the domain', from('203.0.113.1', { hostname: 'Mail.Example.ORG' })],
      ['a name that matches', from('203.0.113.1', { hostname: 'mx12.example.com' })],
    ],
    not: [
      ['another', from('203.0.113.1', { hostname: 'mail.example.net' })],
      ['no name', from('203.0.113.1', { hostname: null })],
      ['a forged name', from('203.0.113.1', { hostname: 'mail.example.org', macros: { client_resolve: 'FORGED' } })],
    ],
  },
  verifiedPtr: {
    when: verifiedPtr(),
    stage: 'connect',
    holds: [['a name', from('192.0.2.1')]],
    not: [
      ['none', from('192.0.2.1', { hostname: null })],
      ['a forged one', from('192.0.2.1', { macros: { client_resolve: 'FORGED' } })],
    ],
  },
  s25r: {
    when: s25r({ whitelist: ['example.org'], blacklist: [/\.dip\.example\.com$/] }),
    stage: 'connect',
    holds: [
      ['no name', from('192.0.2.1', { hostname: null })],
      ['a rule', from('192.0.2.1', { hostname: '192-0-2-1.dsl.example.net' })],
      ['the black list', from('192.0.2.1', { hostname: 'a.dip.example.com' })],
    ],
    not: [
      ['a server', from('192.0.2.1', { hostname: 'mail.example.net' })],
      ['the white list', from('192.0.2.1', { hostname: '192-0-2-1.example.org' })],
      ['IPv6', from('2001:db8::1', { hostname: null })],
    ],
  },
  dnsbl: {
    when: dnsbl(['other.example', { list: 'bl.example', codes: ['127.0.0.2'] }]),
    stage: 'connect',
    holds: [['in one of two', from('192.0.2.1'), listed(['127.0.0.2'])]],
    not: [
      ['in none', from('192.0.2.1')],
      ['another code', from('192.0.2.1'), listed(['127.0.0.3'])],
      ['a refusal', from('192.0.2.1'), listed(['127.255.255.254'])],
      ['no answer of a list', from('192.0.2.1'), listed(['203.0.113.9'])],
      ['a list that is down', from('192.0.2.1'), { dns: fakeDns({ '1.2.0.192.bl.example': 'ESERVFAIL' }) }],
    ],
  },
  dnswl: {
    when: dnswl('wl.example'),
    stage: 'connect',
    holds: [['listed', from('192.0.2.1'), listed(['127.0.5.2'], '1.2.0.192.wl.example')]],
    not: [
      ['not listed', from('192.0.2.1')],
      ['outside 127.0/16', from('192.0.2.1'), listed(['127.1.0.1'], '1.2.0.192.wl.example')],
      ['"you may not ask"', from('192.0.2.1'), listed(['127.0.0.255'], '1.2.0.192.wl.example')],
    ],
  },
  stress: {
    when: stress(),
    stage: 'connect',
    holds: [
      ['three quarters of the processes', {}, { load: { sessions: 15, limit: 20 } }],
      ['of Postfix’s default', {}, { load: { sessions: 75 } }],
      ['a busy machine', {}, { load: { perProcessor: 4 } }],
    ],
    not: [
      ['less', {}, { load: { sessions: 14, limit: 20 } }],
      ['nothing', {}],
    ],
  },
  'stress({ sessions })': {
    when: stress({ sessions: 3, load: 2 }),
    stage: 'connect',
    holds: [
      ['as many', {}, { load: { sessions: 3, limit: 100 } }],
      ['load', {}, { load: { perProcessor: 2.5 } }],
    ],
    not: [['fewer', {}, { load: { sessions: 2, perProcessor: 1.9 } }]],
  },
  time: {
    when: time(['Mon-Fri 08:00-18:00', 'Sat 22:00-02:00'], { zone: 'Europe/Berlin' }),
    stage: 'connect',
    holds: [
      ['Monday morning', {}, clock('2026-01-05T07:00:00Z')],
      ['in summer time', {}, clock('2026-07-06T15:59:00Z')],
      ['Saturday night', {}, clock('2026-01-10T21:30:00Z')],
      ['after midnight', {}, clock('2026-01-11T00:59:00Z')],
    ],
    not: [
      ['too early', {}, clock('2026-01-05T06:59:00Z')],
      ['too late', {}, clock('2026-07-06T16:00:00Z')],
      ['Sunday', {}, clock('2026-01-11T09:00:00Z')],
      ['Sunday night', {}, clock('2026-01-12T00:30:00Z')],
    ],
  },
  'sample all': { when: sample(100), stage: 'connect', holds: [['anyone', {}]], not: [] },
  'sample none': { when: sample(0), stage: 'connect', holds: [], not: [['anyone', {}]] },
  helo: {
    when: helo('example.net', /^\[/),
    stage: 'helo',
    holds: [
      ['below the domain', { helo: 'Mail.example.NET' }],
      ['an expression', { helo: '[192.0.2.1]' }],
    ],
    not: [['another', { helo: 'localhost' }]],
  },
  tls: {
    when: tls(),
    stage: 'helo',
    holds: [['TLS', { client: { tls: {} } }]],
    not: [['none', {}]],
  },
  'tls(version)': {
    when: tls('TLSv1.3'),
    stage: 'helo',
    holds: [['that one', { client: { tls: { version: 'TLSv1.3' } } }]],
    not: [['an older', { client: { tls: { version: 'TLSv1.2' } } }]],
  },
  authenticated: {
    when: authenticated(),
    stage: 'mail',
    holds: [['logged in', { client: { auth: { user: 'ann' } } }]],
    not: [['not logged in', {}]],
  },
  'authenticated(user)': {
    when: authenticated('ann', /@example\.org$/),
    stage: 'mail',
    holds: [
      ['by name', { client: { auth: { user: 'ann' } } }],
      ['by expression', { client: { auth: { user: 'bob@example.org' } } }],
    ],
    not: [['another', { client: { auth: { user: 'annie' } } }]],
  },
  sender: {
    when: sender('<>', 'ann@example.net', 'news@', '@one.example', /^b-\d+@/),
    stage: 'mail',
    holds: [
      ['the null sender', { from: '' }],
      ['the address', { from: 'Ann@Example.net' }],
      ['the local part', { from: 'news@anywhere.example' }],
      ['the domain', { from: 'x@one.example' }],
      ['the expression', { from: 'b-12@example.org' }],
    ],
    not: [
      ['another', { from: 'anna@example.net' }],
      ['below the one domain', { from: 'x@sub.one.example' }],
    ],
  },
  senderDomain: {
    when: senderDomain('example.net'),
    stage: 'mail',
    holds: [
      ['the domain', { from: 'a@EXAMPLE.net' }],
      ['below', { from: 'a@mail.example.net' }],
    ],
    not: [
      ['another', { from: 'a@notexample.net' }],
      ['the null sender', { from: '' }],
    ],
  },
  recipient: {
    when: recipient('ann@example.org', 'postmaster@'),
    stage: 'rcpt',
    holds: [
      ['the address', { to: 'ann@example.org' }],
      ['one of several', { to: ['x@example.org', 'postmaster@example.com'] }],
    ],
    not: [['others', { to: ['x@example.org'] }]],
  },
  recipientDomain: {
    when: recipientDomain('example.org'),
    stage: 'rcpt',
    holds: [['below', { to: 'a@sub.example.org' }]],
    not: [['another', { to: 'a@example.com' }]],
  },
  header: {
    when: header('X-Test'),
    stage: 'message',
    holds: [['there', { message: { headers: [['x-test', '']], body: '' } }]],
    not: [['not there', {}]],
  },
  'header(value)': {
    when: header('Subject', /^\[test\]/),
    stage: 'message',
    holds: [
      [
        'one of two',
        {
          message: {
            headers: [
              ['Subject', 'a'],
              ['Subject', '[test] b'],
            ],
            body: '',
          },
        },
      ],
    ],
    not: [['another', { message: { headers: [['Subject', 'test']], body: '' } }]],
  },
  messageSize: {
    when: messageSize({ min: 100, max: '1KiB' }),
    stage: 'message',
    holds: [['between', { message: { headers: [], body: 'x'.repeat(500) } }]],
    not: [
      ['smaller', { message: { headers: [], body: 'x' } }],
      ['larger', { message: { headers: [], body: 'x'.repeat(1024) } }],
    ],
  },
  'macro of connect': {
    when: macro('{daemon_name}', 'submission'),
    stage: 'connect',
    holds: [['that value', { client: { macros: { daemon_name: 'submission' } } }]],
    not: [['another', {}]],
  },
  'macro of mail': {
    when: macro('auth_type', /^P/),
    stage: 'mail',
    holds: [['that value', { client: { auth: { user: 'a', mechanism: 'PLAIN' } } }]],
    not: [
      ['another', { client: { auth: { user: 'a', mechanism: 'LOGIN' } } }],
      ['none', {}],
    ],
  },
  'macro that is there': {
    when: macro('of_ours'),
    stage: 'connect',
    holds: [['told at connect', { client: { macros: { of_ours: '' } } }]],
    not: [['never told', {}]],
  },
  'a function of the client': {
    when: ({ client: { port } }) => port === 25,
    stage: 'connect',
    holds: [['yes', from('192.0.2.1', { port: 25 })]],
    not: [['no', from('192.0.2.1', { port: 26 })]],
  },
  'an async function of client and sender': {
    when: async facts => facts.client.port === 25 && facts.sender.local === 'ann',
    stage: 'mail',
    holds: [['yes', { client: { port: 25 }, from: 'ann@example.org' }]],
    not: [
      ['no client', { client: { port: 26 }, from: 'ann@example.org' }],
      ['no sender', { client: { port: 25 }, from: 'bob@example.org' }],
    ],
  },
  'a function of ESMTP parameters and TLS': {
    when: facts => facts.tls === null && facts.args.size === 0,
    stage: 'mail',
    holds: [['none', {}]],
    not: [['TLS', { client: { tls: {} } }]],
  },
  'a condition of one’s own': {
    when: condition(({ recipients }) => recipients.length > 1, { describe: 'many', at: 'data' }),
    stage: 'message',
    holds: [['two', { to: ['a@example.org', 'b@example.org'] }]],
    not: [['one', { to: ['a@example.org'] }]],
  },
}

for (const mta of ['postfix', 'sendmail'] as const) {
  describe(`on ${mta}`, () => {
    for (const [name, { when, stage, holds, not: fails }] of Object.entries(cases)) {
      for (const [what, mail, options = {}] of holds)
        it(`${name} holds, at ${stage}: ${what}`, async () => {
          expect(await joins(when, mail, { ...options, mta })).toBe(stage)
        })
      for (const [what, mail, options = {}] of fails)
        it(`${name} does not hold: ${what}`, async () => {
          expect(await joins(when, mail, { ...options, mta })).toBeNull()
        })
    }
  })
}

describe('trusted', () => {
  const spf = resultKey<{ readonly result: string }>('spf')
  const says = (answer: string | null, at: 'mail' | 'rcpt') =>
    definePlugin({
      name: 'spf',
      setup: () => ({
        [at]: (event: { publish(key: typeof spf, value: { result: string }): void }) => {
          if (answer !== null) event.publish(spf, { result: answer })
        },
      }),
    })()
  const when = trusted({ domains: ['example.com'], file: join(folder, 'trusted') })

  it.each([
    ['a listed domain with a pass', 'a@example.net', 'pass', 'mail', 'mail'],
    ['one of the expressions', 'a@mx1.example.org', 'pass', 'mail', 'mail'],
    ['a pass known at rcpt', 'a@example.com', 'pass', 'rcpt', 'rcpt'],
    ['a listed domain that was forged', 'a@example.net', 'fail', 'mail', null],
    ['a listed domain of which SPF says nothing', 'a@example.net', null, 'mail', null],
    ['another domain with a pass', 'a@example.org', 'pass', 'mail', null],
    ['the null sender', '', 'pass', 'mail', null],
  ] as const)('%s', async (_, address, answer, at, stage) => {
    expect(await joins(when, { from: address, to: 'x@example.org' }, {}, [says(answer, at)])).toBe(stage)
  })

  it('refuses a file that is not there, and a list of nobody', () => {
    expect(() => trusted({ file: join(folder, 'none') })).toThrow('cannot be read')
    expect(() => trusted({})).toThrow('needs domains')
    for (const [line, told] of [
      ['192.0.2.1 mx', '"192.0.2.1 mx" is not a domain'],
      ['/(/', 'Unterminated group'],
    ]) {
      const file = join(folder, 'bad')
      writeFileSync(file, `example.org\n${line}\n`)
      expect(() => trusted({ file })).toThrow(new RegExp(`bad:2: .*${told}`))
    }
  })
})

describe('sample', () => {
  it('draws its share, the same for a retry, others with another seed', async () => {
    const drawn = async (seed: string): Promise<number[]> => {
      const filter = witness('f', { when: sample(30, { seed }) })
      await using host = await testPlugin(filter.entry)
      const inside: number[] = []
      for (let i = 0; i < 300; i++) {
        const before = filter.told.length
        const conversation = host.open({ address: `192.0.2.${i % 250}`, port: i + 1 })
        await conversation.connect()
        conversation.quit()
        if (filter.told.length > before) inside.push(i)
      }
      return inside
    }
    const [one, other] = [await drawn('one'), await drawn('other')]
    expect(one.length).toBeGreaterThan(50)
    expect(one.length).toBeLessThan(130)
    expect(other).not.toEqual(one)
    expect(one.filter(i => i >= 250)).toEqual(one.filter(i => i < 50).map(i => i + 250))
  })
})

describe('a condition that is written wrong is refused at once', () => {
  it.each([
    ['a network', () => localNetwork({ local: ['10.0.0.1/8'] })],
    ['no client', () => client()],
    ['no sender', () => sender()],
    ['a domain', () => senderDomain('')],
    ['a DNS list', () => dnsbl('zen')],
    ['no DNS list', () => dnsbl([])],
    ['a time', () => time('Mon-Fri 8-18')],
    ['a time of nothing', () => time('08:00-08:00')],
    ['a percentage', () => sample(101)],
    ['a size', () => messageSize({ max: '10XB' })],
    ['no size', () => messageSize({})],
    ['a header', () => header('Sub ject')],
    ['a macro', () => macro('a b')],
    ['a stage', () => macro('a', 'b', { at: 'eoh' as never })],
    ['no condition', () => conditions.all()],
    ['a text', () => conditions.not('tls' as never)],
    ['a macro that is set to a number', () => conditions.setMacro('x', 7 as never)],
  ])('%s', (_, make) => {
    expect(make).toThrow(RangeError)
  })
})
