import { describe, expect, it } from 'vitest'
import type { HoldOutcome } from '../../../src/host/filter.ts'
import type { MtaKind } from '../../../src/host/mta.ts'
import { CONTINUE, tempfailWith } from '../../../src/host/verdict.ts'
import { type Script, type ScriptedFilter, scripted } from '../support/filters.ts'
import { deliver, greet, path, type Rig, type RigOptions, rig } from '../support/session.ts'

const NOT_IN_TIME = tempfailWith(451, '4.7.1', 'Service unavailable - try again later')

/** A filter that asks for these holds at `stage`, and what became of them. */
function holder(stage: 'connect' | 'rcpt' | 'data' | 'message', ...seconds: number[]) {
  const outcomes: HoldOutcome[] = []
  const answer: Script['rcpt'] = async ({ context }) => {
    for (const each of seconds) outcomes.push(await context.hold(each))
    return CONTINUE
  }
  return { outcomes, answer, filter: scripted('a', { [stage]: answer }) }
}

async function toRecipient(filters: readonly ScriptedFilter[], options: RigOptions): Promise<Rig> {
  const stand = rig(filters, options)
  await greet(stand.session)
  await stand.session.mail(path('<a@example.com>'))
  return stand
}

const rcpt = ({ session }: Rig, to = '<b@example.net>') => session.rcpt(path(to), null)

describe('with Postfix', () => {
  it('a hold of 38 s at rcpt outlasts a budget of 25 s and a limit of the filter’s own of 2 s', async () => {
    const { outcomes, answer } = holder('rcpt', 38)
    const timeouts = { connect: 1, command: 2_000, end: 1 }
    const stand = await toRecipient([scripted('a', { rcpt: answer, policy: { timeouts } })], { mta: 'postfix' })
    const pending = rcpt(stand)
    await stand.clock.advance(37_999)
    expect(outcomes).toEqual([])
    await stand.clock.advance(1)
    expect(await pending).toEqual(CONTINUE)
    expect(outcomes).toEqual(['waited'])
  })

  it('the budget goes on after a hold with what was left', async () => {
    const slow = scripted('a', {
      rcpt: async ({ context }) => {
        await context.hold(100)
        await new Promise(resolve => stand.clock.after(26_000, () => resolve(undefined)))
        return CONTINUE
      },
    })
    const stand = await toRecipient([slow], { mta: 'postfix' })
    const pending = rcpt(stand)
    await stand.clock.advance(125_000)
    expect(await pending).toEqual(NOT_IN_TIME)
    expect(stand.of('filter-failed')).toMatchObject([{ code: 'BUDGET_SPENT', milliseconds: 125_000 }])
  })

  it.each([
    ['rcpt', 241, 240],
    ['data', 91, 90],
  ] as const)('a hold at %s of more than a client bears is refused, once loudly', async (stage, seconds, most) => {
    const { outcomes, filter } = holder(stage, seconds, seconds)
    const stand = rig([filter], { mta: 'postfix' })
    await greet(stand.session)
    await deliver(stand.session)
    expect(outcomes).toEqual(['refused', 'refused'])
    expect(stand.of('limit-reached').map(({ code, detail }) => [code, detail])).toEqual([
      [
        'HOLD_TOO_LONG',
        `filter a was refused a hold of ${seconds} s at ${stage}: ${most} s is the most an answer may take there`,
      ],
    ])
  })

  it('all holds of one answer count together', async () => {
    const { outcomes, filter } = holder('rcpt', 200, 41, 40)
    const stand = await toRecipient([filter], { mta: 'postfix' })
    const pending = rcpt(stand)
    await stand.clock.advance(240_000)
    expect(await pending).toEqual(CONTINUE)
    expect(outcomes).toEqual(['waited', 'refused', 'waited'])
  })
})

