import { describe, expect, it } from 'vitest'
import { DEFAULT_HOLDS } from '../../../src/host/config/settings.ts'
import type { AbortReason, HoldOutcome } from '../../../src/host/filter.ts'
import { type HoldLimits, Holds, holdLimits } from '../../../src/host/time/holds.ts'
import { HandClock } from '../support/clock.ts'

const LIMITS: HoldLimits = { max: 100, perClient: 100, perNetwork: 100, stress: 1000 }

interface Held {
  readonly controller: AbortController
  readonly result: Promise<HoldOutcome>
  outcome: HoldOutcome | null
}

class Stand {
  readonly clock = new HandClock()
  readonly refusals: string[] = []
  sessions = 1
  readonly holds: Holds

  constructor(limits: Partial<HoldLimits> = {}) {
    this.holds = new Holds(this.clock, { ...LIMITS, ...limits }, () => this.sessions)
  }

  hold(address: string | null = '192.0.2.1', seconds = 60, controller = new AbortController()): Held {
    const client = address === null ? null : ({ family: 'inet', address, port: 1, hostname: '' } as const)
    const notHeld = ({ detail }: { detail: string }): void => void this.refusals.push(detail)
    const result = this.holds.hold({ client, notHeld }, seconds * 1000, controller.signal)
    const held: Held = { controller, result, outcome: null }
    void result.then(outcome => {
      held.outcome = outcome
    })
    return held
  }
}

const aborted = (kind: AbortReason['kind']): AbortController => {
  const controller = new AbortController()
  controller.abort({ kind, detail: '' } satisfies AbortReason)
  return controller
}

describe('a hold', () => {
  it('ends after its time, not earlier, and leaves no timer', async () => {
    const stand = new Stand()
    const held = stand.hold('192.0.2.1', 125)
    await stand.clock.advance(124_999)
    expect(held.outcome).toBeNull()
    expect(stand.holds.size).toBe(1)
    await stand.clock.advance(1)
    expect(held.outcome).toBe('waited')
    expect(stand.holds.size).toBe(0)
    expect(stand.clock.pending).toBe(0)
  })

  it.each([
    ['client-left', 'client-left'],
    ['mta-abort', 'client-left'],
    ['shutdown', 'refused'],
    ['timeout', 'refused'],
  ] as const)('ends at once when its signal is aborted by %s: %s', async (kind, outcome) => {
    const stand = new Stand()
    const held = stand.hold()
    held.controller.abort({ kind, detail: '' } satisfies AbortReason)
    expect(await held.result).toBe(outcome)
    expect(stand.holds.size).toBe(0)
    expect(stand.clock.pending).toBe(0)
    expect(await stand.hold('192.0.2.1', 1, aborted(kind)).result).toBe(outcome)
    expect(stand.refusals).toEqual([])
  })

  it('is told only once how it ended, whatever comes afterwards', async () => {
    const stand = new Stand({ perClient: 1 })
    const held = stand.hold()
    stand.holds.end()
    held.controller.abort({ kind: 'client-left', detail: '' } satisfies AbortReason)
    await stand.clock.advance(60_000)
    expect(held.outcome).toBe('refused')
  })
})

