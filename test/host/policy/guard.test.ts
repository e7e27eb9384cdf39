import { expect, test } from 'vitest'
import { z } from 'zod'
import { guardedEntry } from '../../../src/host/policy/guard.ts'
import { type Found, isLookupEntry, KeyRefused, type Lookup } from '../../../src/host/policy/lookup.ts'
import { readLookupOptions } from '../../../src/host/policy/lookup-options.ts'
import { OpenedLookups } from '../../../src/host/policy/opened.ts'
import { bench, guardedLookup, never } from './support.ts'

const codeOf = async (run: Promise<unknown> | unknown): Promise<unknown> => {
  try {
    return await run
  } catch (error) {
    return (error as { readonly code?: string }).code ?? error
  }
}
const at = async (lookup: Lookup, key: string): Promise<Found<unknown>> => lookup.find(key, never)

test('an answer holds for its time, then the source is asked again', async () => {
  const { around, clock } = bench()
  let asked = 0
  const lookup = await guardedLookup(around, async key => `${key} ${++asked}`, { cache: { ttl: '1m' } })
  expect(await at(lookup, 'a')).toEqual({ value: 'a 1', key: 'a', source: 'test', from: 'source', age: 0 })
  await clock.advance('59s')
  expect(lookup.find('a', never)).toEqual({ value: 'a 1', key: 'a', source: 'test', from: 'cache', age: 59_000 })
  await clock.advance('1s')
  expect((await at(lookup, 'a')).value).toBe('a 2')
})

test('"nothing there" holds for a time of its own', async () => {
  const { around, clock } = bench()
  let asked = 0
  const lookup = await guardedLookup(around, async () => (++asked > 0 ? null : 'never'), {
    cache: { ttl: '1m', negative: '10s' },
  })
  expect((await at(lookup, 'a')).value).toBeNull()
  await clock.advance('9s')
  expect(await at(lookup, 'a')).toMatchObject({ value: null, from: 'cache', age: 9_000 })
  await clock.advance('1s')
  await at(lookup, 'a')
  expect(asked).toBe(2)
})

test('the cache keeps the keys used last, and no more than its size', async () => {
  const { around } = bench()
  const asked: string[] = []
  const lookup = await guardedLookup(around, async key => asked.push(key) > 0 && key, { cache: { size: 2 } })
  for (const key of ['a', 'b', 'a', 'c', 'a', 'b']) await at(lookup, key)
  expect(asked).toEqual(['a', 'b', 'c', 'b'])
  expect(lookup.health().cached).toBe(2)
})

test('with cache: false the source is asked each time', async () => {
  const { around } = bench()
  let asked = 0
  const lookup = await guardedLookup(around, () => ++asked, { cache: false })
  lookup.find('a', never)
  expect(lookup.find('a', never)).toMatchObject({ value: 2, from: 'source' })
})

test('callers with the same key share one call', async () => {
  const { around } = bench()
  const calls: PromiseWithResolvers<string>[] = []
  const lookup = await guardedLookup(around, () => calls[calls.push(Promise.withResolvers()) - 1]!.promise)
  const all = ['a', 'a', 'b', 'a'].map(key => lookup.find(key, never))
  expect(calls.length).toBe(2)
  calls[0]!.resolve('first')
  calls[1]!.resolve('second')
  expect((await Promise.all(all)).map(({ value }) => value)).toEqual(['first', 'first', 'second', 'first'])
})

test('a caller that goes does not end the call: the answer fills the cache', async () => {
  const { around, clock } = bench()
  const call = Promise.withResolvers<string>()
  const lookup = await guardedLookup(around, () => call.promise)
  const gone = new AbortController()
  const left = codeOf(lookup.find('a', gone.signal))
  const stays = lookup.find('a', never)
  const reason = new Error('client left')
  gone.abort(reason)
  expect(await left).toBe(reason)
  call.resolve('here')
  expect(await stays).toMatchObject({ value: 'here' })
  await clock.advance('1s')
  expect(lookup.find('a', never)).toMatchObject({ value: 'here', from: 'cache' })
  expect(await codeOf(lookup.find('b', gone.signal))).toBe(reason)
})

test('what does not answer in time is given up and its signal aborted', async () => {
  const { around, clock } = bench()
  let signal = never
  const hang = (_: string, given: AbortSignal): Promise<never> => {
    signal = given
    return new Promise(() => {})
  }
  const lookup = await guardedLookup(around, hang, { timeout: '2s' })
  const answer = codeOf(lookup.find('a', never))
  await clock.advance('1999ms')
  expect(signal.aborted).toBe(false)
  await clock.advance('1ms')
  expect(await answer).toBe('LOOKUP_TIMEOUT')
  expect(signal.aborted).toBe(true)
  expect(clock.pending).toBe(0)
})

