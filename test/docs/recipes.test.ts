/** Each recipe of docs/recipes.md, taken from the page, does what its text says. No filter is contacted: `explain` runs the real chain. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { Envelope } from '../../src/cli/conversation.ts'
import { explain } from '../../src/cli/explanation.ts'
import { parseMessage } from '../../src/cli/message-file.ts'
import type { Assumed } from '../../src/cli/stand-ins.ts'
import type { Config } from '../../src/host/config/config.ts'
import { validateConfig } from '../../src/host/config/validate.ts'
import { silent } from '../../src/host/observe/logger.ts'
import { MetricsRegistry } from '../../src/host/plugin/metrics.ts'
import type { Load } from '../../src/host/policy/facts.ts'
import { type FakeZone, fakeClock, fakeDns } from '../../src/testing.ts'

const page = readFileSync(resolve(import.meta.dirname, '../../docs/recipes.md'), 'utf8')
const recipes = new Map(
  page
    .split(/^## /m)
    .slice(1)
    .map(section => {
      const [title = ''] = section.split('\n')
      return [title, /^```ts\n([\s\S]*?)^```/m.exec(section)?.[1] ?? ''] as const
    }),
)

const folder = mkdtempSync(join(import.meta.dirname, '.recipes-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

interface Situation {
  readonly client?: string
  readonly name?: string
  readonly from?: string
  readonly to?: readonly string[]
  readonly auth?: string
  readonly message?: string
  readonly zone?: FakeZone
  readonly load?: Partial<Load>
  readonly at?: string
  readonly says?: Readonly<Record<string, 'reject' | 'tempfail'>>
  readonly results?: Readonly<Record<string, unknown>>
}

/** By filter, the recipients that it takes part for. */
async function outcome(title: string, situation: Situation): Promise<Record<string, readonly string[]>> {
  const file = join(folder, `${title.replace(/\W+/g, '-')}.ts`)
  writeFileSync(file, recipes.get(title)!)
  const { default: config } = (await import(/* @vite-ignore */ file)) as { readonly default: Config }
  const {
    client = '203.0.113.99',
    name = 'mail.example.com',
    from = 's@example.com',
    to = ['r@example.org'],
  } = situation
  const envelope: Envelope = {
    client: { family: client.includes(':') ? 'inet6' : 'inet', address: client, port: 1025, hostname: name },
    helo: 'mail.example.com',
    from,
    to,
    auth: situation.auth ?? null,
  }
  const assumed: Assumed = {
    verdicts: new Map(Object.entries(situation.says ?? {})),
    results: new Map(Object.entries(situation.results ?? {})),
  }
  const around = {
    clock: fakeClock(situation.at ?? '2026-01-05T12:00:00Z'),
    log: silent,
    services: { dns: fakeDns(situation.zone ?? {}), metrics: new MetricsRegistry() },
    observe: () => {},
    busy: (): Load => ({ sessions: 0, limit: 100, perProcessor: 0, ...situation.load }),
  }
  const message = parseMessage(Buffer.from(situation.message ?? 'Subject: test\r\n\r\ntext\r\n'))
  const { filters } = await explain(validateConfig(config, title), envelope, message, around, assumed)
  return Object.fromEntries(
    filters.map(({ name: filter, recipients }) => [
      filter,
      recipients.flatMap(one => (one.takesPart === true ? [one.recipient] : [])),
    ]),
  )
}

const R = ['r@example.org']
const none: readonly string[] = []

