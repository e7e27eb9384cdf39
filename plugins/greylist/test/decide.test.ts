import { describe, expect, test } from 'vitest'
import { type Changes, credit, decide, mergeMarks, note, type Outcome } from '../src/decide.ts'
import type { Mark, Policy, Seen, State } from '../src/store.ts'

const SECOND = 1000
const HOUR = 3_600_000
const DAY = 24 * HOUR
const T0 = Date.parse('2026-01-01T00:00:00Z')

const policy: Policy = {
  wait: 60 * SECOND,
  window: DAY,
  life: 36 * DAY,
  retries: 1,
  passes: 2,
  spacing: HOUR,
  pending: 50,
}

/** What one origin is remembered by, changed as a store would. */
class Memory {
  seen: Seen

  constructor(tuples = 1) {
    this.seen = { pin: null, trap: null, origin: null, pending: null, domain: null, tuples: Array(tuples).fill(null) }
  }

  check(now: number, changed: Partial<Policy> = {}): State {
    return this.outcome(now, changed).decision.state
  }

  outcome(now: number, changed: Partial<Policy> = {}): Outcome {
    const outcome = decide(this.seen, { ...policy, ...changed }, now)
    this.apply(outcome.changes)
    return outcome
  }

  apply({ tuples, ...others }: Changes): void {
    this.seen = {
      ...this.seen,
      ...others,
      tuples: this.seen.tuples.map((mark, at) => (tuples.has(at) ? tuples.get(at)! : mark)),
    }
  }

  /** Another sender domain and recipient of the same origin. */
  other(): void {
    this.seen = { ...this.seen, domain: null, tuples: [null] }
  }
}

const mark = (first: number, changed: Partial<Mark> = {}): Mark => ({
  first,
  last: first,
  count: 0,
  expires: first + DAY,
  ...changed,
})

describe('RFC 6647', () => {
  test('first sight waits, a retry before the time waits for the rest of it, one in the window passes', () => {
    const memory = new Memory()
    expect(memory.outcome(T0).decision).toEqual({ state: 'new', mark: null, wait: 60 * SECOND, now: T0 })
    expect(memory.outcome(T0 + 59_999).decision).toMatchObject({ state: 'early', wait: 1 })
    expect(memory.outcome(T0 + 60_000).decision).toMatchObject({ state: 'passed', wait: 0, mark: { first: T0 } })
    expect(memory.check(T0 + 60_001)).toBe('domain')
  })

  test('the last moment of the window passes; after it a retry is new, and its time begins again', () => {
    const inside = new Memory()
    inside.check(T0)
    expect(inside.check(T0 + DAY - 1)).toBe('passed')
    const outside = new Memory()
    outside.check(T0)
    expect(outside.check(T0 + DAY + 1)).toBe('new')
    expect(outside.check(T0 + DAY + 59_000)).toBe('early')
    expect(outside.check(T0 + DAY + 61_001)).toBe('passed')
  })

  test('a window that was made shorter counts for what is already stored', () => {
    const memory = new Memory()
    memory.check(T0)
    expect(memory.check(T0 + 2 * HOUR, { window: HOUR })).toBe('new')
  })

  test('an early retry does not begin the wait again', () => {
    const memory = new Memory()
    for (let at = 0; at < 60; at += 10) memory.check(T0 + at * SECOND)
    expect(memory.check(T0 + 60 * SECOND)).toBe('passed')
  })

  test('what is idle for the whole life is forgotten, what comes now and then is kept', () => {
    const idle = new Memory()
    idle.check(T0)
    idle.check(T0 + 60 * SECOND)
    expect(idle.check(T0 + 60 * SECOND + 36 * DAY)).toBe('new')
    const monthly = new Memory()
    monthly.check(T0)
    monthly.check(T0 + 60 * SECOND)
    for (let month = 1; month < 24; month++) expect(['domain', 'known']).toContain(monthly.check(T0 + month * 30 * DAY))
  })
})

