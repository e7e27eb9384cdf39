import { expect, it } from 'vitest'
import { JunkFilter } from '../../../src/host/observe/junk.ts'
import type { Clock } from '../../../src/host/time/clock.ts'

const clockAt = (time: { now: number }): Clock => ({
  now: () => time.now,
  monotonic: () => time.now,
  after: () => () => {},
})

it('lets the first of a kind through, each kind for itself', () => {
  const junk = new JunkFilter(clockAt({ now: 0 }), { lines: 2 })
  expect(['a', 'a', 'a', 'b', 'a'].map(kind => junk.admit(kind))).toEqual([0, 0, null, 0, null])
})

it('tells in the next window how many it kept back', () => {
  const time = { now: 0 }
  const junk = new JunkFilter(clockAt(time), { lines: 1, window: 1000 })
  for (let i = 0; i < 6; i++) junk.admit('a')
  time.now = 1000
  expect(junk.admit('a')).toBe(5)
  time.now = 2000
  expect(junk.admit('a')).toBe(0)
})

it('does not grow with the number of kinds', () => {
  const junk = new JunkFilter(clockAt({ now: 0 }), { lines: 1 })
  junk.admit('first')
  for (let i = 0; i < 2000; i++) junk.admit(`kind ${i}`)
  // Forgotten, so admitted again: the price of a bound.
  expect(junk.admit('first')).toBe(0)
})
