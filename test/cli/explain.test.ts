/** `explain` says what the chain does: for any configuration and envelope. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { explain, explanationText } from '../../src/cli/explanation.ts'
import { parseMessage } from '../../src/cli/message-file.ts'
import {
  all,
  any,
  authenticated,
  type ConditionLike,
  client,
  header,
  helo,
  messageSize,
  not,
  recipient,
  recipientDomain,
  sample,
  sender,
  senderDomain,
  tls,
} from '../../src/conditions.ts'
import type { EntryOptions } from '../../src/host/config/entry.ts'
import { validateConfig } from '../../src/host/config/validate.ts'
import { silent } from '../../src/host/observe/logger.ts'
import { MetricsRegistry } from '../../src/host/plugin/metrics.ts'
import { lookup } from '../../src/lookups.ts'
import { fakeClock, fakeDns, type TestHost, testConfig } from '../../src/testing.ts'
import { type Witness, witness } from '../host/policy/witness.ts'
import { milterhost } from './support.ts'

const RECIPIENTS = ['a@one.example', 'b@one.example', 'c@two.example', 'a+x@two.example']

const leaves: readonly ConditionLike[] = [
  client('192.0.2.0/24'),
  helo('example.net'),
  tls(),
  authenticated(),
  senderDomain('example.net'),
  sender('<>'),
  recipient('a@'),
  recipientDomain('one.example'),
  header('X-Test'),
  messageSize({ min: 100 }),
  sample(50, { by: 'recipient' }),
  facts => facts.client.port === 40_000 && facts.sender.local !== 'b',
  async facts => facts.recipient.domain === 'two.example',
  facts => facts.recipients.length > 1,
  facts => {
    if (facts.recipient.local === 'c') throw new Error('no idea')
    return true
  },
  () => Promise.reject(new Error('down')),
]

const { tree } = fc.letrec<{ tree: ConditionLike; leaf: ConditionLike; joint: ConditionLike }>(tie => ({
  tree: fc.oneof({ depthSize: 'small', withCrossShrink: true }, tie('leaf'), tie('joint')),
  leaf: fc.constantFrom(...leaves),
  joint: fc.oneof(
    fc.array(tie('tree'), { minLength: 1, maxLength: 3 }).map(parts => all(...parts)),
    fc.array(tie('tree'), { minLength: 1, maxLength: 3 }).map(parts => any(...parts)),
    tie('tree').map(part => not(part)),
  ),
}))

const users = fc.constantFrom<NonNullable<EntryOptions['users']>>(
  ['one.example'],
  ['a@one.example', 'c@'],
  to => to.local !== 'b',
  lookup('table', key => (key === 'a@two.example' ? 'no' : key === 'two.example' ? 'yes' : null)),
)

const options: fc.Arbitrary<EntryOptions> = fc.record(
  {
    when: tree,
    users,
    recipients: fc.constantFrom('any', 'all', 'split'),
    onFailure: fc.constantFrom('tempfail', 'accept', 'reject', 'quarantine'),
    mode: fc.constantFrom('enforce', 'observe'),
  },
  { requiredKeys: [] },
)

const mail = fc.record({
  address: fc.constantFrom('192.0.2.1', '203.0.113.1'),
  helo: fc.constantFrom('mx.example.net', 'other.example'),
  from: fc.constantFrom('b@example.net', 'c@example.org', ''),
  to: fc.shuffledSubarray(RECIPIENTS, { minLength: 1 }),
  auth: fc.boolean(),
  tls: fc.boolean(),
  header: fc.boolean(),
  body: fc.constantFrom('', 'x'.repeat(200)),
})

const policies = fc.option(
  fc.constantFrom(
    { 'one.example': 'f0=off' },
    { 'a@two.example': { f1: false }, '*': { f0: true } },
    { 'b@one.example': { f0: false, f1: false } },
  ),
  { nil: undefined },
)

const around = {
  clock: fakeClock(),
  log: silent,
  services: { dns: fakeDns(), metrics: new MetricsRegistry() },
  observe: () => {},
}

/** Recipients that the filter was told of, and whether it saw the message. */
const toldOf = ({ told }: Witness): string[] => told.flatMap(what => (what.startsWith('rcpt ') ? [what.slice(5)] : []))