test('a source that fails again and again is left alone, then tried once, then used again', async () => {
  const { around, clock, said } = bench()
  let broken = true
  let asked = 0
  const lookup = await guardedLookup(
    around,
    async () => {
      asked += 1
      if (broken) throw new Error('connection refused')
      return 'fine'
    },
    { breaker: { failures: 3, pause: '5s' }, cache: false },
  )
  const codes = []
  for (let i = 0; i < 5; i++) codes.push(await codeOf(lookup.find(`k${i}`, never)))
  expect(codes).toEqual(['LOOKUP_FAILED', 'LOOKUP_FAILED', 'LOOKUP_FAILED', 'LOOKUP_PAUSED', 'LOOKUP_PAUSED'])
  expect(asked).toBe(3)
  expect(lookup.health()).toMatchObject({ state: 'paused', failures: 3 })
  await clock.advance('5s')
  // One tries; those that come meanwhile do not wait for it.
  const both = await Promise.all([codeOf(lookup.find('x', never)), codeOf(lookup.find('y', never))])
  expect(both).toEqual(['LOOKUP_FAILED', 'LOOKUP_PAUSED'])
  expect(asked).toBe(4)
  await clock.advance('5s')
  broken = false
  expect(await at(lookup, 'x')).toMatchObject({ value: 'fine' })
  expect(await at(lookup, 'y')).toMatchObject({ value: 'fine' })
  expect(lookup.health()).toMatchObject({ state: 'working', failures: 0, lastError: null })
  expect(said).toContain('info a look-up works again')
})

test('the message of a pause says what went wrong', async () => {
  const { around } = bench()
  const fails = async (): Promise<never> => {
    throw new AggregateError([new Error('connect ECONNREFUSED 127.0.0.1:5432')])
  }
  const lookup = await guardedLookup(around, fails, { breaker: { failures: 1 } })
  await codeOf(lookup.find('a', never))
  await expect(Promise.resolve(lookup.find('a', never))).rejects.toThrow(/1 times in a row.*ECONNREFUSED/)
})

test.each([
  ['fail' as const, 'LOOKUP_FAILED'],
  ['none' as const, { value: null, from: 'onError' }],
  [{ value: 'off' }, { value: 'off', from: 'onError' }],
])('onError %o', async (onError, expected) => {
  const { around, said, counts } = bench()
  const fails = (): never => {
    throw new Error('no')
  }
  const lookup = await guardedLookup<string>(around, fails, { onError })
  const answer = await codeOf(lookup.find('a', never))
  if (typeof expected === 'string') {
    expect(answer).toBe(expected)
    expect(counts()).toEqual({ failed: 1 })
  } else {
    expect(answer).toMatchObject(expected)
    expect((answer as Found<string>).error?.message).toContain('no')
    expect(counts()).toEqual({ onError: 1 })
    expect(said).toEqual(['warn a look-up failed: onError serves'])
  }
})

test('onError stale gives the last known answer, and fails where there is none or it is too old', async () => {
  const { around, clock } = bench()
  let broken = false
  const get = async (key: string): Promise<string> => {
    if (broken) throw new Error('down')
    return key
  }
  const lookup = await guardedLookup(around, get, { onError: 'stale', cache: { ttl: '1m', stale: '1h' } })
  await at(lookup, 'a')
  broken = true
  await clock.advance('10m')
  expect(await at(lookup, 'a')).toMatchObject({ value: 'a', from: 'stale', age: 600_000 })
  expect(await codeOf(lookup.find('b', never))).toBe('LOOKUP_FAILED')
  await clock.advance('50m')
  expect(await codeOf(lookup.find('a', never))).toBe('LOOKUP_FAILED')
})

test('a fail-open is logged, but not once for each mail', async () => {
  const { around, said, counts } = bench()
  const fails = async (): Promise<never> => {
    throw new Error('down')
  }
  const lookup = await guardedLookup(around, fails, { onError: 'none' })
  for (let i = 0; i < 100; i++) await at(lookup, `k${i}`)
  expect(counts()).toEqual({ onError: 100 })
  expect(said.length).toBeLessThan(20)
})