describe('limits', () => {
  it('one more than max is refused, and one that ends makes room', async () => {
    const stand = new Stand({ max: 2 })
    const first = stand.hold('192.0.2.1')
    stand.hold('198.51.100.1')
    expect(await stand.hold('203.0.113.1').result).toBe('refused')
    expect(stand.refusals).toEqual(['a client was not made to wait: holds.max (2) clients are held already'])
    first.controller.abort({ kind: 'client-left', detail: '' } satisfies AbortReason)
    const next = stand.hold('203.0.113.1')
    expect(stand.holds.size).toBe(2)
    await stand.clock.advance(60_000)
    expect(next.outcome).toBe('waited')
  })

  it('a client and a network have their own', async () => {
    const stand = new Stand({ perClient: 2, perNetwork: 3 })
    stand.hold('192.0.2.1')
    stand.hold('192.0.2.1')
    expect(await stand.hold('192.0.2.1').result).toBe('refused')
    stand.hold('192.0.2.2')
    expect(await stand.hold('192.0.2.3').result).toBe('refused')
    expect(stand.hold('192.0.3.1').outcome).toBeNull()
    expect(stand.holds.size).toBe(4)
    expect(stand.refusals).toEqual([
      'a client was not made to wait: holds.perClient (2) sessions of 192.0.2.1 are held already',
      'a client was not made to wait: holds.perNetwork (3) sessions of 192.0.2.0/24 are held already',
    ])
    await stand.clock.advance(60_000)
    for (const address of ['192.0.2.1', '192.0.2.1', '192.0.2.9']) stand.hold(address)
    expect(stand.holds.size).toBe(3)
  })

  it('all addresses of an IPv6 /64 are one client', async () => {
    const stand = new Stand({ perClient: 1 })
    stand.hold('2001:db8:1:2::1')
    expect(await stand.hold('2001:db8:1:2::2').result).toBe('refused')
    expect(stand.hold('2001:db8:1:3::1').outcome).toBeNull()
  })

  it('clients without an address share only the limit for all', async () => {
    const stand = new Stand({ perClient: 1, perNetwork: 1, max: 3 })
    stand.hold(null)
    stand.hold(null)
    stand.hold('')
    expect(stand.holds.size).toBe(3)
    expect(await stand.hold(null).result).toBe('refused')
  })

  it('others may be set while clients are held', async () => {
    const stand = new Stand({ max: 2 })
    stand.hold('192.0.2.1')
    stand.hold('198.51.100.1')
    stand.holds.change({ ...LIMITS, max: 1 })
    expect(stand.holds.size).toBe(2)
    expect(await stand.hold('203.0.113.1').result).toBe('refused')
  })
})

describe('under stress', () => {
  it('nobody is held, and each session that comes ends the oldest hold', async () => {
    const stand = new Stand({ stress: 75 })
    stand.sessions = 74
    const held = ['192.0.2.1', '198.51.100.1', '203.0.113.1'].map(address => stand.hold(address))
    stand.holds.relieve()
    expect(stand.holds.size).toBe(3)
    stand.sessions = 75
    stand.holds.relieve()
    expect(await held[0]!.result).toBe('refused')
    expect(stand.holds.size).toBe(2)
    stand.sessions = 76
    stand.holds.relieve()
    expect(await held[1]!.result).toBe('refused')
    expect(await stand.hold('192.0.2.9').result).toBe('refused')
    expect(stand.refusals).toEqual([
      'a client was not made to wait: 76 sessions are open, and from 75 on (holds.stress) nobody is held',
    ])
    stand.sessions = 74
    expect(stand.hold('192.0.2.9').outcome).toBeNull()
    expect(held[2]!.outcome).toBeNull()
  })
})

describe('the end', () => {
  it('ends every hold at once and lets none begin', async () => {
    const stand = new Stand()
    const held = Array.from({ length: 50 }, (_, i) => stand.hold(`192.0.2.${i}`))
    stand.holds.end()
    expect(await Promise.all(held.map(({ result }) => result))).toEqual(Array(50).fill('refused'))
    expect(await stand.hold().result).toBe('refused')
    expect(stand.clock.pending).toBe(0)
  })
})

describe('the limits meant by the configuration', () => {
  it('are half of what the MTA can have, and 50 where that is not known', () => {
    expect(holdLimits(DEFAULT_HOLDS, 2000, 100)).toEqual({ max: 50, perClient: 2, perNetwork: 5, stress: 75 })
    expect(holdLimits(DEFAULT_HOLDS, 2000, 300)).toMatchObject({ max: 150, stress: 225 })
    expect(holdLimits(DEFAULT_HOLDS, 2000, 1)).toMatchObject({ max: 1, stress: 1 })
    expect(holdLimits(DEFAULT_HOLDS, 2000, null)).toMatchObject({ max: 50, stress: 1500 })
  })

  it('count sessions where stress is more than a share', () => {
    expect(holdLimits({ ...DEFAULT_HOLDS, max: 7, stress: 400 }, 2000, 100)).toMatchObject({ max: 7, stress: 400 })
    expect(holdLimits({ ...DEFAULT_HOLDS, stress: 1 }, 60, 100)).toMatchObject({ stress: 60 })
  })
})

it('says only once that something is the first time, until the limits change', () => {
  const { holds } = new Stand()
  expect([holds.isFirst('a'), holds.isFirst('a'), holds.isFirst('b')]).toEqual([true, false, true])
  holds.change(LIMITS)
  expect(holds.isFirst('a')).toBe(true)
})