describe('explain', () => {
  it('agrees with the chain, for a thousand configurations and envelopes', { timeout: 240_000 }, async () => {
    let part = 0
    let none = 0
    let refused = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(options, { minLength: 2, maxLength: 3 }),
        policies,
        mail,
        async (entries, policy, envelope) => {
          const filters = entries.map((entry, index) => witness(`f${index}`, entry))
          const config = { filters: filters.map(({ entry }) => entry), ...(policy === undefined ? {} : { policy }) }
          const { from, to, helo: name } = envelope
          const message = `${envelope.header ? 'X-Test: 1\r\n' : ''}\r\n${envelope.body}`
          const host: TestHost = await testConfig(config)
          const delivery = await host.deliver({
            client: {
              address: envelope.address,
              hostname: 'mx.example.net',
              ...(envelope.auth ? { auth: { user: 'ann' } } : {}),
              ...(envelope.tls ? { tls: {} } : {}),
            },
            helo: name,
            from,
            to,
            message,
          })
          await host.close()
          const explanation = await explain(
            validateConfig(config, 'test'),
            {
              client: { family: 'inet', address: envelope.address, port: 40_000, hostname: 'mx.example.net' },
              helo: name,
              from,
              to,
              auth: envelope.auth ? 'ann' : null,
              tls: envelope.tls ? 'TLSv1.3' : null,
            },
            parseMessage(Buffer.from(message)),
            around,
          )
          for (const [index, filter] of filters.entries()) {
            const { recipients } = explanation.filters[index]!
            const yes = recipients.flatMap(one => (one.takesPart === true ? [one.recipient] : []))
            expect(yes.toSorted()).toEqual(toldOf(filter).toSorted())
            part += yes.length
            none += recipients.filter(one => one.takesPart === false).length
          }
          const said = delivery.replies.filter(
            ({ verdict }) => verdict.kind === 'reject' || verdict.kind === 'tempfail',
          )
          expect(explanation.refusals.length).toBe(said.length)
          refused += said.length
        },
      ),
      { numRuns: 1_000 },
    )
    // The cases were of every sort.
    expect(Math.min(part, none, refused)).toBeGreaterThan(200)
  })

  it('tells who takes part, when that was known, by what, and with which answers', async () => {
    const table = lookup('partners', key => (key === 'two.example' ? 'yes' : null))
    const config = validateConfig(
      {
        filters: [
          witness('spf').entry,
          witness('scan', { when: all(not(authenticated()), header('X-Test')) }).entry,
          witness('partner', { users: table }).entry,
          witness('off', { enabled: false }).entry,
        ],
      },
      'test',
    )
    const envelope = {
      client: { family: 'inet', address: '192.0.2.1', port: 1, hostname: 'mx.example.net' } as const,
      helo: 'mx.example.net',
      from: 'a@example.net',
      to: ['a@one.example', 'b@two.example'],
      auth: 'ann',
    }
    const found = await explain(config, envelope, parseMessage(Buffer.from('X-Test: 1\r\n\r\n')), around)
    expect(explanationText(found)).toBe(
      [
        '1. spf (filters[0])',
        '   for all mail',
        '   a@one.example: takes part',
        '   b@two.example: takes part',
        '2. scan (filters[1])',
        '   for all(all(not(authenticated()), header("X-Test")))',
        '   a@one.example: does not take part; known at mail by authenticated()',
        '   b@two.example: does not take part; known at mail by authenticated()',
        '3. partner (filters[2])',
        '   for all(users: partners)',
        '   a@one.example: does not take part; known at rcpt by users: partners',
        '     partners: nothing under "a@one.example" (asked just now)',
        '   b@two.example: takes part; known at rcpt by users: partners',
        '     partners: "yes" under "two.example" (asked just now)',
        '4. off (filters[3]): off',
      ].join('\n'),
    )
  })
})

describe('milterhost explain', () => {
  const folder = mkdtempSync(join(resolve(import.meta.dirname), '.explain-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'milterhost.config.ts')
  writeFileSync(
    file,
    `import { defineConfig, socket } from 'milterhost'
import { all, not, remoteNetwork, result, resultKey, verdict } from 'milterhost/conditions'
const spf = resultKey<{ result: string }>('spf')
export default defineConfig({
  filters: [
    socket('first', 'inet:1@127.0.0.1', { when: remoteNetwork() }),
    socket('second', 'inet:1@127.0.0.1', { when: all(verdict('first'), not(result(spf, ({ result }) => result === 'pass'))) }),
  ],
})
`,
  )
  const run = (...args: string[]): unknown => {
    const { code, out, err } = milterhost(['explain', '--config', file, '--json', '--to', 'a@example.org', ...args])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    return (JSON.parse(out) as { filters: { recipients: { takesPart: boolean }[] }[] }).filters.map(
      ({ recipients }) => recipients[0]!.takesPart,
    )
  }

  it('prints JSON, contacts no filter, and takes for granted what it is told of filters', () => {
    expect(run('--client', '192.0.2.1', '--says', 'first=reject')).toEqual([true, true])
    expect(run('--client', '192.0.2.1', '--says', 'first=reject', '--result', 'spf={"result":"pass"}')).toEqual([
      true,
      false,
    ])
  })

  it('refuses a verdict that is none', () => {
    expect(milterhost(['explain', '--config', file, '--says', 'first=perhaps'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('reject, tempfail, discard, quarantine'),
    })
  })
})
