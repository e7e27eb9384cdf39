import { describe, expect, it } from 'vitest'
import { all, any, authenticated, setMacro, verdict } from '../../../src/conditions.ts'
import { type EntryOptions, type FilterEntry, filterEntry } from '../../../src/host/config/entry.ts'
import { DEFAULT_DNS, DEFAULT_LIMITS } from '../../../src/host/config/settings.ts'
import { ConfigError, validateConfig } from '../../../src/host/config/validate.ts'

const entry = (options: unknown = {}, name = 'opendkim', ownOptions: readonly string[] = []): FilterEntry =>
  filterEntry({
    kind: 'socket',
    defaultName: name,
    options: options as EntryOptions,
    ownOptions,
    describe: '',
    create: () => {
      throw new Error('nothing is created by validation')
    },
  })

const problemsOf = (raw: unknown): readonly string[] => {
  try {
    validateConfig(raw, 'c.ts', address => {
      if (!address.includes(':')) throw new Error(`"${address}" is no address`)
    })
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

/** What a copy of another milterhost would make, which a plugin brings along. */
const stamped = (api: unknown): FilterEntry => ({
  ...entry(),
  kind: 'plugin',
  plugin: { name: 'bell', options: {}, api },
})

async function greylist(): Promise<void> {}

const rejected: readonly (readonly [string, unknown, readonly string[]])[] = [
  ['nothing', undefined, ['must export an object, export default defineConfig({ … }), not undefined']],
  [
    'a plugin of a later API',
    { filters: [stamped(2)] },
    [
      'filters[0] (opendkim): plugin bell was built for plugin API 2, this milterhost has 1: install a newer milterhost, or a version of the plugin for API 1 (PLUGIN_API)',
    ],
  ],
  [
    'a plugin of an earlier API',
    { filters: [stamped(0)] },
    [
      'filters[0] (opendkim): plugin bell was built for plugin API 0, this milterhost has 1: install a newer version of the plugin (PLUGIN_API)',
    ],
  ],
  ['a function', () => ({}), ['must export an object, export default defineConfig({ … }), not a function']],
  ['a list', [], ['must export an object, export default defineConfig({ … }), not a list']],
  ['a misspelt key', { lisen: 'inet:1@h' }, ['lisen is not an option; did you mean "listen"?']],
  ['a key in the wrong case', { Filters: [] }, ['Filters is not an option; did you mean "filters"?']],
  [
    'a key that resembles none',
    { webinterface: true },
    [
      'webinterface is not an option; known here: listen, filters, budget, limits, authentication, holds, spool, mta, liveness, onClientLeft, dns, record, shadow, log, detect, control, policy',
    ],
  ],
  ['filters that are no list', { filters: entry() }, ['filters must be a list, not an object']],
  ['listen as a number', { listen: 10025 }, ['listen must be an address or { address, mode, group }, not 10025']],
  ['no address to listen on', { listen: [] }, ['listen must name at least one address']],
  ['an empty address', { listen: '' }, ['listen.address must be a text, not ""']],
  ['an address that cannot be read', { listen: 'nonsense' }, ['listen: "nonsense" is no address']],
  ['one bad address of several', { listen: ['inet:1@h', 'bad'] }, ['listen[1]: "bad" is no address']],
  ['the same address twice', { listen: ['inet:1@h', 'inet:1@h'] }, ['listen[1] repeats the address "inet:1@h"']],
  [
    'a misspelt key of a listener',
    { listen: { address: 'unix:/s', mod: 1 } },
    ['listen.mod is not an option; did you mean "mode"?'],
  ],
  ['a listener without address', { listen: [{ mode: 0o600 }] }, ['listen[0].address must be a text, not undefined']],
  [
    'a decimal mode',
    { listen: { address: 'unix:/s', mode: 660 } },
    ['listen.mode must be permission bits such as 0o660 or "660", not 660'],
  ],
  [
    'a mode in words',
    { listen: { address: 'unix:/s', mode: 'rw-rw----' } },
    ['listen.mode must be permission bits such as 0o660 or "660", not "rw-rw----"'],
  ],
  [
    'a group that is neither name nor number',
    { listen: { address: 'unix:/s', group: true } },
    ['listen.group must be the name or number of a group, not true'],
  ],
  [
    'a duration without unit',
    { budget: { command: '10' } },
    ['budget.command must say its unit: "10s" is seconds, "10m" minutes'],
  ],
  [
    'a duration in words',
    { budget: { end: 'five minutes' } },
    ['budget.end must be a length of time such as "30s", "5m" or a number of seconds, not "five minutes"'],
  ],
  ['a duration of nothing', { budget: { end: 0 } }, ['budget.end must be longer than zero, not 0']],
  ['a budget that is a number', { budget: 30 }, ['budget must be an object, not 30']],
  ['a misspelt budget', { budget: { ends: 3 } }, ['budget.ends is not an option; did you mean "end"?']],
  [
    'a count in words',
    { limits: { recipients: 'many' } },
    ['limits.recipients must be a whole number of at least 1, not "many"'],
  ],
  ['a count of zero', { limits: { sessions: 0 } }, ['limits.sessions must be a whole number of at least 1, not 0']],
  ['a broken count', { limits: { headers: 1.5 } }, ['limits.headers must be a whole number of at least 1, not 1.5']],
  [
    'an unknown unit of size',
    { limits: { body: '10XB' } },
    ['limits.body must be a size such as "256KiB", "10MB" or a number of bytes, not "10XB"'],
  ],
  ['a size of nothing', { limits: { headerBytes: 0 } }, ['limits.headerBytes must be more than zero']],
  [
    'an unknown limit',
    { limits: { attachments: 3 } },
    ['limits.attachments is not an option; known here: headers, headerBytes, recipients, body, edits, sessions'],
  ],
  ['null for a group of options', { spool: null }, ['spool must be an object, not null']],
  ['a folder that is no text', { spool: { directory: 7 } }, ['spool.directory must be a text, not 7']],
  ['an MTA that is not known', { mta: 'exim' }, ['mta must be "postfix" or "sendmail", not "exim"']],
  ['a misspelt MTA', { mta: 'Postfx' }, ['mta must be "postfix" or "sendmail", not "Postfx"; did you mean "postfix"?']],
  [
    'an MTA with a misspelt key',
    { mta: { adresses: [25] } },
    ['mta.adresses is not an option; did you mean "addresses"?'],
  ],
  [
    'where an MTA listens, by name',
    { mta: { kind: 'postfix', addresses: [25, 'mx.example.com:25', '192.0.2.256:25', '[::1]:0'] } },
    ['"mx.example.com:25"', '"192.0.2.256:25"', '"[::1]:0"'].map(
      (given, n) =>
        `mta.addresses[${n + 1}] must be an address and port such as "192.0.2.1:25", "[2001:db8::1]:25", "*:25" or 25, not ${given}`,
    ),
  ],
  [
    'a source of liveness that cannot be opened',
    { liveness: { name: 'mine' } },
    ['liveness must be "proc", "off", agent(…) or { name, open }, not an object'],
  ],
  [
    'a misspelt source',
    { liveness: 'procfs' },
    ['liveness must be "proc", "off", agent(…) or { name, open }, not "procfs"'],
  ],
  [
    'an answer for clients that left',
    { onClientLeft: 'reject' },
    ['onClientLeft must be "421" or "tempfail" or "accept" or "discard", not "reject"'],
  ],
  [
    'a misspelt level',
    { log: { level: 'warning' } },
    ['log.level must be "debug" or "info" or "warn" or "error", not "warning"'],
  ],
  [
    'a misspelt format',
    { log: { format: 'jason' } },
    ['log.format must be "auto" or "text" or "json" or "journald", not "jason"; did you mean "json"?'],
  ],
  [
    'a plugin that was not called',
    { filters: [greylist] },
    ['filters[0] is the plugin itself: call greylist() to make an entry'],
  ],
  [
    'an address in place of an entry',
    { filters: ['unix:/run/x.sock'] },
    [`filters[0] is the text "unix:/run/x.sock": an external milter is socket('name', "unix:/run/x.sock")`],
  ],
  [
    'a condition that is none',
    { filters: [entry({ when: 'authenticated' })] },
    ['filters[0] (opendkim): when must be a condition of milterhost/conditions or a function, not "authenticated"'],
  ],
  [
    'a condition that was not called',
    { filters: [entry({ when: authenticated })] },
    ['filters[0] (opendkim): when must be a condition: call it, authenticated()'],
  ],
  [
    'a macro in a place without meaning',
    { filters: [entry({ when: any(setMacro('stress'), authenticated()) })] },
    ['filters[0] (opendkim): when setMacro always holds: it stands alone or in all(…), never in any(…)'],
  ],
  [
    'a condition on a filter that comes later, and on one that is misspelt',
    {
      filters: [
        entry({ when: verdict('spf') }),
        entry({}, 'spf'),
        entry({ when: all(verdict('spff'), verdict('spf')) }, 'greylist'),
      ],
    },
    [
      'filters[0] (opendkim): when reads the verdict of "spf", which is no filter before it',
      'filters[2] (greylist): when reads the verdict of "spff", which is no filter before it; did you mean "spf"?',
    ],
  ],
  [
    'users that are one text',
    { filters: [entry({ users: 'example.org' })] },
    [
      'filters[0] (opendkim): users must be a list of users, a function, or a look-up of milterhost/lookups, not "example.org"',
    ],
  ],
  [
    'a user that is none',
    { filters: [entry({ users: [7] })] },
    ['filters[0] (opendkim): users 7 is not an address, a domain, a regular expression or a function'],
  ],
  [
    'a policy for a filter that there is not',
    { filters: [entry()], policy: { 'example.org': { opendkm: false } } },
    ['policy: "example.org" names no filter of this configuration with "opendkm"; did you mean "opendkim"?'],
  ],
  [
    'a policy that says neither yes nor no',
    { filters: [entry()], policy: { 'example.org': 'opendkim=of' } },
    [
      'policy for "example.org" must be yes or no (also on, off, true, false, 1, 0), or options as JSON, not "of" (opendkim)',
    ],
  ],
  ['a list in the list', { filters: [[entry()]] }, ['filters[0] is a list: spread it with "..."']],
  ['a promise of an entry', { filters: [Promise.resolve(entry())] }, ['filters[0] is a promise: put await before it']],
  ['a module', { filters: [{ default: entry }] }, ['filters[0] is a module: import its default export']],
  [
    'a definition without definePlugin',
    { filters: [{ name: 'x', setup: () => ({}) }] },
    ['filters[0] is a plain object: wrap it with definePlugin(…) and call the result'],
  ],
  [
    'an object with an address',
    { filters: [{ socket: 'unix:/s' }] },
    [`filters[0] is a plain object with an address: write socket('name', 'address') or call a plugin`],
  ],
  ['a number', { filters: [7] }, [`filters[0] is 7: write socket('name', 'address') or call a plugin`]],
  [
    'a misspelt timeout, counted with the entries that are skipped',
    { filters: [null, false, entry({ timeouts: { ends: 3 } })] },
    ['filters[2] (opendkim): timeouts.ends is not an option; did you mean "end"?'],
  ],
  [
    'a misspelt option of an entry',
    { filters: [entry({ onfailure: 'accept' })] },
    ['filters[0] (opendkim): onfailure is not an option; did you mean "onFailure"?'],
  ],
  [
    'a misspelt option of this kind of entry',
    { filters: [entry({ headerindex: 'postfix' }, 'rspamd', ['headerIndex'])] },
    ['filters[0] (rspamd): headerindex is not an option; did you mean "headerIndex"?'],
  ],
  [
    'a misspelt failure policy',
    { filters: [entry({ onFailure: 'tempfial' })] },
    [
      'filters[0] (opendkim): onFailure must be "tempfail" or "accept" or "reject" or "quarantine", not "tempfial"; did you mean "tempfail"?',
    ],
  ],
  [
    'a text for true',
    { filters: [entry({ enabled: 'yes' })] },
    ['filters[0] (opendkim): enabled must be true or false, not "yes"'],
  ],
  [
    'options that are no object',
    { filters: [entry('x')] },
    ['filters[0] (opendkim): the options must be an object, not "x"'],
  ],
  [
    'a name with a space',
    { filters: [entry({ name: 'my filter' })] },
    ['filters[0] (my filter): name must be letters, digits, ".", "_", "-", "/" or "@", at most 64 of them'],
  ],
  [
    'a name twice',
    { filters: [entry(), entry()] },
    [
      'filters[1] (opendkim): the name "opendkim" is taken by filters[0]; give one of them another with the option name',
    ],
  ],
  [
    'several mistakes, all of them at once',
    { mta: 'exim', filters: [7, entry({ mode: 'watch' })], listen: 'bad' },
    [
      'mta must be "postfix" or "sendmail", not "exim"',
      'listen: "bad" is no address',
      `filters[0] is 7: write socket('name', 'address') or call a plugin`,
      'filters[1] (opendkim): mode must be "enforce" or "observe", not "watch"',
    ],
  ],
]

it.each(['localhost', '', '192.0.2.1:0', '192.0.2.1:99999', '[192.0.2.1', '::1:x', 53])(
  '%j is no name server',
  given => {
    const [problem] = problemsOf({ dns: { servers: [given] } })
    expect(problem).toMatch(/^dns\.servers\[0\] must be an address such as/)
    expect(problemsOf({ dns: { servers: [] } })).toEqual(['dns.servers must name at least one server'])
  },
)

describe('a configuration is refused for', () => {
  it.each(rejected)('%s', (_what, raw, problems) => {
    expect(problemsOf(raw)).toEqual(problems)
  })
})

describe('a valid configuration', () => {
  it('has a default for everything', () => {
    const { settings, entries } = validateConfig({}, 'c.ts')
    expect(entries).toEqual([])
    expect(settings).toMatchObject({
      listen: [{ address: 'inet:10025@127.0.0.1', mode: 0o660, group: null }],
      budget: { command: null, end: null },
      limits: DEFAULT_LIMITS,
      spool: { memory: 262_144, shared: 67_108_864 },
      mta: null,
      dns: DEFAULT_DNS,
      mtaAddresses: [],
      liveness: 'proc',
      onClientLeft: '421',
      log: { level: 'info', format: 'auto' },
    })
  })

  it('says what is to be believed of the MTA', () => {
    const addresses = [25, '*:587', '192.0.2.1:25', '[2001:db8::1]:465']
    const { mta, mtaAddresses } = validateConfig({ mta: { kind: 'sendmail', addresses } }, 'c.ts').settings
    expect(mta).toBe('sendmail')
    expect(mtaAddresses).toEqual([
      { address: '', port: 25 },
      { address: '', port: 587 },
      { address: '192.0.2.1', port: 25 },
      { address: '2001:db8::1', port: 465 },
    ])
    expect(validateConfig({ mta: 'postfix' }, 'c.ts').settings).toMatchObject({ mta: 'postfix', mtaAddresses: [] })
  })

  it('becomes milliseconds and bytes', () => {
    const { settings, entries } = validateConfig(
      {
        listen: ['inet:1@h', { address: 'unix:/s', mode: '0600', group: 'postfix' }],
        budget: { command: '20s', end: 120 },
        limits: { body: '1MiB', sessions: 10 },
        dns: { servers: ['192.0.2.1', '192.0.2.2:5353', '2001:db8::1', '[::1]:54'], timeout: '500ms', cache: '1MiB' },
        filters: [entry({ name: 'sign', onFailure: 'accept', mode: 'observe', timeouts: { end: '2m' } })],
      },
      'c.ts',
    )
    expect(settings.listen).toEqual([
      { address: 'inet:1@h', mode: 0o660, group: null },
      { address: 'unix:/s', mode: 0o600, group: 'postfix' },
    ])
    expect(settings.budget).toEqual({ command: 20_000, end: 120_000 })
    expect(settings.limits).toEqual({ ...DEFAULT_LIMITS, body: 1_048_576, sessions: 10 })
    expect(settings.dns).toEqual({
      ...DEFAULT_DNS,
      servers: [
        { address: '192.0.2.1', port: 53 },
        { address: '192.0.2.2', port: 5353 },
        { address: '2001:db8::1', port: 53 },
        { address: '::1', port: 54 },
      ],
      timeout: 500,
      cache: 1_048_576,
    })
    expect(entries.map(({ policy }) => policy)).toEqual([
      {
        name: 'sign',
        onFailure: 'accept',
        mode: 'observe',
        timeouts: { connect: 10_000, command: 30_000, end: 120_000 },
        enabled: true,
      },
    ])
  })

  it('skips falsy entries and keeps disabled ones', () => {
    const filters = [null, undefined, false, 0, '', entry({ enabled: false })]
    const { entries } = validateConfig({ filters }, 'c.ts')
    expect(entries.map(({ policy }) => [policy.name, policy.enabled])).toEqual([['opendkim', false]])
  })

  it('leaves the options of one kind of entry to it', () => {
    const { entries } = validateConfig({ filters: [entry({ version: 'any' }, 'x', ['version'])] }, 'c.ts')
    expect(entries).toHaveLength(1)
  })
})
