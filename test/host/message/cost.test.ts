// Ten thousand edits of ten thousand headers, the most that a filter may send by default, hold up every session of the process while
// they are applied. Counted are looks at a header, which are all alike however busy the machine is: no edit may look at all of them.

import { describe, expect, test } from 'vitest'
import { applyEdits } from '../../../src/host/message/apply.ts'
import { planBatch } from '../../../src/host/message/batch.ts'
import { AT_END, EDIT_KINDS, type Edit } from '../../../src/host/message/edit.ts'
import { type HeaderNode, layoutOf } from '../../../src/host/message/layout.ts'
import type { MessageSnapshot } from '../../../src/host/message/snapshot.ts'
import { messageOf } from './scripts.ts'

const MANY = 10_000
/** Of each header and each edit. Generous: some ten are needed. */
const LOOKS = 50

const times = (make: (n: number) => Edit): Edit[] => Array.from({ length: MANY }, (_, n) => make(n))

const SCRIPTS: Record<string, Edit[]> = {
  'additions of one name': times(() => ({ kind: 'addHeader', name: 'X-A', value: ' v' })),
  'additions of new names': times(n => ({ kind: 'addHeader', name: `N-${n}`, value: ' v' })),
  'insertions on top': times(() => ({ kind: 'insertHeader', index: 0, name: 'X-A', value: ' v' })),
  'insertions one behind the other': times(n => ({ kind: 'insertHeader', index: 5000 + n, name: 'X-A', value: ' v' })),
  'insertions here and there': times(n => ({
    kind: 'insertHeader',
    index: (n * 7919) % MANY,
    name: 'X-A',
    value: ' v',
  })),
  'insertions at the end': times(() => ({ kind: 'insertHeader', index: AT_END, name: 'X-A', value: ' v' })),
  'changes from the last': times(n => ({ kind: 'changeHeader', occurrence: MANY - n, name: 'X-A', value: ' c' })),
  'changes of none': times(() => ({ kind: 'changeHeader', occurrence: AT_END, name: 'X-A', value: ' c' })),
  'removals from the first': times(n => ({ kind: 'removeHeader', occurrence: n + 1, name: 'X-A' })),
  'removals from the last': times(n => ({ kind: 'removeHeader', occurrence: MANY - n, name: 'X-A' })),
  'removals of the first': times(() => ({ kind: 'removeHeader', occurrence: 1, name: 'X-A' })),
  'removals of none': times(() => ({ kind: 'removeHeader', occurrence: AT_END, name: 'X-A' })),
  'removals of other names': times(n => ({ kind: 'removeHeader', occurrence: 1, name: `X-${n}` })),
}
const named = (name: (n: number) => string): MessageSnapshot =>
  messageOf(Array.from({ length: MANY }, (_, n) => [name(n), ` ${n}`]))

const MESSAGES = { 'one name': named(() => 'X-A'), 'as many names': named(n => `X-${n}`) }

/** The message with headers that count how often they are looked at. */
function counting(message: MessageSnapshot): { message: MessageSnapshot; looks: () => number } {
  let looks = 0
  const watched = ({ field, kind, state, origin }: HeaderNode): HeaderNode => ({
    kind,
    origin,
    get field() {
      looks++
      return field
    },
    get state() {
      looks++
      return state
    },
  })
  return { message: { ...message, layout: layoutOf(message).map(watched) }, looks: () => looks }
}

describe.each(['sendmail', 'postfix'] as const)('by the rules of %s', rules => {
  describe.each(Object.entries(MESSAGES))('on headers of %s', (_, sent) => {
    test.each(Object.entries(SCRIPTS))('%s look at each header a few times', (_name, edits) => {
      const { message, looks } = counting(sent)
      const final = applyEdits(message, edits, rules).message
      for (const mta of ['postfix', 'sendmail', 'unknown'] as const) planBatch(sent, final, mta, new Set(EDIT_KINDS))
      expect(looks()).toBeGreaterThan(MANY)
      expect(looks()).toBeLessThan(LOOKS * 2 * MANY)
    })
  })
})
