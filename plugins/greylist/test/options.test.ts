/**
 * Every option at its bounds and beyond: each mistake is `PLUGIN_OPTIONS` with the option's name and what is allowed, and what is
 * allowed does what its line in the README says.
 */
import { type FakeZone, fakeClock, fakeDns, type TestMail, testPlugin } from 'milterhost/testing'
import { describe, expect, test } from 'vitest'
import greylist, { type GreylistOptions } from '../src/index.ts'

const LINE: TestMail = {
  client: { address: '203.0.113.9', hostname: 'ppp-203-0-113-9.example.com' },
  helo: 'mail.example.org',
  from: 'sender@example.org',
  to: 'rcpt@example.com',
}

const ZONE: FakeZone = {
  'example.org': { txt: ['v=spf1 ip4:203.0.113.0/24 -all'] },
  '9.113.0.203.bl.example': { a: ['127.0.0.2'] },
}

async function start(options: unknown) {
  const clock = fakeClock()
  const given = options as GreylistOptions
  const host = await testPlugin(
    greylist(
      typeof given === 'object' && given !== null ? { store: { path: ':memory:' }, jitter: 0, ...given } : given,
    ),
    { clock, dns: fakeDns(ZONE) },
  )
  const kind = async (mail: TestMail = LINE): Promise<string> => (await host.deliver(mail)).verdict.kind
  const rule = (): unknown => host.logs.findLast(({ message }) => message.endsWith('greylisted'))?.fields
  return { host, clock, kind, rule, [Symbol.asyncDispose]: () => host.close() }
}

/** The option that is wrong, the options, and what is said of what is allowed. */
type Mistake = readonly [option: string, options: unknown, allowed: string]

const each = (option: string, make: (value: unknown) => unknown, allowed: string, values: readonly unknown[]) =>
  values.map((value): Mistake => [option, make(value), allowed])

/** Lengths of time that no option takes. */
const lengths = (option: string, make: (value: unknown) => unknown, most: string): Mistake[] => [
  ...each(option, make, 'must be longer than zero', [-1, 0, '0s', '0.1ms']),
  ...each(option, make, 'must be a length of time such as "30s"', ['-5s', '1w', '5 minutes', null, [], Number.NaN, '']),
  ...each(option, make, 'must say its unit', ['30']),
  ...each(option, make, `must be at most ${most}`, ['20000d', 1e12, Number.POSITIVE_INFINITY]),
]

const ADDRESS = 'is not an address such as "user@example.org", nor a domain'
const NAME = 'is not a domain such as "example.com" (with all below it), a regular expression or a function'
const ZONE_NAME = 'is not the domain of a DNS list'
const NETWORK = 'is not a network such as "192.0.2.0/24"'
const STORE = "must be 'embedded', { path: '/a/file' }, or a URL or the options of a Redis"
const FUNCTION = 'must be a function'

const redis = (more: object): object => ({ store: { host: '127.0.0.1', ...more } })

