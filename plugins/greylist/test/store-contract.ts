/**
 * What every store of the greylist must do, whatever it keeps its marks in. Each store's own test calls `storeContract`.
 *
 * Times are whole seconds, because a store may keep no finer ones.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Keys } from '../src/keys.ts'
import type { Entry, Policy, Question, State, Store } from '../src/store.ts'

export const SECOND = 1_000
export const HOUR = 3_600_000
export const DAY: number = 24 * HOUR

export const POLICY: Policy = {
  wait: 60 * SECOND,
  window: DAY,
  life: 36 * DAY,
  retries: 1,
  passes: 2,
  spacing: HOUR,
  pending: 50,
}

const keys = new Keys('a secret for tests')

/** The clock of a test; a store that has a clock of its own is given this one. */
export interface TestTime {
  now: number
}

/** A question as the engine would ask it. */
export function question(
  time: TestTime,
  about: {
    readonly origin?: string
    readonly from?: string
    readonly to?: readonly string[]
    readonly policy?: Partial<Policy>
  } = {},
): Question {
  const { origin = 'n:192.0.2.0/24', from = 'sender@example.org', to = ['rcpt@example.com'], policy } = about
  return {
    origin: keys.origin(origin),
    domain: keys.domain(from.slice(from.indexOf('@') + 1)),
    tuples: to.map(recipient => keys.tuple(from, recipient)),
    policy: { ...POLICY, ...policy },
    now: time.now,
  }
}

export async function collect(entries: AsyncIterable<Entry>): Promise<Entry[]> {
  const all: Entry[] = []
  for await (const entry of entries) all.push(entry)
  return all.sort((a, b) => (a.kind < b.kind ? -1 : a.kind > b.kind ? 1 : Buffer.compare(a.origin, b.origin)))
}

export interface OpenStore {
  readonly store: Store
  /** A second way to the same marks, as another worker has it. */
  readonly again: () => Promise<Store>
  readonly end: () => Promise<void>
}

