import { describe, expect, it } from 'vitest'
import { formatDuration, parseDuration } from '../../../src/host/config/duration.ts'

describe('a duration', () => {
  it.each([
    ['30s', 30_000],
    ['5m', 300_000],
    ['1h30m', 5_400_000],
    ['250ms', 250],
    ['1.5m', 90_000],
    ['2d', 172_800_000],
    [' 10S ', 10_000],
    [30, 30_000],
    [0.25, 250],
  ])('%j is %d ms', (written, milliseconds) => {
    expect(parseDuration(written)).toBe(milliseconds)
  })

  it('of a bare number is seconds and never milliseconds', () => {
    expect(parseDuration(5_000)).toBe(5_000_000)
  })

  it.each([
    ['30', 'must say its unit: "30s" is seconds, "30m" minutes'],
    ['half an hour', 'must be a length of time such as "30s", "5m" or a number of seconds, not "half an hour"'],
    ['', 'must be a length of time such as "30s", "5m" or a number of seconds, not ""'],
    ['-5s', 'must be a length of time such as "30s", "5m" or a number of seconds, not "-5s"'],
    [-5, 'must be longer than zero, not -5'],
    ['0s', 'must be longer than zero, not "0s"'],
    [Number.NaN, 'must be a length of time such as "30s", "5m" or a number of seconds, not NaN'],
    [Number.POSITIVE_INFINITY, 'must be at most 24 days, not Infinity'],
    ['30d', 'must be at most 24 days, not "30d"'],
    [null, 'must be a length of time such as "30s", "5m" or a number of seconds, not null'],
  ])('%j is refused', (written, message) => {
    expect(() => parseDuration(written)).toThrow(new RangeError(message))
  })

  it('beyond a limit of one’s own is refused with that limit', () => {
    expect(() => parseDuration('2m', 60_000)).toThrow('must be at most 1m, not "2m"')
    expect(() => parseDuration('11d', 10 * 86_400_000)).toThrow('must be at most 10 days, not "11d"')
  })

  it.each([
    [30_000, '30s'],
    [300_000, '5m'],
    [5_400_000, '1h30m'],
    [250, '250ms'],
    [0, '0s'],
  ])('of %d ms is shown as %s', (milliseconds, shown) => {
    expect(formatDuration(milliseconds)).toBe(shown)
  })
})