const MISTAKES: readonly Mistake[] = [
  ...each('mode', mode => ({ mode }), '"suspicious"|"all"', ['', 'x', 3, null, []]),
  ...each('at', at => ({ at }), '"rcpt"|"data"|"eom"', ['', 'helo', null]),
  ...each('onStoreError', onStoreError => ({ onStoreError }), '"accept"|"local"|"tempfail"', ['', 'reject', null]),
  ...each('onFull', onFull => ({ onFull }), '"accept"|"tempfail"', ['', 'reject', null]),
  ...each('sender', sender => ({ sender }), '"address"|"normalised"|"domain"|"none"', ['', 'x', null]),

  ...lengths('wait.ordinary', ordinary => ({ wait: { ordinary } }), '3650 days'),
  ...lengths('wait.suspicious', suspicious => ({ wait: { suspicious } }), '3650 days'),
  ...lengths('wait.listed', listed => ({ wait: { listed } }), '3650 days'),
  ...each('wait', wait => ({ wait }), 'expected object', ['5m', [], null]),
  ...lengths('window', window => ({ window }), '3650 days'),
  ...lengths('life', life => ({ life }), '3650 days'),
  ...lengths('known.apart', apart => ({ known: { apart } }), '3650 days'),
  ...lengths('traps.for', time => ({ traps: { for: time } }), '3650 days'),
  // A timer that long would fire at once, and the store would seem to be down.
  ...lengths('limits.storeTime', storeTime => ({ limits: { storeTime } }), '1m'),
  ...lengths('limits.dnsTime', dnsTime => ({ limits: { dnsTime } }), '1m'),

  ...each('jitter', jitter => ({ jitter }), '>=0', [-0.1]),
  ...each('jitter', jitter => ({ jitter }), '<=1', [1.1, 20]),
  ...each('jitter', jitter => ({ jitter }), 'expected number', ['20%', Number.NaN, Number.POSITIVE_INFINITY]),
  ...each('retries', retries => ({ retries }), '>=1', [-1, 0]),
  ...each('retries', retries => ({ retries }), '<=10', [11, 1e9]),
  ...each('retries', retries => ({ retries }), 'expected', [1.5, '2']),
  ...each('known.after', after => ({ known: { after } }), '>=0', [-1]),
  ...each('known.after', after => ({ known: { after } }), 'expected', [1.5, '2', Number.POSITIVE_INFINITY]),
  ...each('known.suspicious', suspicious => ({ known: { suspicious } }), '>=0', [-1]),
  ...each('known.suspicious', suspicious => ({ known: { suspicious } }), 'expected', [1.5, '2', 1e16]),
  ...each('limits.perOrigin', perOrigin => ({ limits: { perOrigin } }), '>=1', [-1, 0]),
  ...each('limits.perTransaction', perTransaction => ({ limits: { perTransaction } }), '>=1', [-1, 0]),
  ...each('limits.perTransaction', perTransaction => ({ limits: { perTransaction } }), '<=20', [21, 1e9]),
  ...each('limits.entries', entries => ({ limits: { entries } }), '>=1000', [-1, 0, 999]),
  ...each('limits.entries', entries => ({ limits: { entries } }), 'expected', [1000.5, '2000']),

  ...each('reply.code', code => ({ reply: { code } }), '421|450|451', [420, 550, '450', null]),
  ...each('reply.enhanced', enhanced => ({ reply: { enhanced } }), 'must be that of a temporary failure', [
    ...['', '4.7', '5.7.1', '4.-7.1', '4.07.1', '4.1000.1', '4.7.1 ', '4.1e3.0'],
  ]),
  ...each('reply.text', text => ({ reply: { text } }), 'must not be empty', ['', ' ', [], ['']]),
  ...each('reply.text', text => ({ reply: { text } }), 'must be a text or a list of lines', [5, null, [5]]),
  ...each('reply', text => ({ reply: { text } }), 'holds a CR, LF or NUL', ['a\rb', 'a\0b', ['a', 'b\r']]),
  ...each('reply', text => ({ reply: { text } }), '32 are the limit', [Array(33).fill('x')]),
  ...each('reply', text => ({ reply: { text } }), '980 are the limit', ['x'.repeat(981), ['a', 'x'.repeat(981)]]),
  ...each('reply.url', url => ({ reply: { url } }), 'must be a URL', [
    '',
    'nonsense',
    'https://e.example/a b',
    'a\r\n',
  ]),
  ['reply', { quiet: false, reply: { text: 'x'.repeat(970) } }, '980 are the limit'],
  ...each('quiet', quiet => ({ quiet }), 'expected boolean', ['yes', 1, null]),
  ...each('learnOutbound', learnOutbound => ({ learnOutbound }), 'expected boolean', ['no', 0, null]),
  ...each('demote', demote => ({ demote }), 'expected boolean', ['no', 0, null]),
  ...each('header', header => ({ header }), 'true, false or the name of a header', ['', 'X Grey', 'X-Grey:', 5, null]),
  ...each('header', header => ({ header }), 'at most 76 characters', ['X'.repeat(77)]),
  ...each('header', header => ({ header }), "header of the mail's own", [
    ...['Subject', 'from', 'Received', 'Resent-From', 'Content-Type', 'DKIM-Signature', 'Authentication-Results'],
  ]),

  ...each('bypass.networks', networks => ({ bypass: { networks } }), NETWORK, [['10.0.0.0/33'], ['10.0.0.1/8'], ['x']]),
  ...each('bypass.networks', networks => ({ bypass: { networks } }), 'expected array', ['10.0.0.0/8', null]),
  ...each('bypass.networks[0]', networks => ({ bypass: { networks } }), 'expected string', [[5], ['']]),
  ...each('bypass.backupMx', backupMx => ({ bypass: { backupMx } }), NETWORK, [['300.1.1.1'], ['mx2.example.org']]),
  ...each('bypass.names', names => ({ bypass: { names } }), NAME, [[''], [' '], ['.'], ['*.example.com'], ['a b']]),
  ...each('bypass.names[0]', names => ({ bypass: { names } }), 'must be a domain', [[5], [null]]),
  ...(['senders', 'recipients'] as const).flatMap(list =>
    each(`bypass.${list}`, value => ({ bypass: { [list]: value } }), ADDRESS, [
      ...[['@'], ['user@'], ['a b'], [' a@b.example'], ['<a@b.example>'], ['*@b.example'], ['.b.example'], ['a@b@c']],
    ]),
  ),
  ...each('traps.recipients', recipients => ({ traps: { recipients } }), ADDRESS, [['<t@b.example>'], ['t@']]),
  ...each('bypass.dnswl.zone', zone => ({ bypass: { dnswl: { zone } } }), ZONE_NAME, ['', 'a b', 'https://l.example']),
  ...each('bypass.dnswl.score', score => ({ bypass: { dnswl: { score } } }), '>=0', [-1]),
  ...each('bypass.dnswl.score', score => ({ bypass: { dnswl: { score } } }), '<=3', [4]),
  ...each('bypass.providers', providers => ({ bypass: { providers } }), 'is not a domain such as', [[''], ['gmail']]),
  ['bypass.providers', { bypass: { providers: ['mail.google.com'] } }, 'write "google.com"'],
  ...each('bypass.when', when => ({ bypass: { when } }), FUNCTION, ['x', true, null]),
  ...each('suspect.when', when => ({ suspect: { when } }), FUNCTION, ['x', true, null]),
  ...each('suspect.s25r', s25r => ({ suspect: { s25r } }), 'must be true, false or { whitelist, blacklist }', [
    'x',
    null,
    5,
  ]),
  ...each('suspect.s25r', s25r => ({ suspect: { s25r } }), NAME, [{ whitelist: [''] }, { blacklist: ['*.example'] }]),
  ...each('suspect.dnsbl', dnsbl => ({ suspect: { dnsbl } }), ZONE_NAME, [
    ...[['a b'], ['.'], ['bl..example'], ['https://bl.example'], [`${'x'.repeat(64)}.example`]],
  ]),
  ...each('suspect.spf[0]', spf => ({ suspect: { spf } }), '"fail"|"softfail"', [['pass'], ['x']]),
  ...each('suspect.helo', helo => ({ suspect: { helo } }), 'expected boolean', ['x', null]),

  ...each('secret', secret => ({ secret }), 'must be at least 16 characters', ['', 'short']),
  ...each('localStore.path', path => ({ ...redis({}), onStoreError: 'local', localStore: { path } }), 'expected', [
    ...['', 5, undefined],
  ]),
  ...each('store', store => ({ store }), STORE, ['', 'embed', 'embedded ', 'mysql://x', 'REDIS://h', null, [], 5]),
  ...each('store', path => ({ store: { path } }), 'path must be that of a file', ['', 5]),
  ...each('store', store => ({ store }), 'url: ', ['redis://', 'redis://h/x', 'redis://h/1?x=1', 'redis://h:0']),
  ['store', { store: { paht: '/a' } }, 'there is no option paht; it has path (of a file), or for a Redis url, socket'],
  ['store', { store: { port: 6379 } }, 'exactly one of url, socket, host, sentinels and cluster'],
  ['store', { store: { url: 'redis://h', host: 'h' } }, 'exactly one of url, socket, host, sentinels and cluster'],
  ['store', { store: { socket: 'run/redis.sock' } }, 'socket: must be the path'],
  ...each('store', port => redis({ port }), 'port: ', [0, 70_000, '6379']),
  ...each('store', db => redis({ db }), 'db: ', [-1, 1.5]),
  ...each('store', prefix => redis({ prefix }), 'prefix: ', ['', 'a{b}', 'a b']),
  ...each('store', timeout => redis({ timeout }), 'timeout: must be ', [0, -1, '2m', 'soon', null]),
  ...each('store', nodes => ({ store: { sentinels: nodes } }), 'sentinels', [[], ['h:99999'], [5], 'h']),
  ...each('store', nodes => ({ store: { cluster: nodes } }), 'cluster', [[], ['h:x'], [{}]]),

  // Right one by one, and senseless together.
  ['window', { window: '5m' }, '5m is over before wait.suspicious (5m with its jitter)'],
  ['window', { window: '6m', jitter: 0.2 }, '6m is over before wait.suspicious (6m with its jitter)'],
  ['window', { window: '10m', suspect: { dnsbl: ['bl.example'] } }, 'wait.listed (15m with its jitter)'],
  ['window', { window: '1h', mode: 'all', wait: { ordinary: '2h' } }, 'wait.ordinary (2h with its jitter)'],
  ['known.apart', { known: { apart: '36d' } }, 'must be shorter than life, which is 36d'],
  ['known.apart', { life: '1h' }, 'must be shorter than life, which is 1h'],
  ['onStoreError', { onStoreError: 'local' }, "'local' is for a Redis"],
  ['localStore', { ...redis({}), localStore: { path: '/a.sqlite' } }, "is only used with onStoreError: 'local'"],
  [
    'limits.storeTime',
    redis({ timeout: '1s' }),
    'may not be shorter than store.timeout, the limit of one command, which is 1s',
  ],
  ['limits.storeTime', { ...redis({}), limits: { storeTime: '100ms' } }, 'shorter than store.timeout'],
  ['store', { store: { url: 'redis://h/1', db: 2 } }, 'db: stands in url too'],
  ['store', { store: { url: 'redis://:a@h', password: 'b' } }, 'password: stands in url too'],
  ['store', { store: { url: 'rediss://h', tls: false } }, 'tls: false contradicts url'],
  ['store', { store: { url: 'redis://h', port: 6380 } }, 'port: goes with host only, and here url is given'],
  ['store', { store: { sentinels: ['h'], port: 6380 } }, 'port: goes with host only, and here sentinels is given'],
  ['store', redis({ name: 'x' }), 'name: goes with sentinels only, and here host is given'],
  ['store', redis({ sentinelPassword: 'x' }), 'sentinelPassword: goes with sentinels only'],
  ['store', redis({ natMap: {} }), 'natMap: goes with sentinels or cluster only'],
  ['store', { store: { cluster: ['h'], db: 2 } }, 'db: a Cluster has no database but 0'],
]

