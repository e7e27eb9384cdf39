import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { definePlugin, reject, resultKey, serviceKey } from 'milterhost/plugin'
import { type FakeZone, fakeClock, fakeDns, type TestMail, testPlugin } from 'milterhost/testing'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import spfFilter from '../../spf/src/index.ts'
import { EmbeddedStore } from '../src/embedded.ts'
import greylist, { type GreylistOptions } from '../src/index.ts'
import { Keys } from '../src/keys.ts'
import type { Ladder } from '../src/ladder.ts'

/** A client whose name looks like that of an end user's line. */
const LINE: TestMail = {
  client: { address: '203.0.113.9', hostname: 'ppp-203-0-113-9.example.com' },
  helo: 'mail.example.org',
  from: 'sender@example.org',
  to: 'rcpt@example.com',
}

const SERVER: TestMail = { ...LINE, client: { address: '198.51.100.7', hostname: 'mail.example.org' } }

const ZONE: FakeZone = {
  'example.org': { txt: ['v=spf1 ip4:203.0.113.0/24 -all'] },
  'pool.example': { txt: ['v=spf1 ip4:192.0.2.0/24 ip4:203.0.113.0/24 -all'] },
  'open.example': { txt: ['v=spf1 +all'] },
  'gmail.com': { txt: ['v=spf1 redirect=_spf.google.com'] },
  '_spf.google.com': { txt: ['v=spf1 ip4:203.0.113.0/24 ~all'] },
  '9.113.0.203.bl.example': { a: ['127.0.0.2'] },
  '9.113.0.203.list.dnswl.org': { a: ['127.0.5.2'] },
}

async function start(options: GreylistOptions = {}, zone: FakeZone = ZONE, rehearsal = false) {
  const clock = fakeClock()
  const host = await testPlugin(greylist({ store: { path: ':memory:' }, jitter: 0, ...options }), {
    clock,
    dns: fakeDns(zone),
    rehearsal,
  })
  const kind = async (mail: TestMail): Promise<string> => (await host.deliver(mail)).verdict.kind
  const rule = (): unknown => host.logs.findLast(({ message }) => message.endsWith('greylisted'))?.fields
  return { host, clock, kind, rule, [Symbol.asyncDispose]: () => host.close() }
}

