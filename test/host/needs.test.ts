import { describe, expect, it } from 'vitest'
import type { ChainFilter } from '../../src/host/chain/member.ts'
import type { Needs } from '../../src/host/filter.ts'
import { needsOf } from '../../src/host/needs.ts'
import { scripted } from './support/filters.ts'

const NOTHING: Needs = {
  events: new Set(),
  answers: new Set(),
  edits: new Set(),
  refusedRecipients: false,
  macros: new Map(),
}

const wanting = (needs: Partial<Needs> | null, policy: Partial<ChainFilter['policy']> = {}): ChainFilter => {
  const { filter, policy: defaults } = scripted('a')
  return {
    filter: { ...filter, needs: () => needs && { ...NOTHING, ...needs } },
    policy: { ...defaults, ...policy },
  }
}

describe('what the MTA is asked for', () => {
  it('is what some filter wants, and no more', () => {
    const { events, answers, edits } = needsOf([
      wanting({ events: new Set(['rcpt']), answers: new Set(['rcpt']) }),
      wanting({ events: new Set(['body']), edits: new Set(['replaceBody']) }),
    ])
    expect([...events]).toEqual(['rcpt', 'body'])
    expect([...answers]).toEqual(['rcpt'])
    expect([...edits]).toEqual(['replaceBody'])
  })

  it('is everything while one filter has never been met', () => {
    const { events, answers, refusedRecipients } = needsOf([wanting(null)])
    expect(events.size).toBe(9)
    expect([...answers]).toEqual(['connect', 'helo', 'mail', 'rcpt', 'data', 'unknown'])
    expect(refusedRecipients).toBe(true)
  })

  it('has no answers and edits of a filter that only observes', () => {
    const needs = needsOf([wanting(null, { mode: 'observe' })])
    expect(needs.answers.size + needs.edits.size).toBe(0)
    expect(needs.events.size).toBe(9)
  })

  it('has quarantine where a failure is to quarantine', () => {
    expect([...needsOf([wanting({}, { onFailure: 'quarantine' })]).edits]).toEqual(['quarantine'])
  })
})
