/**
 * In what order a client names its recipients changes nothing of who takes part, what each is told, and what becomes of the message: for any
 * chain of filters that conditions and users choose, under any `recipients` and `mixed`.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  all,
  any,
  type ConditionLike,
  header,
  not,
  recipient,
  recipientDomain,
  sender,
} from '../../../src/conditions.ts'
import type { EntryOptions } from '../../../src/host/config/entry.ts'
import { discard, quarantine, reject, tempfail, type Verdict } from '../../../src/plugin.ts'
import { testPlugin } from '../../../src/testing.ts'
import { type Says, type Witness, witness } from './witness.ts'

const RECIPIENTS = ['a@one.example', 'b@one.example', 'c@two.example', 'd@two.example']

const conditions: readonly ConditionLike[] = [
  sender('s@example.net'),
  recipient('a@', 'c@'),
  recipientDomain('one.example'),
  not(recipient('b@')),
  header('X-Test'),
  all(header('X-Test'), recipient('d@')),
  any(recipient('a@'), all(header('X-Test'), recipientDomain('two.example'))),
  facts => facts.recipients.some(({ local }) => local === 'b'),
  facts => {
    if (facts.recipient.local === 'c') throw new Error('no idea')
    return facts.recipient.domain === 'two.example'
  },
]

const verdict = fc.constantFrom<Verdict | undefined>(
  undefined,
  undefined,
  undefined,
  reject('no'),
  tempfail('later'),
  quarantine('odd'),
  discard,
)
const refusal = fc.constantFrom<Verdict | undefined>(undefined, undefined, undefined, reject('no'), tempfail('later'))

const says: fc.Arbitrary<Says> = fc
  .record({
    connect: refusal,
    mail: refusal,
    data: refusal,
    end: verdict,
    refused: fc.subarray(RECIPIENTS, { maxLength: 2 }),
    held: fc.subarray(RECIPIENTS, { maxLength: 1 }),
  })
  .map(({ refused, held, ...rest }) => ({
    ...(Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)) as Says),
    rcpt: to => (refused.includes(to) ? reject(`not ${to}`) : held.includes(to) ? quarantine('odd') : undefined),
  }))

const options: fc.Arbitrary<EntryOptions> = fc.record(
  {
    when: fc.constantFrom(...conditions),
    users: fc.constantFrom<NonNullable<EntryOptions['users']>>(['one.example'], to => to.local > 'b'),
    recipients: fc.constantFrom('any', 'all'),
    mixed: fc.constantFrom('apply', 'drop-recipients', 'quarantine'),
    onFailure: fc.constantFrom('tempfail', 'accept', 'reject', 'quarantine'),
    mode: fc.constantFrom('enforce', 'observe'),
  },
  { requiredKeys: [] },
)

type Plan = readonly (readonly [EntryOptions, Says])[]

async function send(plan: Plan, to: readonly string[], marked: boolean): Promise<unknown> {
  const filters = plan.map(([entry, words], index) => witness(`f${index}`, entry, words))
  await using host = await testPlugin(filters.map(({ entry }) => entry))
  const message = { headers: marked ? [['X-Test', '1'] as [string, string]] : [], body: 'text\r\n' }
  const { replies, outcome, message: kept } = await host.deliver({ from: 's@example.net', to, message })
  return {
    replies: replies
      .filter(({ command }) => command === 'rcpt')
      .map(reply => [reply.recipient, JSON.stringify(reply.verdict)].join(' '))
      .sort(),
    outcome,
    kept: kept === null ? null : [...kept.recipients].sort(),
    told: filters.map(({ told }) => told.toSorted()),
    seen: filters.map(({ seen }) => seen.map(list => list.toSorted())),
  }
}

describe('the order of recipients', () => {
  it('changes nothing for filters that conditions choose', { timeout: 120_000 }, async () => {
    const outcomes = new Map<string, number>()
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(options, says), { minLength: 1, maxLength: 3 }),
        fc.shuffledSubarray(RECIPIENTS, { minLength: RECIPIENTS.length }),
        fc.boolean(),
        async (plan, shuffled, marked) => {
          const usual = (await send(plan, RECIPIENTS, marked)) as { readonly outcome: string }
          outcomes.set(usual.outcome, (outcomes.get(usual.outcome) ?? 0) + 1)
          expect(await send(plan, shuffled, marked)).toEqual(usual)
        },
      ),
      { numRuns: 600 },
    )
    expect([...outcomes.keys()].sort()).toEqual(['accept', 'discard', 'quarantine', 'reject', 'tempfail'])
  })

  it('changes nothing for split once the client has sent everyone', { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...conditions.slice(0, 4)), { minLength: 1, maxLength: 3 }),
        fc.shuffledSubarray(RECIPIENTS, { minLength: RECIPIENTS.length }),
        async (whens, shuffled) => {
          const rounds = async (to: readonly string[]): Promise<unknown> => {
            const filters = whens.map((when, index) => witness(`f${index}`, { when, recipients: 'split' }))
            await using host = await testPlugin(filters.map(({ entry }) => entry))
            const got: string[] = []
            let left: readonly string[] = to
            let messages = 0
            while (left.length > 0) {
              // Each message takes at least one recipient.
              expect(++messages).toBeLessThanOrEqual(RECIPIENTS.length)
              const { replies, message } = await host.deliver({ from: 's@example.net', to: left })
              got.push(...(message?.recipients ?? []))
              left = replies.flatMap(({ recipient: who, verdict: { kind } }) => (kind === 'tempfail' ? [who!] : []))
            }
            expect(got.toSorted()).toEqual(RECIPIENTS)
            return filters.map(({ seen }) => seen.map(list => list.toSorted().join()).sort())
          }
          expect(await rounds(shuffled)).toEqual(await rounds(RECIPIENTS))
        },
      ),
      { numRuns: 100 },
    )
  })
})

describe('several messages of one connection', () => {
  it('are treated as if each had come on a connection of its own', { timeout: 120_000 }, async () => {
    const mail = fc.record({
      from: fc.constantFrom('s@example.net', 't@example.net'),
      to: fc.shuffledSubarray(RECIPIENTS, { minLength: 1 }),
      marked: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(options, says), { minLength: 1, maxLength: 3 }),
        fc.array(mail, { minLength: 2, maxLength: 4 }),
        async (plan, mails) => {
          const filters = (): Witness[] =>
            plan.map(([entry, { connect: _, ...words }], index) => witness(`f${index}`, entry, words))
          const heard = (list: readonly Witness[]): string[][] =>
            list.map(({ told }) => told.filter(what => !/^(connect|helo)/.test(what)))
          const apart = filters()
          await using one = await testPlugin(apart.map(({ entry }) => entry))
          const together = filters()
          await using other = await testPlugin(together.map(({ entry }) => entry))
          const conversation = other.open()
          for (const { from, to, marked } of mails) {
            const message = { headers: marked ? [['X-Test', '1'] as [string, string]] : [], body: 'text\r\n' }
            const alone = await one.deliver({ from, to, message })
            const goesOn = (verdict: Verdict): boolean => verdict.kind !== 'reject' && verdict.kind !== 'tempfail'
            let outcome: string | null = null
            if (goesOn(await conversation.mail(from))) {
              const answers: Verdict[] = []
              for (const each of to) answers.push(await conversation.rcpt(each))
              const discarded = answers.some(({ kind }) => kind === 'discard')
              if (discarded || (answers.some(goesOn) && goesOn(await conversation.data())))
                outcome = (await conversation.message(message)).outcome
            }
            if (outcome === null) {
              conversation.reset()
              outcome = conversation.delivery().outcome
            }
            expect(outcome).toBe(alone.outcome)
          }
          conversation.quit()
          expect(heard(together)).toEqual(heard(apart))
        },
      ),
      { numRuns: 300 },
    )
  })
})