const cases: Record<string, readonly (readonly [Situation, Record<string, readonly string[]>])[]> = {
  'Only mail from outside': [
    [{ client: '198.51.100.1' }, { clamav: R }],
    [{ client: '10.1.1.1' }, { clamav: none }],
    [{ client: '203.0.113.7' }, { clamav: none }],
    [{ client: '2001:db8::7' }, { clamav: none }],
  ],
  'Check strangers, sign for users': [
    [{}, { 'opendkim-verify': R, rspamd: R, 'opendkim-sign': none }],
    [{ auth: 'ann' }, { 'opendkim-verify': none, rspamd: none, 'opendkim-sign': R }],
    [{ client: '::1' }, { 'opendkim-verify': none, rspamd: none, 'opendkim-sign': R }],
  ],
  'Greylist who looks suspicious': [
    [{}, { 'milter-greylist': none }],
    [{ name: 'ppp-1-2.example.com' }, { 'milter-greylist': none }],
    [
      { name: 'ppp-1-2.example.com', zone: { '99.113.0.203.zen.spamhaus.org': { a: ['127.0.0.10'] } } },
      { 'milter-greylist': R },
    ],
    [
      { name: 'mail.example.com', zone: { '99.113.0.203.zen.spamhaus.org': { a: ['127.0.0.10'] } } },
      { 'milter-greylist': none },
    ],
    [
      {
        name: '[203.0.113.99]',
        zone: {
          '99.113.0.203.bl.spamcop.net': { a: ['127.0.0.2'] },
          '99.113.0.203.list.dnswl.org': { a: ['127.0.5.1'] },
        },
      },
      { 'milter-greylist': none },
    ],
    [
      { name: 'ppp-1-2.partner.example', zone: { '99.113.0.203.zen.spamhaus.org': { a: ['127.0.0.10'] } } },
      { 'milter-greylist': none },
    ],
    [
      { name: 'ppp-1-2.example.com', zone: { '99.113.0.203.zen.spamhaus.org': { a: ['127.255.255.254'] } } },
      { 'milter-greylist': none },
    ],
    [
      { auth: 'ann', name: '[203.0.113.99]', zone: { '99.113.0.203.bl.spamcop.net': { a: ['127.0.0.2'] } } },
      { 'milter-greylist': none },
    ],
  ],
  'Let one filter decide about another': [
    [{}, { quick: R, thorough: none, 'archive-suspects': none }],
    [{ says: { quick: 'reject' } }, { quick: R, thorough: R, 'archive-suspects': none }],
    [{ says: { quick: 'reject', thorough: 'reject' } }, { quick: R, thorough: R, 'archive-suspects': R }],
  ],
  'Under stress': [
    [{}, { 'milter-greylist': R, 'slow-scanner': R }],
    [{ load: { sessions: 75 } }, { 'milter-greylist': R, 'slow-scanner': none }],
    [{ load: { perProcessor: 2 } }, { 'milter-greylist': R, 'slow-scanner': none }],
  ],
  'Trusted senders': [
    [
      { from: 'a@example.net', results: { spf: { result: 'pass' } } },
      { 'milter-greylist': R, tarpit: none },
    ],
    [
      { from: 'a@mail3.example.org', results: { spf: { result: 'pass' } } },
      { 'milter-greylist': R, tarpit: none },
    ],
    [
      { from: 'a@example.net', results: { spf: { result: 'softfail' } } },
      { 'milter-greylist': R, tarpit: R },
    ],
    [
      { from: 'a@example.com', results: { spf: { result: 'pass' } } },
      { 'milter-greylist': R, tarpit: R },
    ],
  ],
  'For some accounts': [
    [
      {
        to: [
          'r@example.org',
          'info@example.org',
          'x@mail.example.com',
          'discuss-a@example.org',
          'ann-spam@example.org',
        ],
      },
      {
        strict: ['info@example.org', 'x@mail.example.com', 'discuss-a@example.org'],
        learning: ['ann-spam@example.org'],
      },
    ],
  ],
  'One policy for the whole site': [
    [
      { to: ['r@example.org', 'abuse@example.org', 'r@example.com', 'x@legal.example.org'] },
      {
        greylist: ['r@example.com'],
        scanner: ['r@example.org', 'r@example.com', 'x@legal.example.org'],
        archive: ['x@legal.example.org'],
      },
    ],
  ],
  'Clients and senders from tables of Postfix': [
    [{}, { tarpit: R }],
    [{ client: '198.51.100.77' }, { tarpit: none }],
    [{ client: '2001:db8:5::1' }, { tarpit: none }],
    [{ from: 'news-7@example.com' }, { tarpit: none }],
  ],
  'Remember something of a message': [
    [{ results: { origin: { suspicious: true } } }, { notes: R, thorough: R }],
    [{ results: { origin: { suspicious: false } } }, { notes: R, thorough: none }],
  ],
  'Try a filter out': [
    [{ client: '10.0.0.1' }, { newcomer: none }],
    // 198.51.100.10 is in the tenth and 203.0.113.99 is not; always.
    [{ client: '203.0.113.99' }, { newcomer: none }],
    [{ client: '198.51.100.10' }, { newcomer: R }],
  ],
  'Sender or recipient, size, header, time': [
    [{}, { journal: none, scanner: R, 'answering-machine': none }],
    [{ from: 'ceo@example.org' }, { journal: R, scanner: R, 'answering-machine': none }],
    [
      { to: [...R, 'ceo@example.org'] },
      { journal: ['ceo@example.org'], scanner: [...R, 'ceo@example.org'], 'answering-machine': none },
    ],
    [{ message: 'List-Id: <a>\r\n\r\n' }, { journal: none, scanner: none, 'answering-machine': none }],
    [
      { at: '2026-01-05T20:00:00Z', to: ['support@example.org', 'r@example.org'] },
      { journal: none, scanner: ['support@example.org'], 'answering-machine': ['support@example.org'] },
    ],
  ],
  'Macros that only Sendmail tells': [[{}, { old: R }]],
}

describe('docs/recipes.md', () => {
  it('has a test for each recipe, and no other', () => {
    expect(Object.keys(cases)).toEqual([...recipes.keys()])
  })

  for (const [title, situations] of Object.entries(cases)) {
    it(title, async () => {
      for (const [situation, expected] of situations)
        expect(await outcome(title, situation), JSON.stringify(situation)).toEqual(expected)
    })
  }
})