describe('the default mode', () => {
  test('a client with a server’s name does not wait', async () => {
    await using grey = await start()
    expect(await grey.kind(SERVER)).toBe('continue')
    expect(grey.rule()).toMatchObject({ verdict: 'pass', rule: 'unsuspicious', reasons: [] })
  })

  test('a suspicious one waits five minutes, passes when it comes again, and is known then', async () => {
    await using grey = await start()
    const first = await grey.host.deliver(LINE)
    expect(first.verdict).toEqual({
      kind: 'tempfail',
      reply: { code: 450, enhanced: '4.7.1', lines: ['Greylisted, try again later'] },
    })
    expect(grey.rule()).toMatchObject({
      verdict: 'defer',
      rule: 'new',
      reasons: ['s25r:1'],
      origin: 'd:example.org',
      originKind: 'domain',
      need: 300,
      left: 300,
      store: 'embedded',
    })
    await grey.clock.advance('299s')
    expect(await grey.kind(LINE)).toBe('tempfail')
    expect(grey.rule()).toMatchObject({ rule: 'early', age: 299, left: 1 })
    await grey.clock.advance('1s')
    expect(await grey.kind(LINE)).toBe('continue')
    expect(grey.rule()).toMatchObject({ rule: 'passed', age: 300 })
    expect(await grey.kind({ ...LINE, to: 'another@example.com' })).toBe('continue')
    expect(grey.rule()).toMatchObject({ rule: 'domain' })
  })

  test.each([
    ['no verified name', { client: { address: '198.51.100.7', hostname: null } }, 's25r:0'],
    ['our own name as HELO', { helo: 'mx.example.com' }, 'helo'],
    ['a HELO without a domain', { helo: 'localhost' }, 'helo'],
    ['another’s address as HELO', { helo: '[192.0.2.1]' }, 'helo'],
  ])('%s is suspicious', async (_, mail, reason) => {
    await using grey = await start()
    expect(await grey.kind({ ...SERVER, ...mail })).toBe('tempfail')
    expect(grey.rule()).toMatchObject({ reasons: [reason] })
  })

  test('its own address as HELO is not', async () => {
    await using grey = await start()
    expect(await grey.kind({ ...SERVER, helo: '[198.51.100.7]' })).toBe('continue')
  })

  test('a client that spoke before its turn is', async () => {
    const ears = definePlugin({
      name: 'ears',
      setup: () => ({ connect: event => event.publish(resultKey<boolean>('early-talker'), true) }),
    })
    await using host = await testPlugin([ears(), greylist({ store: { path: ':memory:' } })])
    await host.deliver(SERVER)
    expect(host.logs.findLast(({ message }) => message === 'greylisted')?.fields).toMatchObject({ reasons: ['early'] })
  })

  test('a DNS block list makes the wait longer; an answer that is none of a list does not', async () => {
    await using grey = await start({ suspect: { dnsbl: ['bl.example'] } })
    await grey.kind(LINE)
    expect(grey.rule()).toMatchObject({ reasons: ['s25r:1', 'dnsbl:bl.example'], need: 900 })
    await using other = await start(
      { suspect: { dnsbl: ['bl.example'], s25r: false } },
      { '9.113.0.203.bl.example': { a: ['198.51.100.1'] } },
    )
    expect(await other.kind(LINE)).toBe('continue')
  })

  test('a rule of the configuration makes suspicious, and is named', async () => {
    await using grey = await start({ suspect: { when: ({ sender }) => sender.endsWith('.org') && 'a .org' } })
    await grey.kind(SERVER)
    expect(grey.rule()).toMatchObject({ reasons: ['own-rule:a .org'] })
    expect(await grey.kind({ ...SERVER, from: 'a@example.net' })).toBe('continue')
  })
})

describe('mode all', () => {
  test('every unknown client waits a minute', async () => {
    await using grey = await start({ mode: 'all' })
    expect(await grey.kind(SERVER)).toBe('tempfail')
    expect(grey.rule()).toMatchObject({ need: 60, origin: 'h:example.org' })
    await grey.clock.advance('1m')
    expect(await grey.kind(SERVER)).toBe('continue')
  })

  test('the wait is a little longer for each origin, and the same at each attempt', async () => {
    await using grey = await start({ mode: 'all', jitter: 0.2, secret: 'a secret of this site' })
    await grey.kind(SERVER)
    const { need } = grey.rule() as { need: number }
    expect(need).toBeGreaterThanOrEqual(60)
    expect(need).toBeLessThanOrEqual(72)
    await grey.kind(SERVER)
    expect(grey.rule()).toMatchObject({ need })
  })
})