describe('recipients of one transaction', () => {
  test('one that is old enough lets all pass', () => {
    const memory = new Memory(3)
    memory.seen = { ...memory.seen, pending: mark(T0, { count: 1 }), tuples: [null, mark(T0), null] }
    expect(memory.check(T0 + 61 * SECOND)).toBe('passed')
    expect(memory.seen.tuples).toEqual([null, null, null])
    expect(memory.seen.pending).toBeNull()
  })

  test('all are remembered, so that a message that is split is not put off twice', () => {
    const memory = new Memory(3)
    memory.check(T0)
    expect(memory.seen.tuples.every(tuple => tuple !== null)).toBe(true)
    expect(memory.seen.pending).toMatchObject({ count: 3 })
  })

  test('a recipient noted later has its own time, and notes count no retry', () => {
    const memory = new Memory(2)
    memory.seen = { ...memory.seen, tuples: [mark(T0), null] }
    memory.apply(note(memory.seen, policy, T0 + 90 * SECOND))
    expect(memory.seen.tuples).toEqual([mark(T0), mark(T0 + 90 * SECOND)])
  })
})

describe('levels', () => {
  test('one pass makes the sender domain known, a second one an hour later the whole origin', () => {
    const memory = new Memory()
    memory.check(T0)
    memory.check(T0 + 60 * SECOND)
    expect(memory.check(T0 + 30 * 60 * SECOND)).toBe('domain')
    expect(memory.seen.origin?.count).toBe(1)
    memory.check(T0 + 2 * HOUR)
    expect(memory.seen.origin?.count).toBe(2)
    memory.other()
    expect(memory.check(T0 + 2 * HOUR)).toBe('known')
  })

  test('another sender domain counts at once', () => {
    const memory = new Memory()
    memory.check(T0)
    memory.check(T0 + 60 * SECOND)
    memory.other()
    expect(memory.check(T0 + 61 * SECOND)).toBe('new')
    expect(memory.check(T0 + 130 * SECOND)).toBe('passed')
    memory.other()
    expect(memory.check(T0 + 131 * SECOND)).toBe('known')
  })

  test('a suspicious origin needs more passes, a bare network of dynamic clients never has enough', () => {
    const memory = new Memory()
    memory.seen = { ...memory.seen, origin: mark(T0, { count: 4, expires: T0 + 36 * DAY }) }
    expect(memory.check(T0 + 1, { passes: 5 })).toBe('new')
    memory.seen = { ...memory.seen, origin: mark(T0, { count: 1_000_000, expires: T0 + 36 * DAY }) }
    expect(memory.check(T0 + 2, { passes: 5 })).toBe('known')
    expect(memory.check(T0 + 2, { passes: 0 })).toBe('early')
  })

  test('two retries where two are asked for', () => {
    const memory = new Memory()
    memory.check(T0, { retries: 2 })
    expect(memory.check(T0 + 30 * SECOND, { retries: 2 })).toBe('early')
    expect(memory.check(T0 + 60 * SECOND, { retries: 2 })).toBe('again')
    expect(memory.check(T0 + 90 * SECOND, { retries: 2 })).toBe('passed')
  })

  test('a tarpit that was waited out counts as a pass, once for a sender domain in an hour', () => {
    const memory = new Memory()
    memory.check(T0)
    memory.apply(credit(memory.seen, policy, T0 + SECOND))
    expect(memory.seen).toMatchObject({ domain: { count: 1 }, origin: { count: 1 }, pending: null, tuples: [null] })
    memory.apply(credit(memory.seen, policy, T0 + 2 * SECOND))
    expect(memory.seen.origin?.count).toBe(1)
    memory.apply(credit(memory.seen, policy, T0 + 2 * HOUR))
    expect(memory.seen.origin?.count).toBe(2)
  })
})