describe.each(['sendmail', 'unknown'] as const)('with an MTA that is %s', (mta: MtaKind) => {
  it('a hold before the end of the message is within the reply budget', async () => {
    const { outcomes, filter } = holder('rcpt', 5, 5)
    const stand = await toRecipient([filter], { mta })
    const pending = rcpt(stand)
    await stand.clock.advance(5_000)
    expect(await pending).toEqual(CONTINUE)
    expect(outcomes).toEqual(['waited', 'refused'])
  })

  it('a longer one is refused with one warning that says what to set', async () => {
    const { outcomes, filter } = holder('rcpt', 125)
    const stand = await toRecipient([filter], { mta })
    await rcpt(stand)
    await rcpt(stand)
    expect(outcomes).toEqual(['refused', 'refused'])
    const [warning, ...more] = stand.of('limit-reached')
    expect(more).toEqual([])
    expect(warning!.code).toBe('HOLD_IMPATIENT')
    expect(warning!.detail).toContain("T=R:145s in INPUT_MAIL_FILTER, and set budget.command to '135s'")
    expect(warning!.detail.includes("mta: 'postfix'")).toBe(mta === 'unknown')
  })

  it('with more time set, it is held', async () => {
    const { outcomes, filter } = holder('rcpt', 125)
    const stand = await toRecipient([filter], { mta, budget: { command: 135_000 } })
    const pending = rcpt(stand)
    await stand.clock.advance(125_000)
    expect(await pending).toEqual(CONTINUE)
    expect(outcomes).toEqual(['waited'])
  })

  it('at the end of the message the whole budget is there for a hold, and no more', async () => {
    const { outcomes, filter } = holder('message', 200, 41)
    const stand = rig([filter], { mta })
    await greet(stand.session)
    const pending = deliver(stand.session)
    await new Promise(resolve => setTimeout(resolve, 20))
    await stand.clock.advance(200_000)
    expect((await pending).end?.verdict).toEqual(CONTINUE)
    expect(outcomes).toEqual(['waited', 'refused'])
  })
})

describe('limits', () => {
  it('a refused hold is told with session and limit, and the filter goes on', async () => {
    const { outcomes, filter } = holder('rcpt', 10)
    const stand = await toRecipient([filter], { mta: 'postfix', holds: { max: 0 } })
    expect(await rcpt(stand)).toEqual(CONTINUE)
    expect(outcomes).toEqual(['refused'])
    expect(stand.of('limit-reached')).toMatchObject([{ session: 's', message: 's.1', code: 'LIMIT_HOLDS' }])
  })

  it('in observe mode nobody waits, and no limit is touched', async () => {
    const { outcomes, answer } = holder('rcpt', 3600)
    const filter = scripted('a', { rcpt: answer, policy: { mode: 'observe' } })
    const stand = await toRecipient([filter], { mta: 'sendmail', holds: { max: 0 } })
    expect(await rcpt(stand)).toEqual(CONTINUE)
    expect(outcomes).toEqual(['waited'])
    expect(stand.of('limit-reached')).toEqual([])
  })

  it('the end of all holds lets the filter answer in its own words', async () => {
    const answer = tempfailWith(451, '4.3.2', 'Going down')
    const filter = scripted('a', {
      rcpt: async ({ context }) => ((await context.hold(100)) === 'refused' ? answer : CONTINUE),
    })
    const stand = await toRecipient([filter], { mta: 'postfix' })
    const pending = rcpt(stand)
    await new Promise(resolve => setImmediate(resolve))
    stand.holds.end()
    expect(await pending).toEqual(answer)
    stand.session.close({ kind: 'client-left', detail: 'QUIT' })
    expect(stand.clock.pending).toBe(0)
  })
})

describe('a filter that says it is still at work', () => {
  const atWork = (until: number) =>
    scripted('a', {
      rcpt: ({ context }) =>
        new Promise(resolve => {
          for (let at = 10_000; at < until; at += 10_000) clock().after(at, () => context.progress())
          clock().after(until, () => resolve(CONTINUE))
        }),
    })
  let stand: Rig
  const clock = () => stand.clock

  it('is waited for beyond the budget where the MTA can be kept patient', async () => {
    stand = await toRecipient([atWork(120_000)], { mta: 'postfix' })
    const pending = rcpt(stand)
    await stand.clock.advance(120_000)
    expect(await pending).toEqual(CONTINUE)
  })

  it('but not for longer than a client waits', async () => {
    stand = await toRecipient([atWork(1_000_000)], { mta: 'postfix' })
    const pending = rcpt(stand)
    await stand.clock.advance(270_000)
    expect(await pending).toEqual(NOT_IN_TIME)
    const [failed] = stand.of('filter-failed')
    expect(failed!.code).toBe('BUDGET_SPENT')
    expect(failed!.milliseconds).toBe(265_000)
  })

  it('is not waited for beyond the budget of another MTA', async () => {
    stand = await toRecipient([atWork(120_000)], { mta: 'sendmail', budget: { command: 15_000 } })
    const pending = rcpt(stand)
    await stand.clock.advance(15_000)
    expect(await pending).toEqual(NOT_IN_TIME)
  })
})