describe('where mail comes from', () => {
  test('a retry from another address of the same SPF domain passes', async () => {
    await using grey = await start({ mode: 'all' })
    const from = (address: string): TestMail => ({
      ...LINE,
      from: 'list@pool.example',
      client: { address, hostname: null },
    })
    expect(await grey.kind(from('203.0.113.9'))).toBe('tempfail')
    await grey.clock.advance('5m')
    expect(await grey.kind(from('192.0.2.77'))).toBe('continue')
    expect(grey.rule()).toMatchObject({ rule: 'passed', origin: 'd:pool.example' })
  })

  test('a record that lets everybody pass names nobody', async () => {
    await using grey = await start()
    await grey.kind({ ...LINE, from: 'a@open.example' })
    expect(grey.rule()).toMatchObject({ origin: 'a:203.0.113.9' })
  })

  test('what an spf filter found before is taken, and its failures are suspicious', async () => {
    const spf = (result: string) =>
      definePlugin({
        name: 'spf',
        setup: () => ({ mail: event => event.publish(resultKey<{ result: string }>('spf'), { result }) }),
      })
    const options: GreylistOptions = { store: { path: ':memory:' } }
    await using host = await testPlugin([spf('softfail')(), greylist(options)], { dns: fakeDns(ZONE) })
    await host.deliver(SERVER)
    expect(host.logs.at(-1)?.fields).toMatchObject({ reasons: ['spf:softfail'], origin: 'h:example.org' })
    const macros = fakeDns({ 'example.org': { txt: ['v=spf1 exists:%{i}.example.org -all'] } })
    await using passing = await testPlugin([spf('pass')(), greylist({ ...options, mode: 'all' })], { dns: macros })
    await passing.deliver(SERVER)
    expect(passing.logs.at(-1)?.fields).toMatchObject({ origin: 'd:example.org' })
  })

  test('where a record has macros the spf filter’s word is taken, from whatever address of the domain', async () => {
    const zone: FakeZone = {
      'pool.example': { txt: ['v=spf1 exists:%{ir}.spf.pool.example -all'] },
      '9.113.0.203.spf.pool.example': { a: ['127.0.0.2'] },
      '77.2.0.192.spf.pool.example': { a: ['127.0.0.2'] },
    }
    const clock = fakeClock()
    const entries = [spfFilter(), greylist({ store: { path: ':memory:' }, jitter: 0 })]
    await using host = await testPlugin(entries, { clock, dns: fakeDns(zone) })
    const from = (address: string): TestMail => ({
      ...LINE,
      from: 'list@pool.example',
      client: { address, hostname: null },
    })
    expect((await host.deliver(from('203.0.113.9'))).verdict.kind).toBe('tempfail')
    await clock.advance('5m')
    expect((await host.deliver(from('192.0.2.77'))).verdict.kind).toBe('continue')
  })

  test('a DNS that never answers costs its time and no more', async () => {
    await using grey = await start({ limits: { dnsTime: '50ms' } }, { 'example.org': { txt: 'hang' } })
    expect(await grey.kind(LINE)).toBe('tempfail')
    expect(grey.rule()).toMatchObject({ origin: 'a:203.0.113.9' })
  })
})