const shownAs = (value: unknown): string =>
  JSON.stringify(value, (_key, part) =>
    Object.is(part, Number.NaN)
      ? 'NaN'
      : part === Number.POSITIVE_INFINITY
        ? 'Infinity'
        : typeof part === 'string' && part.length > 60
          ? `${part.slice(0, 20)}…`
          : part,
  ) ?? 'nothing'

describe('a mistake is told with the option and what is allowed', () => {
  test.each(MISTAKES.map(([option, options, allowed]) => ({ option, options, allowed, shown: shownAs(options) })))(
    '$option: $shown',
    async ({ option, options, allowed }) => {
      const failure: unknown = await start(options).then(
        ({ host }) => host.close(),
        (error: unknown) => error,
      )
      expect(failure).toMatchObject({ code: 'PLUGIN_OPTIONS' })
      expect((failure as Error).message).toContain(`option ${option}: `)
      expect((failure as Error).message).toContain(allowed)
    },
  )

  test('one that does not exist is told with the nearest that does', async () => {
    await expect(start({ bypas: {} })).rejects.toThrow('there is no option bypas; did you mean "bypass"?')
    await expect(start({ limits: { perorigin: 3 } })).rejects.toThrow('did you mean "perOrigin"?')
    await expect(start('all')).rejects.toMatchObject({ code: 'PLUGIN_OPTIONS' })
  })
})

