import { expect, test } from 'vitest'
import { messageDns } from '../../../src/host/plugin/dns-share.ts'
import { fakeClock, fakeDns } from '../../../src/testing.ts'

const codeOf = (look: Promise<unknown>): Promise<unknown> =>
  look.then(
    () => 'answered',
    (error: { code: string }) => error.code,
  )
const zone = {
  'a.test': { txt: ['x'], mx: [], aaaa: [] },
  'slow.test': 'hang',
  '192.0.2.1': { ptr: ['a.test'] },
} as const

test('a message has so many look-ups, of whatever kind, and each message its own', async () => {
  const dns = fakeDns(zone)
  const share = { clock: fakeClock(), lookups: 4, time: 1000, signal: undefined }
  const view = messageDns(dns, share)
  const looks = [
    view.txt('a.test'),
    view.mx('a.test'),
    view.ptr('192.0.2.1'),
    view.a('a.test'),
    view.forMessage().aaaa('a.test'),
  ]
  expect(await Promise.all(looks.map(codeOf))).toEqual(['answered', 'answered', 'answered', 'ENODATA', 'EBUDGET'])
  expect(dns.calls).toHaveLength(4)
  expect(await codeOf(messageDns(dns, share).aaaa('a.test'))).toBe('answered')
})

test('a message has so much time in look-ups; what passes between them does not count', async () => {
  const clock = fakeClock()
  const view = messageDns(fakeDns(zone), { clock, lookups: 100, time: 10_000, signal: undefined })
  const slow = codeOf(view.txt('slow.test', AbortSignal.timeout(0)))
  expect(await slow).toBe('ECANCELLED')
  await clock.advance('1h')
  const both = [codeOf(view.a('slow.test')), codeOf(view.txt('slow.test'))]
  await clock.advance(9)
  expect(await codeOf(view.txt('a.test'))).toBe('answered')
  const late = codeOf(view.mx('slow.test'))
  await clock.advance(1)
  expect(await Promise.all([...both, late])).toEqual(['EBUDGET', 'EBUDGET', 'EBUDGET'])
  expect(await codeOf(view.txt('a.test'))).toBe('EBUDGET')
  expect(clock.pending).toBe(0)
})

test('the signal of the message ends all of its look-ups', async () => {
  const controller = new AbortController()
  const view = messageDns(fakeDns(zone), { clock: fakeClock(), lookups: 9, time: 9000, signal: controller.signal })
  const looks = [codeOf(view.a('slow.test')), codeOf(view.txt('slow.test', new AbortController().signal))]
  controller.abort()
  expect(await Promise.all(looks)).toEqual(['ECANCELLED', 'ECANCELLED'])
})