describe('who does not wait', () => {
  const authenticated = { ...LINE.client, auth: { user: 'u' } }
  test.each<[string, GreylistOptions['bypass'], TestMail]>([
    ['authenticated', {}, { ...LINE, client: authenticated }],
    ['tls', {}, { ...LINE, client: { ...LINE.client, macros: { cert_subject: 'mail.example.org' } } }],
    ['tls', {}, { ...LINE, client: { ...LINE.client, macros: { verify: 'OK' } } }],
    ['local', {}, { ...LINE, client: { address: '10.1.2.3', hostname: null } }],
    ['network', { networks: ['203.0.113.0/24'] }, LINE],
    ['backup-mx', { backupMx: ['203.0.113.9'] }, LINE],
    ['name', { names: ['example.com'] }, LINE],
    ['own-rule', { when: ({ recipients }) => recipients.includes('rcpt@example.com') }, LINE],
    ['dnswl', { dnswl: { score: 2 } }, LINE],
    ['sender', { senders: ['example.org'] }, LINE],
    ['provider', {}, { ...LINE, from: 'someone@gmail.com' }],
  ])('%s', async (rule, bypass, mail) => {
    await using grey = await start({ bypass: bypass ?? {} })
    expect(await grey.kind(mail)).toBe('continue')
    expect(grey.rule()).toMatchObject({ verdict: 'pass', rule })
  })

  test.each<[string, GreylistOptions['bypass'], TestMail]>([
    ['switched off', { authenticated: false }, { ...LINE, client: authenticated }],
    [
      'a certificate that is not trusted',
      {},
      { ...LINE, client: { ...LINE.client, macros: { verify: 'FAIL', cert_subject: 'x' } } },
    ],
    ['a sender without SPF', { senders: ['example.net'] }, { ...LINE, from: 'a@example.net' }],
    [
      'a provider’s name that SPF does not confirm',
      {},
      { ...LINE, from: 'a@gmail.com', client: { address: '192.0.2.1', hostname: null } },
    ],
    ['too little trust in a DNS white list', { dnswl: { score: 3 } }, LINE],
  ])('%s is no reason', async (_, bypass, mail) => {
    await using grey = await start({ bypass: bypass ?? {} })
    expect(await grey.kind(mail)).toBe('tempfail')
  })

  test.each([
    ['waited', 'tarpit', 'pass'],
    ['deferred', 'new', 'defer'],
    [7, 'new', 'defer'],
  ])('whom a tarpit before this one made wait, if it did: %s', async (state, rule, verdict) => {
    const before = definePlugin({
      name: 'tarpit',
      setup: () => ({ rcpt: event => event.publish(resultKey<unknown>('tarpit'), { state }) }),
    })
    const entry = greylist({ store: { path: ':memory:' } })
    await using host = await testPlugin([before(), entry], { clock: fakeClock(), dns: fakeDns(ZONE) })
    await host.deliver(LINE)
    expect(host.logs.findLast(({ message }) => message.endsWith('greylisted'))?.fields).toMatchObject({ rule, verdict })
  })

  test('a DNS white list that says "you may not ask" is an error and no hit', async () => {
    await using grey = await start({ bypass: { dnswl: {} } }, { '9.113.0.203.list.dnswl.org': { a: ['127.0.0.255'] } })
    expect(await grey.kind(LINE)).toBe('tempfail')
  })

  test('a recipient that wants no delay has none, the others of the message have', async () => {
    await using grey = await start({ bypass: { recipients: ['postmaster@example.com'] } })
    const { replies } = await grey.host.deliver({ ...LINE, to: ['rcpt@example.com', 'postmaster@example.com'] })
    expect(replies.filter(({ command }) => command === 'rcpt').map(({ verdict }) => verdict.kind)).toEqual([
      'tempfail',
      'continue',
    ])
  })

  test('a domain that our users write to is known, when SPF passes', async () => {
    await using grey = await start()
    await grey.kind({ client: authenticated, from: 'me@example.com', to: 'friend@example.org' })
    expect(await grey.kind(LINE)).toBe('continue')
    expect(grey.rule()).toMatchObject({ rule: 'known', origin: 'd:example.org' })
    expect(await grey.kind({ ...LINE, client: { address: '192.0.2.50', hostname: null } })).toBe('tempfail')
  })
})

describe('one transaction, one answer', () => {
  test('all recipients are put off, and each is remembered', async () => {
    await using grey = await start({ bypass: { providers: [] } })
    const to = ['a@example.com', 'b@example.com', 'c@example.com']
    const { replies } = await grey.host.deliver({ ...LINE, from: 'x@example.net', to })
    expect(replies.filter(({ command }) => command === 'rcpt').map(({ verdict }) => verdict.kind)).toEqual(
      Array(3).fill('tempfail'),
    )
    await grey.clock.advance('5m')
    expect(await grey.kind({ ...LINE, from: 'x@example.net', to: 'c@example.com' })).toBe('continue')
  })

  test('no more than twenty of them are remembered', async () => {
    await using grey = await start()
    const to = Array.from({ length: 30 }, (_, i) => `r${i}@example.com`)
    await grey.host.deliver({ ...LINE, to })
    await grey.clock.advance('5m')
    expect(await grey.kind({ ...LINE, to: 'r29@example.com' })).toBe('tempfail')
    expect(grey.rule()).toMatchObject({ rule: 'new' })
    expect(await grey.kind({ ...LINE, to: 'r19@example.com' })).toBe('continue')
  })

  test('a bounce waits at DATA, so that a server which only checks an address is not put off', async () => {
    await using grey = await start()
    const { replies } = await grey.host.deliver({ ...LINE, from: '' })
    expect(replies.map(({ command, verdict }) => [command, verdict.kind]).slice(-2)).toEqual([
      ['rcpt', 'continue'],
      ['data', 'tempfail'],
    ])
    await grey.clock.advance('5m')
    expect(await grey.kind({ ...LINE, from: '' })).toBe('continue')
  })

  test('at DATA one recipient that has waited lets all pass', async () => {
    await using grey = await start({ at: 'data' })
    await grey.kind({ ...LINE, to: ['a@example.com'] })
    await grey.clock.advance('5m')
    expect(await grey.kind({ ...LINE, to: ['new@example.com', 'a@example.com'] })).toBe('continue')
  })

  test('at the end of the message a retry from an unrelated address is known by its content', async () => {
    await using grey = await start({ at: 'eom' })
    const from = (address: string, message = 'Subject: one\r\n\r\nhello\r\n'): TestMail => ({
      ...LINE,
      from: 'a@example.net',
      client: { address, hostname: null },
      message,
    })
    expect(await grey.kind(from('203.0.113.9'))).toBe('tempfail')
    await grey.clock.advance('6m')
    expect(await grey.kind(from('198.51.100.200', 'Subject: two\r\n\r\nhello\r\n'))).toBe('tempfail')
    expect(await grey.kind(from('198.51.100.200'))).toBe('continue')
    expect(grey.rule()).toMatchObject({ rule: 'body' })
  })
})

