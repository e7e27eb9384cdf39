import { describe, expect, it } from 'vitest'
import type { Outcome } from '../../../src/host/filter.ts'
import type { HostEvent } from '../../../src/host/observe/event.ts'
import { Quantiles } from '../../../src/host/observe/quantiles.ts'
import { Statistics } from '../../../src/host/observe/statistics.ts'
import { CONTINUE, REJECT, type Verdict } from '../../../src/host/verdict.ts'

const where = { session: 's', message: 's.1' }
const answered = (filter: string, verdict: Verdict): HostEvent => ({
  type: 'filter-answered',
  ...where,
  filter,
  stage: 'rcpt',
  verdict,
  edits: [],
  milliseconds: 1,
  observed: false,
})
const settled = (outcome: Outcome, timings: Record<string, number>): HostEvent => ({
  type: 'message-settled',
  ...where,
  client: null,
  helo: null,
  queueId: null,
  sender: '<>',
  recipients: [],
  size: 0,
  outcome,
  verdict: CONTINUE,
  decidedBy: null,
  result: null,
  timings: new Map(Object.entries(timings)),
  milliseconds: 1,
})
const failed = (filter: string): HostEvent => ({
  type: 'filter-failed',
  ...where,
  filter,
  stage: 'mail',
  code: 'FILTER_THREW',
  detail: 'x',
  onFailure: 'tempfail',
  milliseconds: 1,
  observed: false,
})

describe('quantiles', () => {
  it('are right to a tenth, for times from microseconds to minutes', () => {
    for (const scale of [0.05, 1, 40, 800]) {
      const times = new Quantiles()
      for (let i = 1; i <= 1000; i++) times.add(i * scale)
      for (const share of [0.5, 0.9, 0.99]) {
        const exact = share * 1000 * scale
        expect(times.at(share)).toBeGreaterThanOrEqual(exact * 0.999)
        expect(times.at(share)).toBeLessThanOrEqual(exact * 1.1)
      }
    }
  })

  it('are null before the first, and take what is out of range', () => {
    const times = new Quantiles()
    expect(times.at(0.5)).toBeNull()
    times.add(0)
    times.add(Number.MAX_SAFE_INTEGER)
    expect([times.total, times.at(0.5)]).toEqual([2, 0.01])
    expect(times.at(1)).toBeGreaterThan(900_000)
  })
})

describe('statistics', () => {
  it('count messages by outcome, and of each filter what it said, took and failed', () => {
    const statistics = new Statistics()
    statistics.follow(['spf', 'clamav'])
    for (const event of [
      answered('spf', CONTINUE),
      answered('spf', REJECT),
      answered('clamav', { kind: 'quarantine', reason: 'x' }),
      failed('clamav'),
      settled('reject', { spf: 2 }),
      settled('accept', { spf: 4, clamav: 100 }),
    ])
      statistics.observe(event)
    expect(statistics.outcomes).toMatchObject({ accept: 1, reject: 1, tempfail: 0 })
    expect(statistics.of('spf')).toMatchObject({ messages: 2, failures: 0, verdicts: { reject: 1, accept: 0 } })
    expect(statistics.of('clamav')).toMatchObject({ messages: 1, failures: 1, verdicts: { quarantine: 1 } })
    expect(statistics.of('clamav')!.median).toBeCloseTo(100, -1)
  })

  it('go on for a filter that a reload keeps, begin anew for one that comes back, and leave others alone', () => {
    const statistics = new Statistics()
    statistics.follow(['a', 'b'])
    statistics.observe(failed('a'))
    statistics.observe(failed('b'))
    statistics.follow(['a'])
    statistics.observe(failed('b'))
    expect([statistics.of('a')!.failures, statistics.of('b')]).toEqual([1, null])
    statistics.follow(['a', 'b'])
    expect([statistics.of('a')!.failures, statistics.of('b')!.failures]).toEqual([1, 0])
  })
})