test('a value is what its schema makes of it, and an error where the schema refuses it', async () => {
  const { around } = bench()
  const schema = z.object({ limit: z.coerce.number() })
  const get = async (key: string): Promise<unknown> => ({ limit: key === 'good' ? '10' : 'ten' })
  const lookup = await guardedLookup(around, get, { schema, breaker: { failures: 1 } })
  const { value } = (await at(lookup, 'good')) as Found<{ limit: number }>
  expect(value?.limit).toBe(10)
  expect(await codeOf(lookup.find('bad', never))).toBe('LOOKUP_VALUE')
  // It is the entry that is wrong, not the source.
  expect(lookup.health().state).toBe('working')
})

test('a key that the backend cannot take is no reason to leave the backend alone', async () => {
  const { around } = bench()
  const get = async (): Promise<never> => {
    throw new KeyRefused('no number')
  }
  const lookup = await guardedLookup(around, get, { breaker: { failures: 1 } })
  expect(await codeOf(lookup.find('a', never))).toBe('LOOKUP_FAILED')
  expect(await codeOf(lookup.find('b', never))).toBe('LOOKUP_FAILED')
  expect(lookup.health().state).toBe('working')
})

test.each(['', 'a\0b', 'a\nb', 'x'.repeat(513), 'a\ud800'])('the key %j is never sent to a source', async key => {
  const { around, counts } = bench()
  const lookup = await guardedLookup(around, () => expect.unreachable())
  expect(lookup.find(key, never)).toMatchObject({ value: null })
  expect(counts()).toEqual({ unaskable: 1 })
})

test('a source in memory answers in the same tick, with the age of the table', async () => {
  const { around, clock } = bench()
  const readAt = clock.now()
  const lookup = await guardedLookup(around, () => 'x', { cache: false }, { readAt: () => readAt })
  await clock.advance('7s')
  expect(lookup.find('a', never)).toEqual({ value: 'x', key: 'a', source: 'test', from: 'source', age: 7_000 })
})

test('closing ends what is underway and then closes the source', async () => {
  const { around, clock } = bench()
  let closed = 0
  const close = (): void => {
    closed += 1
  }
  const lookup = await guardedLookup(around, () => new Promise(() => {}), {}, { close })
  const answer = codeOf(lookup.find('a', never))
  await lookup.close()
  expect(await answer).toBe('LOOKUP_FAILED')
  expect(closed).toBe(1)
  expect(await codeOf(lookup.find('b', never))).toBe('LOOKUP_FAILED')
  expect(clock.pending).toBe(0)
})

test('a probe asks past the cache and has the deadline too', async () => {
  const { around, clock } = bench()
  const lookup = await guardedLookup(around, () => 'x', { timeout: '3s' }, { probe: () => new Promise(() => {}) })
  const probing = codeOf(lookup.probe(never))
  await clock.advance('3s')
  expect(await probing).toBe('LOOKUP_TIMEOUT')
  const gone = AbortSignal.abort(new Error('enough'))
  expect(await codeOf(lookup.probe(gone))).toEqual(new Error('enough'))
})

test('an entry is opened once for each generation, and all are closed though one fails to', async () => {
  const { around, said } = bench()
  const opened: string[] = []
  const closed: string[] = []
  const entry = (name: string): ReturnType<typeof guardedEntry> => {
    const { settings } = readLookupOptions('test', {}, { name }, false)
    return guardedEntry(name, settings, () => {
      opened.push(name)
      const close = (): void => {
        closed.push(name)
        if (name === 'a') throw new Error('stuck')
      }
      return { get: () => name, probe: () => {}, close }
    })
  }
  const [a, b] = [entry('a'), entry('b')]
  expect([isLookupEntry(a), isLookupEntry({}), isLookupEntry(null)]).toEqual([true, false, false])
  const lookups = new OpenedLookups(around)
  expect(await lookups.open(a)).toBe(await lookups.open(a))
  await lookups.open(b)
  expect(opened).toEqual(['a', 'b'])
  expect((await lookups.all()).map(({ name }) => name)).toEqual(['a', 'b'])
  await lookups.close()
  expect(closed).toEqual(['a', 'b'])
  expect(said).toEqual(['error a look-up did not close cleanly'])
})

test('every mistake in the options is named', () => {
  const wrong = { tiemout: 3, cache: { ttl: 'soon' }, onError: 'open', breaker: { pauze: 1 }, schema: 1 }
  const read = (): unknown => readLookupOptions('sql', {}, wrong, false)
  for (const part of [/look-up sql/, /tiemout.*did you mean "timeout"/, /cache/, /onError/, /pauze.*"pause"/, /schema/])
    expect(read).toThrow(part)
})