describe('what is learned', () => {
  const dkim = (domains: unknown) =>
    definePlugin({
      name: 'dkim',
      setup: () => ({ end: event => event.publish(resultKey<unknown>('dkim'), { domains }) }),
    })
  const fromServer: TestMail = { ...LINE, from: 'a@signed.example' }
  const zone = { 'signed.example': { txt: ['v=spf1 ip4:192.0.2.0/24 -all'] } }

  test.each<[unknown, string]>([
    [['mail.signed.example'], 'continue'],
    [['other.example'], 'tempfail'],
    [[7, null], 'tempfail'],
    ['signed.example', 'tempfail'],
  ])('a signature %j on mail that had waited makes its domain known, where SPF passes: %s', async (domains, kind) => {
    const clock = fakeClock()
    const entry = greylist({ store: { path: ':memory:' }, jitter: 0 })
    await using host = await testPlugin([entry, dkim(domains)()], { clock, dns: fakeDns(zone) })
    await host.deliver(fromServer)
    await clock.advance('5m')
    expect((await host.deliver(fromServer)).verdict.kind).toBe('continue')
    await clock.advance('1s')
    const elsewhere = { ...fromServer, client: { address: '192.0.2.9', hostname: null } }
    expect((await host.deliver(elsewhere)).verdict.kind).toBe(kind)
  })
})

describe('a store that cannot be asked', () => {
  let folder: string
  let lock: DatabaseSync
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'greylist-'))
  })
  afterEach(() => {
    lock.close()
    rmSync(folder, { recursive: true })
  })

  /** A greylist whose file another process does not let go of. */
  async function locked(options: GreylistOptions) {
    const path = join(folder, 'greylist.sqlite')
    const grey = await start({ ...options, secret: 'a secret of this site', store: { path } })
    lock = new DatabaseSync(path)
    lock.exec('BEGIN IMMEDIATE')
    return grey
  }

  test('is no reason to put off, by default', async () => {
    await using grey = await locked({})
    expect(await grey.kind(LINE)).toBe('continue')
    expect(grey.rule()).toMatchObject({ verdict: 'pass', rule: 'store-down', store: null })
    const failures = grey.host.counters().find(({ name }) => name === 'milterhost_greylist_store_failures_total')
    expect(failures?.samples[0]?.value).toBe(1)
    lock.exec('ROLLBACK')
    expect(await grey.kind(LINE)).toBe('tempfail')
  })

  test('is one where the postmaster says so, in words that do not speak of greylisting', async () => {
    await using grey = await locked({ onStoreError: 'tempfail' })
    expect((await grey.host.deliver(LINE)).verdict).toMatchObject({
      kind: 'tempfail',
      reply: { code: 451, enhanced: '4.3.0' },
    })
    expect(await grey.kind(SERVER)).toBe('continue')
    lock.exec('ROLLBACK')
  })
})

