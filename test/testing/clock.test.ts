import { expect, test } from 'vitest'
import { fakeClock } from '../../src/testing.ts'

test('time stands still until it is moved', async () => {
  const clock = fakeClock('2026-03-01T12:00:00Z')
  expect(clock.now()).toBe(Date.UTC(2026, 2, 1, 12))
  await clock.advance('5m')
  expect(clock.now()).toBe(Date.UTC(2026, 2, 1, 12, 5))
  expect(clock.monotonic()).toBe(300_000)
})

test('a number is seconds', async () => {
  const clock = fakeClock()
  await clock.advance(1.5)
  expect(clock.monotonic()).toBe(1500)
})

test('timers fire in the order of their times, and those of one time in the order they were set', async () => {
  const clock = fakeClock()
  const fired: string[] = []
  clock.after(2000, () => fired.push(`late at ${clock.monotonic()}`))
  clock.after(1000, () => fired.push(`first at ${clock.monotonic()}`))
  clock.after(1000, () => fired.push(`second at ${clock.monotonic()}`))
  clock.after(9000, () => fired.push('never'))
  await clock.advance(3)
  expect(fired).toEqual(['first at 1000', 'second at 1000', 'late at 2000'])
  expect(clock.pending).toBe(1)
})

test('what a timer sets going runs before the next one fires, timers it sets included', async () => {
  const clock = fakeClock()
  const seen: string[] = []
  const wait = (seconds: number): Promise<void> => new Promise(resolve => clock.after(seconds * 1000, resolve))
  void (async () => {
    await wait(1)
    seen.push(`a ${clock.monotonic()}`)
    await wait(1)
    seen.push(`b ${clock.monotonic()}`)
  })()
  clock.after(1500, () => seen.push('between'))
  await clock.advance(2)
  expect(seen).toEqual(['a 1000', 'between', 'b 2000'])
})

test('a cancelled timer does not fire', async () => {
  const clock = fakeClock()
  const cancel = clock.after(1000, () => expect.unreachable())
  cancel()
  await clock.advance('1h')
  expect(clock.pending).toBe(0)
})

test('a start that is no time is refused', () => {
  expect(() => fakeClock('soon')).toThrow(RangeError)
})
