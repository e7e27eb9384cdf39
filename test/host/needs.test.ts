import { describe, expect, it } from 'vitest'
import { any, authenticated, header, macro, messageSize } from '../../src/conditions.ts'
import type { ChainFilter } from '../../src/host/chain/member.ts'
import { type EntryOptions, filterEntry } from '../../src/host/config/entry.ts'
import { validateConfig } from '../../src/host/config/validate.ts'
import type { Filter, Needs } from '../../src/host/filter.ts'
import { EDIT_KINDS } from '../../src/host/message/edit.ts'
import { ALL_INTERESTS } from '../../src/host/mta.ts'
import { needsOf } from '../../src/host/needs.ts'
import { silent } from '../../src/host/observe/logger.ts'
import { MetricsRegistry } from '../../src/host/plugin/metrics.ts'
import { Gates } from '../../src/host/policy/gates.ts'
import { fakeClock, fakeDns } from '../../src/testing.ts'

function member(needs: Partial<Needs> | null, mode: 'enforce' | 'observe' = 'enforce'): ChainFilter {
  const whole: Needs | null = needs && {
    events: new Set(),
    answers: new Set(),
    edits: new Set(),
    refusedRecipients: false,
    macros: new Map(),
    ...needs,
  }
  return { filter: { needs: () => whole } as Filter, policy: { mode } as ChainFilter['policy'] }
}

describe('a chain wants', () => {
  it('nothing when it is empty', () => {
    expect(needsOf([])).toEqual({
      events: new Set(),
      answers: new Set(),
      edits: new Set(),
      refusedRecipients: false,
      macros: new Map(),
    })
  })

  it('what any of its filters wants', () => {
    const a = member({ events: new Set(['mail']), answers: new Set(['mail']), macros: new Map([['mail', ['i', 'j']]]) })
    const b = member({
      events: new Set(['body']),
      edits: new Set(['addHeader']),
      macros: new Map([['mail', ['j', 'k']]]),
    })
    const c = member({ refusedRecipients: true })
    expect(needsOf([a, b, c])).toEqual({
      events: new Set(['mail', 'body']),
      answers: new Set(['mail']),
      edits: new Set(['addHeader']),
      refusedRecipients: true,
      macros: new Map([['mail', ['i', 'j', 'k']]]),
    })
  })

  it('everything while nobody knows what one of them wants', () => {
    const { events, edits, answers } = needsOf([member(null)])
    expect(events).toEqual(new Set(ALL_INTERESTS))
    expect(edits).toEqual(new Set(EDIT_KINDS))
    expect(answers).toContain('rcpt')
  })
})

describe('a filter with a condition', () => {
  const gated = async (options: EntryOptions, needs: Partial<Needs> = {}): Promise<Needs> => {
    const entry = filterEntry({ kind: 'plugin', defaultName: 'f', options, describe: '', create: () => ({}) as Filter })
    const { entries } = validateConfig({ filters: [entry] }, 'test')
    const [configured] = entries
    const gates = new Gates(
      { clock: fakeClock(), log: silent, services: { dns: fakeDns(), metrics: new MetricsRegistry() } },
      null,
    )
    const chain = member(needs, options.mode)
    return needsOf([{ ...chain, gate: await gates.gateOf(configured!.policy) }])
  }

  it('has the MTA asked for what the condition reads', async () => {
    const { macros, events } = await gated({ when: any(authenticated(), macro('daemon_port'), header('X-Test')) })
    expect(macros.get('mail')).toEqual(expect.arrayContaining(['auth_authen', 'auth_type']))
    expect(macros.get('connect')).toContain('daemon_port')
    expect([...events]).toEqual(expect.arrayContaining(['connect', 'helo', 'mail', 'rcpt', 'data', 'header', 'eoh']))
    expect(events).not.toContain('body')
    expect((await gated({ when: messageSize({ max: 10 }) })).events).toContain('body')
  })

  it('has the MTA wait where it may join, and take what `mixed` does', async () => {
    const { answers, edits } = await gated({ users: ['example.org'] })
    expect(answers).toEqual(new Set(['mail', 'rcpt', 'data']))
    expect(edits).toEqual(new Set())
    expect((await gated({ users: ['a@b'], mixed: 'drop-recipients' })).edits).toEqual(new Set(['removeRecipient']))
    expect((await gated({ users: ['a@b'], mixed: 'quarantine' })).edits).toEqual(new Set(['quarantine']))
    const observed = await gated({ users: ['a@b'], mixed: 'quarantine', mode: 'observe' })
    expect([observed.answers, observed.edits]).toEqual([new Set(), new Set()])
  })

  it('costs nothing that the entry does not say', async () => {
    expect(await gated({}, { events: new Set(['mail']) })).toEqual(needsOf([member({ events: new Set(['mail']) })]))
    expect((await gated({ recipients: 'split', mixed: 'quarantine' })).edits).toEqual(new Set())
  })
})

it('a filter that only observes sees its events and may change nothing', () => {
  const needs = needsOf([
    member({ events: new Set(['rcpt']), answers: new Set(['rcpt']), edits: new Set(['addHeader']) }, 'observe'),
  ])
  expect(needs).toMatchObject({ events: new Set(['rcpt']), answers: new Set(), edits: new Set() })
})