describe('a known sender costs no write', () => {
  test('for an hour after its life was last stretched', () => {
    const memory = new Memory()
    memory.check(T0)
    memory.check(T0 + 60 * SECOND)
    expect(memory.outcome(T0 + 61 * SECOND).changes).toEqual({ tuples: new Map() })
    memory.seen = { ...memory.seen, origin: mark(T0, { count: 9, expires: T0 + 36 * DAY }) }
    expect(memory.outcome(T0 + HOUR - 1).changes).toEqual({ tuples: new Map() })
    expect(memory.outcome(T0 + HOUR).changes.origin?.expires).toBe(T0 + HOUR + 36 * DAY)
  })
})

describe('pins and traps', () => {
  test('a pin passes whatever else is known; a trap stops a known origin; both end', () => {
    const memory = new Memory()
    const known = mark(T0, { count: 9, expires: T0 + 36 * DAY })
    memory.seen = { ...memory.seen, origin: known, trap: mark(T0), pin: mark(T0, { expires: T0 + HOUR }) }
    expect(memory.check(T0 + 1)).toBe('pinned')
    expect(memory.outcome(T0 + HOUR).decision).toMatchObject({ state: 'trapped', wait: 23 * HOUR })
    expect(memory.check(T0 + DAY)).toBe('known')
  })

  test('a trapped origin earns nothing', () => {
    const memory = new Memory()
    memory.seen = { ...memory.seen, trap: mark(T0) }
    memory.apply(credit(memory.seen, policy, T0 + 1))
    memory.apply(note(memory.seen, policy, T0 + 1))
    expect(memory.seen).toMatchObject({ origin: null, domain: null, tuples: [null] })
  })
})

describe('floods', () => {
  test('an origin with too many pending is put off without a mark, until that window is over', () => {
    const memory = new Memory()
    memory.seen = { ...memory.seen, pending: mark(T0, { count: 50 }) }
    expect(memory.outcome(T0 + 1)).toEqual({
      decision: { state: 'overflow', mark: null, wait: 60 * SECOND, now: T0 + 1 },
      changes: { tuples: new Map() },
    })
    expect(memory.check(T0 + DAY)).toBe('new')
    expect(memory.seen.pending?.count).toBe(1)
  })

  test('what was stored before the flood still passes, and makes room', () => {
    const memory = new Memory()
    memory.seen = { ...memory.seen, pending: mark(T0, { count: 50 }), tuples: [mark(T0)] }
    expect(memory.check(T0 + 60 * SECOND)).toBe('passed')
    expect(memory.seen.pending?.count).toBe(49)
  })

  test('of a transaction with many recipients as many are stored as there is room for', () => {
    const memory = new Memory(20)
    memory.seen = { ...memory.seen, pending: mark(T0, { count: 45 }) }
    expect(memory.check(T0 + 1)).toBe('new')
    expect(memory.seen.tuples.filter(tuple => tuple !== null)).toHaveLength(5)
  })
})

describe('a clock that is set', () => {
  test('back an hour: a mark of the future is begun anew and passes after the wait', () => {
    const memory = new Memory()
    memory.check(T0)
    expect(memory.outcome(T0 - HOUR).decision).toMatchObject({ state: 'early', wait: 60 * SECOND })
    expect(memory.check(T0 - HOUR + 60 * SECOND)).toBe('passed')
  })

  test('forth an hour and back: who was known stays known, who was put off is not lost', () => {
    const memory = new Memory()
    memory.check(T0)
    memory.check(T0 + 60 * SECOND)
    expect(memory.check(T0 + HOUR + 61 * SECOND)).toBe('domain')
    expect(['domain', 'known']).toContain(memory.check(T0 + 62 * SECOND))
    const pending = new Memory()
    pending.check(T0 + HOUR)
    expect(pending.check(T0 + SECOND)).toBe('early')
    expect(pending.check(T0 + 61 * SECOND)).toBe('passed')
  })
})

test('two stores that know one key agree on what speaks for the client', () => {
  const a = { first: 5, last: 9, count: 1, expires: 20 }
  const b = { first: 3, last: 7, count: 4, expires: 15 }
  expect(mergeMarks(a, b)).toEqual({ first: 3, last: 9, count: 4, expires: 20 })
  expect(mergeMarks(b, a)).toEqual(mergeMarks(a, b))
})
