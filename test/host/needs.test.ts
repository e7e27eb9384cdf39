import { describe, expect, it } from 'vitest'
import type { ChainFilter } from '../../src/host/chain/member.ts'
import type { Filter, Needs } from '../../src/host/filter.ts'
import { EDIT_KINDS } from '../../src/host/message/edit.ts'
import { ALL_INTERESTS } from '../../src/host/mta.ts'
import { needsOf } from '../../src/host/needs.ts'

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

it('a filter that only observes sees its events and may change nothing', () => {
  const needs = needsOf([
    member({ events: new Set(['rcpt']), answers: new Set(['rcpt']), edits: new Set(['addHeader']) }, 'observe'),
  ])
  expect(needs).toMatchObject({ events: new Set(['rcpt']), answers: new Set(), edits: new Set() })
})
