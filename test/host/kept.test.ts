import { expect, test } from 'vitest'
import { Kept } from '../../src/host/kept.ts'

const thing = (): { closed: number; close(): Promise<void> } => ({
  closed: 0,
  async close() {
    this.closed += 1
  },
})

test('what two lease is one thing, closed when the last gives it back', async () => {
  const kept = new Kept()
  const one = kept.lease('a', thing)
  const other = kept.lease('a', thing)
  expect(other.value).toBe(one.value)
  await one.release()
  expect(one.value.closed).toBe(0)
  await other.release()
  expect(one.value.closed).toBe(1)
})

test('other keys are other things, and what was closed is made anew', async () => {
  const kept = new Kept()
  const one = kept.lease('a', thing)
  expect(kept.lease('b', thing).value).not.toBe(one.value)
  await one.release()
  expect(kept.lease('a', thing).value).not.toBe(one.value)
})

test('one that is made while the one before it is being closed is told when that is over, also when it failed', async () => {
  const kept = new Kept()
  const { promise, reject } = Promise.withResolvers<void>()
  const first = kept.lease('a', former => ({ former, close: () => promise }))
  expect(first.value.former).toBeNull()
  const released = first.release()
  const second = kept.lease('a', former => ({ former, close: async () => {} }))
  let over = false
  const told = second.value.former!.then(() => {
    over = true
  })
  await Promise.resolve()
  expect(over).toBe(false)
  reject(new Error('it does not end'))
  await expect(released).rejects.toThrow('it does not end')
  await told
  expect(kept.lease('b', former => ({ former, close: async () => {} })).value.former).toBeNull()
  await second.release()
})