describe('a store without room', () => {
  test.each([
    ['accept', 'continue', 'pass'],
    ['tempfail', 'tempfail', 'defer'],
  ] as const)('onFull %s: a newcomer is answered so, and told in the log', async (onFull, kind, verdict) => {
    const folder = mkdtempSync(join(tmpdir(), 'greylist-'))
    const path = join(folder, 'greylist.sqlite')
    const clock = fakeClock()
    const full = new EmbeddedStore({ path, capacity: 1_000, sweepEvery: 0, now: clock.now, problem: () => {} })
    const mark = { first: clock.now(), last: clock.now(), count: 1, expires: clock.now() + 86_400_000 }
    const known = Array.from({ length: 1_000 }, (_, at) => ({
      kind: 'origin' as const,
      origin: new Keys('full').origin(String(at)),
      item: null,
      ...mark,
    }))
    await full.merge(known.slice(0, 500), clock.now())
    await full.merge(known.slice(500), clock.now())
    await full.close()
    const grey = await start({ onFull, store: { path }, limits: { entries: 1_000 } })
    expect(await grey.kind(LINE)).toBe(kind)
    expect(grey.rule()).toMatchObject({ verdict, rule: 'full' })
    await grey.host.close()
    rmSync(folder, { recursive: true })
  })
})

describe('what is learned is lost', () => {
  test('when a message that passed is rejected by another filter', async () => {
    const scanner = definePlugin({
      name: 'scanner',
      setup: () => ({ end: event => (event.header('X-Bad') === undefined ? undefined : reject('A virus')) }),
    })
    const clock = fakeClock()
    const host = await testPlugin([greylist({ store: { path: ':memory:' }, jitter: 0 }), scanner()], {
      clock,
      dns: fakeDns(ZONE),
    })
    await host.deliver(LINE)
    await clock.advance('5m')
    expect((await host.deliver(LINE)).verdict.kind).toBe('continue')
    expect((await host.deliver({ ...LINE, message: 'X-Bad: yes\r\n\r\n' })).verdict.kind).toBe('reject')
    await clock.advance('1s')
    expect((await host.deliver(LINE)).verdict.kind).toBe('tempfail')
    await host.close()
  })

  test('when it writes to a trap; then it is put off for a day', async () => {
    await using grey = await start({ traps: { recipients: ['trap@example.com'] } })
    const server = { ...SERVER, helo: 'mail.example.org' }
    expect(await grey.kind(server)).toBe('continue')
    expect(await grey.kind({ ...server, to: 'trap@example.com' })).toBe('tempfail')
    expect(grey.rule()).toMatchObject({ rule: 'trap' })
    expect(await grey.kind(server)).toBe('tempfail')
    expect(grey.rule()).toMatchObject({ rule: 'trapped', left: 86_400 })
    await grey.clock.advance('24h')
    expect(await grey.kind(server)).toBe('continue')
  })
})

describe('what is told', () => {
  test('the reply is the postmaster’s, and says how long only when it may', async () => {
    await using grey = await start({
      reply: {
        code: 451,
        enhanced: '4.2.0',
        text: ['50% of spam', 'never comes back'],
        url: 'https://example.com/grey',
      },
      quiet: false,
    })
    const { verdict } = await grey.host.deliver(LINE)
    expect(verdict).toEqual({
      kind: 'tempfail',
      reply: {
        code: 451,
        enhanced: '4.2.0',
        lines: ['50% of spam', 'never comes back in 300 seconds https://example.com/grey'],
      },
    })
  })

  test('a header says how it passed; a forged one is taken away', async () => {
    await using grey = await start({ header: true })
    await grey.kind(LINE)
    await grey.clock.advance('5m')
    const { message } = await grey.host.deliver({ ...LINE, message: 'X-Greylist: forged\r\nSubject: x\r\n\r\n' })
    expect(message?.headers.filter(({ name }) => name === 'X-Greylist')).toEqual([
      { name: 'X-Greylist', value: 'passed; rule=passed; origin=domain; delay=300; store=embedded' },
    ])
  })

  test('answers are counted by verdict and rule', async () => {
    await using grey = await start()
    await grey.kind(LINE)
    await grey.kind(SERVER)
    const answers = grey.host.counters().find(({ name }) => name === 'milterhost_greylist_answers_total')
    expect(answers?.samples).toEqual([
      { labels: { filter: 'greylist', rule: 'new', verdict: 'defer' }, value: 1 },
      { labels: { filter: 'greylist', rule: 'unsuspicious', verdict: 'pass' }, value: 1 },
    ])
  })

  test('its health is that of its store', async () => {
    await using grey = await start()
    expect((await grey.host.check()).get('greylist')?.facts.get('health')).toBe('store ok')
  })
})

