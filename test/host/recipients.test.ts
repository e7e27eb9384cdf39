/**
 * The order in which a client names its recipients changes nothing: whom the chain refuses and in what words, which filters take
 * part, what becomes of the message and of each edit. For any chain whose filters judge each recipient for itself.
 *
 * Not so for `accept` and a failure at RCPT: by the milter protocol these end the filter's part in the whole message there and then,
 * so what it is asked afterwards is up to the client.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RcptEvent } from '../../src/host/events.ts'
import type { Edit } from '../../src/host/message/edit.ts'
import {
  ACCEPT,
  CONTINUE,
  DISCARD,
  REJECT,
  rejectWith,
  TEMPFAIL,
  tempfailWith,
  type Verdict,
} from '../../src/host/verdict.ts'
import { type ScriptedFilter, scripted } from './support/filters.ts'
import { CLIENT, path, rig } from './support/session.ts'

/** What one filter thinks, by recipient, and of the message. */
interface Opinion {
  readonly recipients: Readonly<Record<string, Verdict>>
  readonly message: Verdict
  readonly edits: readonly ('stamp' | 'add' | 'remove')[]
  readonly observed: boolean
}

const RECIPIENTS = ['<a@example.net>', '<b@example.net>', '<c@example.net>', '<d@example.net>', '<e@example.net>']

const refusals: readonly Verdict[] = [
  CONTINUE,
  CONTINUE,
  REJECT,
  TEMPFAIL,
  rejectWith(550, '5.1.1', 'Not here'),
  tempfailWith(450, '4.2.1', 'Full'),
]

const opinion = (recipientVerdicts: readonly Verdict[]): fc.Arbitrary<Opinion> =>
  fc.record({
    recipients: fc.record(
      Object.fromEntries(RECIPIENTS.map(each => [each, fc.constantFrom(...recipientVerdicts)])) as Record<
        string,
        fc.Arbitrary<Verdict>
      >,
    ),
    message: fc.constantFrom<Verdict>(CONTINUE, CONTINUE, CONTINUE, ACCEPT, REJECT, TEMPFAIL, DISCARD, {
      kind: 'quarantine',
      reason: 'odd',
    }),
    edits: fc.subarray(['stamp', 'add', 'remove'] as const),
    observed: fc.boolean(),
  })

const order = fc.shuffledSubarray(RECIPIENTS, { minLength: RECIPIENTS.length })

function chainOf(opinions: readonly Opinion[]): ScriptedFilter[] {
  return opinions.map(({ recipients, message, edits, observed }, index) =>
    scripted(`filter${index}`, {
      policy: observed ? { mode: 'observe' } : {},
      rcpt: ({ event }) => recipients[(event as RcptEvent).recipient.raw]!,
      message,
      edits: ({ recipients: accepted }) => {
        const told = accepted.map(({ raw }) => raw).sort()
        const all: Record<(typeof edits)[number], Edit> = {
          stamp: { kind: 'addHeader', name: `X-Filter-${index}`, value: ` ${told.join(' ')}` },
          add: { kind: 'addRecipient', address: `<more${index}@example.net>`, args: '' },
          remove: { kind: 'removeRecipient', address: told[0] ?? '<nobody@example.net>' },
        }
        return edits.map(edit => all[edit])
      },
    }),
  )
}

interface Course {
  readonly replies: Readonly<Record<string, Verdict>>
  /** Filters that were given the message. */
  readonly took: readonly string[]
  readonly outcome: string
  readonly verdict: Verdict | null
  readonly edits: readonly string[]
}

async function send(opinions: readonly Opinion[], recipients: readonly string[]): Promise<Course> {
  const filters = chainOf(opinions)
  const { session, of } = rig(filters)
  await session.connect(CLIENT)
  await session.helo('client.example')
  await session.mail(path('<s@example.com>'))
  const replies: Record<string, Verdict> = {}
  for (const recipient of recipients) replies[recipient] = await session.rcpt(path(recipient), null)
  const accepted = Object.values(replies).some(({ kind }) => kind === 'continue')
  let verdict = accepted ? await session.data() : null
  let edits: readonly Edit[] = []
  if (verdict?.kind === 'continue') {
    session.header('Subject', ' hello')
    session.endOfHeaders()
    await session.body(Buffer.from('text\r\n'))
    const settlement = await session.endOfMessage()
    verdict = settlement.verdict
    edits = settlement.edits
  } else session.abort()
  session.close({ kind: 'client-left', detail: 'QUIT' })
  return {
    replies,
    took: filters.filter(({ told }) => told.includes('message')).map(({ filter }) => filter.name),
    outcome: of('message-settled')
      .map(({ outcome }) => outcome)
      .join(),
    verdict,
    edits: edits.map(edit => JSON.stringify(edit)).sort(),
  }
}

describe('the order of recipients', () => {
  it('changes no reply, no outcome and no edit', async () => {
    const seen = new Set<string>()
    await fc.assert(
      fc.asyncProperty(fc.array(opinion(refusals), { maxLength: 4 }), order, async (opinions, shuffled) => {
        const usual = await send(opinions, RECIPIENTS)
        seen.add(usual.outcome)
        expect(await send(opinions, shuffled)).toEqual(usual)
      }),
      { numRuns: 400 },
    )
    // The chains were of every sort.
    expect([...seen].sort()).toEqual(['accept', 'discard', 'quarantine', 'reject', 'tempfail'])
  })

  it('makes nothing of a message that is discarded for one of them', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(opinion([...refusals, DISCARD]), { minLength: 1, maxLength: 3 }),
        order,
        async (opinions, shuffled) => {
          const usual = await send(opinions, RECIPIENTS)
          const { outcome, edits } = await send(opinions, shuffled)
          fc.pre(usual.outcome === 'discard' && usual.took.length === 0)
          expect({ outcome, edits }).toEqual({ outcome: 'discard', edits: [] })
        },
      ),
      { numRuns: 300 },
    )
  })
})
