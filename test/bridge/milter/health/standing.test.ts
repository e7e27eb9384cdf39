/**
 * The state of a milter and the breaker as a table of what happened and when, without a milter.
 */
import { describe, expect, test } from 'vitest'
import { Standing } from '../../../../src/bridge/milter/health/standing.ts'
import type { Trouble, TroubleKind } from '../../../../src/bridge/milter/health/trouble.ts'

const trouble = (kind: TroubleKind, reason = `it is ${kind}`): Trouble => ({ kind, code: 'X', reason })
const make = (): Standing => new Standing(1_000, () => 0.5)
const times = (n: number, act: () => void): void => {
  for (let i = 0; i < n; i++) act()
}

/** So many failures at work in a row, one a second. */
const lapses = (standing: Standing, n: number): void => {
  for (let i = 0; i < n; i++) standing.lapsed(trouble('broken'), i * 1_000, 0)
}

describe('the state', () => {
  test('is unknown at first, and mail may try', () => {
    const standing = make()
    expect(standing.health).toEqual({ state: 'unknown', reason: 'it has not been asked yet', since: 1_000 })
    expect(standing.admits(0)).toBe(true)
  })

  test.each<[TroubleKind, string]>([
    ['absent', 'down'],
    ['silent', 'wedged'],
    ['disagreeing', 'failing'],
  ])('of a milter whose probe finds it %s is %s', (kind, state) => {
    const standing = make()
    expect(standing.probeFailed(trouble(kind), 5_000)).toBe(true)
    expect(standing.health).toEqual({ state, reason: `it is ${kind}`, since: 5_000 })
  })

  test('keeps its time while only the reason is new', () => {
    const standing = make()
    standing.probeFailed(trouble('absent', 'ECONNREFUSED'), 5_000)
    expect(standing.probeFailed(trouble('absent', 'ENOENT'), 9_000)).toBe(false)
    expect(standing.health).toEqual({ state: 'down', reason: 'ENOENT', since: 5_000 })
    expect(standing.probed(12_000)).toBe(true)
    expect(standing.health).toEqual({ state: 'up', reason: 'it answers', since: 12_000 })
  })

  test('does not change by one failure of a session: a probe decides', () => {
    const standing = make()
    standing.probed(2_000)
    standing.unmet()
    expect(standing.lapsed(trouble('broken'), 0, 3_000)).toBe(false)
    expect(standing.state).toBe('up')
    expect(standing.clean).toBe(false)
    expect(standing.open).toBe(false)
  })

  test('of a milter that is being started stays so while it is not there yet, and not when it is wedged', () => {
    const standing = make()
    standing.starting('by hand', 2_000)
    expect(standing.probeFailed(trouble('absent'), 3_000)).toBe(false)
    expect(standing.state).toBe('starting')
    expect(standing.probeFailed(trouble('silent'), 4_000)).toBe(true)
    expect(standing.state).toBe('wedged')
    expect(standing.notStarted('exit 1', 5_000)).toBe(true)
    expect(standing.health.reason).toBe('exit 1')
  })
})

describe('the breaker', () => {
  test('opens at the fourth attempt in a row that could not meet the milter, whoever made them', () => {
    const standing = make()
    standing.unmet()
    standing.probeFailed(trouble('absent'), 0)
    standing.unmet()
    expect(standing.admits(0)).toBe(true)
    standing.probeFailed(trouble('absent'), 0)
    expect(standing.admits(1e9)).toBe(false)
  })

  test('opens at the first probe that is not answered', () => {
    const standing = make()
    standing.probeFailed(trouble('silent'), 0)
    expect(standing.admits(1e9)).toBe(false)
  })

  test.each<[string, (standing: Standing) => void]>([
    ['a probe that is answered', standing => standing.probed(0)],
    ['an answer to a session', standing => standing.worked(0)],
  ])('is closed by %s', (_what, act) => {
    const standing = make()
    times(9, () => standing.probeFailed(trouble('silent'), 0))
    act(standing)
    expect(standing.admits(0)).toBe(true)
    expect(standing.clean).toBe(true)
  })

  test('opens at the fourth failure at work in a row, and then lets one try from time to time', () => {
    const standing = make()
    standing.probed(0)
    lapses(standing, 3)
    expect(standing.admits(3_000)).toBe(true)
    expect(standing.lapsed(trouble('late', 'too late'), 3_000, 7_000)).toBe(true)
    expect(standing.health).toEqual({
      state: 'failing',
      reason: '4 failures in a row, the last: too late',
      since: 7_000,
    })
    expect(standing.admits(3_999)).toBe(false)
    expect(standing.admits(4_000)).toBe(true)
    expect(standing.admits(4_000)).toBe(false)
    expect(standing.admits(5_999)).toBe(false)
    expect(standing.admits(6_000)).toBe(true)
  })

  test('takes failures at work within a second for one', () => {
    const standing = make()
    standing.probed(0)
    times(50, () => standing.lapsed(trouble('broken'), 0, 0))
    times(50, () => standing.lapsed(trouble('late'), 999, 0))
    expect(standing.clean).toBe(false)
    expect(standing.open).toBe(false)
  })

  test('is not closed by a probe when the milter fails at its work, but by work', () => {
    const standing = make()
    standing.probed(0)
    lapses(standing, 4)
    standing.probed(0)
    expect(standing.state).toBe('failing')
    expect(standing.admits(0)).toBe(false)
    expect(standing.worked(0)).toBe(true)
    expect(standing.admits(0)).toBe(true)
  })

  test('has forgotten failures at work of a milter that went away in between: it is another one now', () => {
    const standing = make()
    lapses(standing, 4)
    standing.probeFailed(trouble('absent'), 0)
    expect(standing.lapsed(trouble('broken'), 9_000, 0)).toBe(false)
    expect(standing.state).toBe('down')
    standing.probed(0)
    expect(standing.clean).toBe(true)
  })

  test('does not add up failures at work that lie ten minutes apart', () => {
    const standing = make()
    standing.probed(0)
    for (let i = 1; i <= 20; i++) standing.lapsed(trouble('broken'), i * 601_000, 0)
    expect(standing.open).toBe(false)
  })
})