describe('the store', () => {
  test('a file that cannot be opened is told with its path', async () => {
    await expect(start({ store: { path: '/proc/greylist.sqlite' } })).rejects.toThrow(
      'store: cannot open /proc/greylist.sqlite',
    )
  })
})

describe('a configuration that is only tried out', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'greylist-rehearsal-'))
    vi.stubEnv('STATE_DIRECTORY', folder)
  })
  afterEach(() => {
    vi.unstubAllEnvs()
    rmSync(folder, { recursive: true, force: true })
  })

  const own = (): string => join(folder, 'own.sqlite')
  const redis = 'redis://127.0.0.1:1'
  test.each<[string, () => GreylistOptions]>([
    ['a file of its own', () => ({ store: { path: own() } })],
    ['a Redis that hosts share', () => ({ store: redis })],
    [
      'a Redis, and a file for when it is away',
      () => ({ store: redis, onStoreError: 'local', localStore: { path: own() } }),
    ],
  ])('keeps its marks in the default place and leaves %s alone', async (_, options) => {
    await using grey = await start(options(), ZONE, true)
    expect(await grey.kind(LINE)).toBe('tempfail')
    await grey.clock.advance('5m')
    expect(await grey.kind(LINE)).toBe('continue')
    expect(grey.rule()).toMatchObject({ rule: 'passed', store: 'embedded' })
    expect((await grey.host.check()).get('greylist')?.facts.get('health')).toBe('store ok')
    const files = readdirSync(folder).map(name => name.split('.sqlite')[0])
    expect(new Set(files)).toEqual(new Set(['greylist']))
  })

  test('one that serves keeps them where the options say', async () => {
    await using grey = await start({ store: { path: own() } })
    expect(await grey.kind(LINE)).toBe('tempfail')
    expect(new Set(readdirSync(folder).map(name => name.split('.sqlite')[0]))).toEqual(new Set(['own']))
  })
})

describe('the ladder that other plugins share', () => {
  test('who waited out a tarpit need not wait for the greylist, and the other way round', async () => {
    await using grey = await start()
    const ladder = grey.host.service(serviceKey<Ladder>('greylist.ladder'))!
    const who = {
      client: { address: '203.0.113.9', port: 4000, hostname: 'ppp-203-0-113-9.example.com', verified: true },
      helo: 'mail.example.org',
      sender: 'sender@example.org',
      recipient: 'rcpt@example.com',
    }
    const { signal } = new AbortController()
    expect(await ladder.standing(who, signal)).toBe('unknown')
    expect(await ladder.greylist(who, signal)).toEqual({ pass: false, retryAfter: 300 })
    expect(await ladder.standing(who, signal)).toBe('pending')
    await ladder.credit(who, 'tarpit')
    expect(await ladder.standing(who, signal)).toBe('passed')
    expect(await grey.kind(LINE)).toBe('continue')
    for (const sender of ['a', 'b', 'c', 'd']) await ladder.credit({ ...who, sender: `x@${sender}.example` }, 'tarpit')
    expect(await ladder.greylist(who, signal)).toEqual({ pass: true, retryAfter: 0 })
    for (let hour = 0; hour < 5; hour++) {
      await grey.clock.advance('61m')
      await ladder.credit(who, 'tarpit')
    }
    expect(await ladder.standing(who, signal)).toBe('known')
  })
})