export function storeContract(name: string, open: (time: TestTime) => Promise<OpenStore>): void {
  describe(`${name}: what every store does`, () => {
    const time: TestTime = { now: 0 }
    let opened: OpenStore
    let store: Store
    const check = async (about: Parameters<typeof question>[1] = {}): Promise<State> =>
      (await store.check(question(time, about))).state

    beforeEach(async () => {
      time.now = Date.parse('2026-01-01T00:00:00Z')
      opened = await open(time)
      store = opened.store
    })
    afterEach(() => opened.end())

    test('first sight waits, a retry in time passes and is learned', async () => {
      expect(await store.check(question(time))).toEqual({ state: 'new', mark: null, wait: 60 * SECOND, now: time.now })
      time.now += 20 * SECOND
      const early = await store.check(question(time))
      expect(early).toMatchObject({ state: 'early', wait: 40 * SECOND, mark: { first: time.now - 20 * SECOND } })
      time.now += 40 * SECOND
      expect(await store.check(question(time))).toMatchObject({ state: 'passed', wait: 0 })
      expect(await check()).toBe('domain')
      expect(await check({ from: 'other@example.org', to: ['another@example.com'] })).toBe('domain')
      expect(await check({ from: 'other@example.net' })).toBe('new')
      expect(await check({ origin: 'n:198.51.100.0/24' })).toBe('new')
    })

    test('a retry after the window is new', async () => {
      await check()
      time.now += DAY + SECOND
      expect(await check()).toBe('new')
      time.now += 30 * SECOND
      expect(await check()).toBe('early')
    })

    test('the second pass makes the whole origin known; a suspicious one needs more', async () => {
      await check()
      time.now += 61 * SECOND
      await check()
      time.now += 2 * HOUR
      expect(await check()).toBe('domain')
      expect(await check({ from: 'x@example.net' })).toBe('known')
      expect(await check({ from: 'y@example.net', policy: { passes: 5 } })).toBe('new')
      expect(await check({ from: 'z@example.net', policy: { passes: 0 } })).toBe('new')
    })

    test('what was learned is forgotten after its life, unless it is used', async () => {
      await check()
      time.now += 61 * SECOND
      await check()
      for (let month = 0; month < 3; month++) {
        time.now += 35 * DAY
        expect(['domain', 'known']).toContain(await check())
      }
      time.now += 36 * DAY + 2 * SECOND
      expect(await check()).toBe('new')
    })

    test('one recipient that is old enough lets the transaction pass', async () => {
      await check({ to: ['one@example.com'] })
      time.now += 61 * SECOND
      expect(await check({ to: ['new@example.com', 'one@example.com', 'newer@example.com'] })).toBe('passed')
    })

    test('recipients noted later each have their own time', async () => {
      await check({ to: ['one@example.com'] })
      await store.note(question(time, { to: ['two@example.com', 'one@example.com'] }))
      time.now += 30 * SECOND
      await store.note(question(time, { to: ['three@example.com', 'one@example.com'] }))
      time.now += 30 * SECOND
      expect(await check({ to: ['three@example.com'] })).toBe('early')
      expect(await check({ to: ['two@example.com'] })).toBe('passed')
    })

    test('two retries where two are asked for', async () => {
      const policy = { retries: 2 }
      await check({ policy })
      time.now += 60 * SECOND
      expect(await check({ policy })).toBe('again')
      expect(await check({ policy })).toBe('passed')
    })

    test('an origin with too many pending is put off and nothing is stored', async () => {
      const policy = { pending: 3 }
      for (let i = 0; i < 3; i++) expect(await check({ to: [`r${i}@example.com`], policy })).toBe('new')
      expect(await check({ to: ['r3@example.com'], policy })).toBe('overflow')
      expect((await collect(store.entries(time.now))).filter(({ kind }) => kind === 'tuple')).toHaveLength(3)
      time.now += 61 * SECOND
      expect(await check({ to: ['r3@example.com'], policy })).toBe('overflow')
      expect(await check({ to: ['r0@example.com'], policy })).toBe('passed')
    })

    test('a clock that is set back an hour puts nobody off for longer than the wait', async () => {
      await check()
      time.now -= HOUR
      expect(await check()).toBe('early')
      time.now += 60 * SECOND
      expect(await check()).toBe('passed')
      time.now += HOUR
      expect(await check()).toBe('domain')
      time.now -= 2 * HOUR
      expect(await check()).toBe('known')
    })

    test('a pass earned elsewhere counts like one of its own', async () => {
      await check()
      await store.credit(question(time))
      expect(await check()).toBe('domain')
      await store.credit(question(time, { from: 'a@example.net' }))
      expect(await check({ from: 'b@example.com' })).toBe('known')
    })

    test('looking shows all that is known and changes nothing', async () => {
      await check()
      const seen = await store.look(question(time, { to: ['rcpt@example.com', 'other@example.com'] }))
      expect(seen).toMatchObject({ pin: null, trap: null, origin: null, domain: null, pending: { count: 1 } })
      expect(seen.tuples).toMatchObject([{ first: time.now, count: 0 }, null])
      time.now += 61 * SECOND
      await store.look(question(time))
      expect(await check()).toBe('passed')
      expect(await store.look(question(time))).toMatchObject({
        origin: { count: 1 },
        domain: { count: 1 },
        pending: null,
      })
    })

    test('the postmaster lets an origin pass, until when he says', async () => {
      const { origin } = question(time)
      await store.trap(origin, time.now, time.now + DAY)
      await store.pass(origin, time.now, time.now + HOUR)
      expect(await check()).toBe('pinned')
      time.now += HOUR
      expect(await check()).toBe('new')
    })

    test('a trap stops an origin, forgets what was known of it, and ends', async () => {
      await check()
      time.now += 61 * SECOND
      await check()
      const { origin } = question(time)
      await store.pass(origin, time.now, time.now + 400 * DAY)
      await store.trap(origin, time.now, time.now + DAY)
      expect(await store.check(question(time))).toMatchObject({ state: 'trapped', wait: DAY })
      await store.credit(question(time))
      await store.note(question(time))
      time.now += DAY
      expect(await check()).toBe('new')
    })

    test('an origin is forgotten whole, or one sender domain of it', async () => {
      for (const from of ['a@example.org', 'a@example.net']) await store.credit(question(time, { from }))
      const { origin, domain } = question(time)
      expect(await store.forget(origin, domain)).toBe(1)
      expect(await check({ policy: { passes: 0 } })).toBe('new')
      expect(await check({ from: 'a@example.net', policy: { passes: 0 } })).toBe('domain')
      expect(await store.forget(origin)).toBeGreaterThanOrEqual(3)
      expect(await check({ from: 'a@example.net' })).toBe('new')
      expect(await store.forget(keys.origin('never seen'))).toBe(0)
    })

    test('all marks come out once and go into an empty store as they were', async () => {
      await check()
      await store.credit(question(time, { origin: 'd:example.net', from: 'a@example.net' }))
      await store.trap(keys.origin('a:192.0.2.7'), time.now, time.now + DAY)
      await store.pass(keys.origin('a:192.0.2.8'), time.now, time.now + DAY)
      const entries = await collect(store.entries(time.now))
      expect(entries.map(({ kind }) => kind)).toEqual(['domain', 'origin', 'pending', 'pin', 'trap', 'tuple'])
      for (const { origin } of entries) await store.forget(origin)
      expect(await collect(store.entries(time.now))).toEqual([])
      expect(await store.merge(entries, time.now)).toBe(6)
      expect(await collect(store.entries(time.now))).toEqual(entries)
      time.now += 61 * SECOND
      expect(await check()).toBe('passed')
    })

    test('a merge keeps what speaks for the client, and leaves out what has expired', async () => {
      await check()
      const [mark] = (await collect(store.entries(time.now))).filter(({ kind }) => kind === 'tuple')
      const older = { ...mark!, first: mark!.first - 100 * SECOND }
      const expired = { ...mark!, item: keys.tuple('x', 'y'), expires: time.now }
      expect(await store.merge([older, expired], time.now)).toBe(1)
      expect(await check()).toBe('passed')
    })

    test('the secret is made once for all who share the store', async () => {
      const other = await opened.again()
      const [one, two] = await Promise.all([store.secret(), other.secret()])
      expect(one).toHaveLength(32)
      expect(Buffer.from(two)).toEqual(Buffer.from(one))
      await other.close()
    })

    test('two workers on one key: one of them is first, one retry passes and the other finds it passed', async () => {
      const other = await opened.again()
      const both = async (): Promise<State[]> => {
        const asked = question(time)
        const decided = await Promise.all([store.check(asked), other.check(asked)])
        return decided.map(({ state }) => state).sort()
      }
      for (let round = 0; round < 20; round++) {
        expect(await both()).toEqual(['early', 'new'])
        time.now += 61 * SECOND
        expect(await both()).toEqual(['domain', 'passed'])
        expect((await store.look(question(time))).origin?.count).toBe(1)
        await store.forget(question(time).origin)
      }
      await other.close()
    })

    test('many at once of one origin are counted one by one', async () => {
      const other = await opened.again()
      const asked = Array.from({ length: 40 }, (_, i) =>
        (i % 2 === 0 ? store : other).check(question(time, { to: [`r${i}@example.com`], policy: { pending: 30 } })),
      )
      const states = (await Promise.all(asked)).map(({ state }) => state)
      expect(states.filter(state => state === 'new')).toHaveLength(30)
      expect(states.filter(state => state === 'overflow')).toHaveLength(10)
      await other.close()
    })

    test('numbers are kept, entries are counted', async () => {
      await store.count(new Map([['deferred', 2]]))
      await store.count(new Map([['deferred', 3]]))
      await check()
      const { entries, counters, place } = await store.stats()
      expect(counters.get('deferred')).toBe(5)
      expect(entries).toMatchObject({ tuple: 1, pending: 1, domain: 0 })
      expect(place).not.toBe('')
    })

    test('a call whose signal is aborted decides nothing', async () => {
      await expect(store.check(question(time), AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone')
      expect(await check()).toBe('new')
    })

    test('a store that works says so, one that is closed does not', async () => {
      const other = await opened.again()
      await other.probe()
      await other.close()
      await expect(other.probe()).rejects.toThrow()
    })
  })
}