describe('what is allowed works at its bounds', () => {
  test('every list may be empty: then nothing of it counts', async () => {
    await using grey = await start({
      bypass: { networks: [], backupMx: [], names: [], senders: [], recipients: [], providers: [] },
      suspect: { s25r: { whitelist: [], blacklist: [] }, dnsbl: [], spf: [] },
      traps: { recipients: [] },
    })
    expect(await grey.kind()).toBe('tempfail')
    expect(grey.rule()).toMatchObject({ rule: 'new', reasons: ['s25r:1'] })
  })

  test('nobody waits where nothing makes a client suspicious', async () => {
    await using grey = await start({ suspect: { s25r: false, helo: false, spf: [] } })
    expect(await grey.kind()).toBe('continue')
    expect(grey.rule()).toMatchObject({ rule: 'unsuspicious' })
  })

  test('a window just longer than the wait lets a retry between the two pass', async () => {
    await using grey = await start({ window: 301 })
    expect(await grey.kind()).toBe('tempfail')
    await grey.clock.advance('300s')
    expect(await grey.kind()).toBe('continue')
  })

  test('a short window needs no care for waits that nobody is made to wait', async () => {
    await using grey = await start({ window: '10m', wait: { ordinary: '1h' } })
    expect(await grey.kind()).toBe('tempfail')
  })

  test('the wait may be the same for all, and shorter for those on a list', async () => {
    await using grey = await start({
      wait: { ordinary: 1, suspicious: 1, listed: '1ms' },
      suspect: { dnsbl: ['BL.example.'] },
    })
    expect(await grey.kind()).toBe('tempfail')
    expect(grey.rule()).toMatchObject({ reasons: ['s25r:1', 'dnsbl:BL.example'] })
    await grey.clock.advance(1)
    expect(await grey.kind()).toBe('continue')
  })

  test('jitter 1 doubles a wait at most', async () => {
    await using grey = await start({ jitter: 1 })
    expect(await grey.kind()).toBe('tempfail')
    await grey.clock.advance('10m')
    expect(await grey.kind()).toBe('continue')
  })

  test.each([
    [0, 'domain'],
    [1e9, 'domain'],
    [1, 'known'],
  ])('an origin is known after %d passes: its second mail passes as %s', async (suspicious, rule) => {
    await using grey = await start({ known: { suspicious } })
    await grey.kind()
    await grey.clock.advance('5m')
    expect(await grey.kind()).toBe('continue')
    expect(await grey.kind()).toBe('continue')
    expect(grey.rule()).toMatchObject({ rule })
  })

  test('a life shorter than the window is that of who is known, not of an attempt', async () => {
    await using grey = await start({ life: '2h', window: '24h' })
    await grey.kind()
    await grey.clock.advance('3h')
    expect(await grey.kind()).toBe('continue')
    await grey.clock.advance('2h')
    expect(await grey.kind()).toBe('tempfail')
  })

  test('an origin with less room than a transaction has recipients passes all the same', async () => {
    await using grey = await start({ limits: { perOrigin: 1, perTransaction: 20 } })
    const mail = { ...LINE, to: ['a@example.com', 'b@example.com', 'c@example.com'] }
    expect(await grey.kind(mail)).toBe('tempfail')
    await grey.clock.advance('5m')
    expect(await grey.kind(mail)).toBe('continue')
  })

  test('a trap in a domain that wants no delay is a trap', async () => {
    await using grey = await start({
      bypass: { recipients: ['example.com'] },
      traps: { recipients: ['Trap@Example.COM'] },
    })
    const server = { ...LINE, client: { address: '198.51.100.7', hostname: 'mail.example.org' } }
    expect(await grey.kind(LINE)).toBe('continue')
    expect(await grey.kind({ ...server, to: 'trap@example.com' })).toBe('tempfail')
    expect(grey.rule()).toMatchObject({ rule: 'trap' })
    expect(await grey.kind({ ...server, to: 'other@elsewhere.example' })).toBe('tempfail')
    expect(grey.rule()).toMatchObject({ rule: 'trapped' })
  })

  test('an address in another script, a quoted one and one without a domain may be listed', async () => {
    const recipients = ['jürgen@bücher.example', '"a b"@example.org', 'postmaster', 'user@[192.0.2.1]', '@example.net']
    await using grey = await start({ bypass: { recipients } })
    expect(await grey.kind({ ...LINE, to: '"a b"@example.org' })).toBe('continue')
  })

  test('without options, and with null for none, the defaults hold', async () => {
    await using grey = await start({})
    expect(await grey.kind()).toBe('tempfail')
  })
})
