import { fakeClock } from 'milterhost/testing'
import { afterEach, describe, expect, test } from 'vitest'
import { EmbeddedStore } from '../src/embedded.ts'
import type { Entry, Store } from '../src/store.ts'
import { StoreDown, StoreGuard } from '../src/store-guard.ts'
import { collect, HOUR, question, SECOND } from './store-contract.ts'

/** A real store that fails, hangs or works as a test says. */
class Unreliable extends EmbeddedStore {
  override readonly name: string = 'shared'
  mode: 'works' | 'fails' | 'hangs' = 'works'
  calls = 0
  merged: Entry[] = []
  mergeFails = 0

  #gate<T>(call: () => Promise<T>): Promise<T> {
    this.calls++
    if (this.mode === 'hangs') return new Promise(() => {})
    return this.mode === 'fails' ? Promise.reject(new Error('connection refused')) : call()
  }

  override check(...given: Parameters<Store['check']>): ReturnType<Store['check']> {
    return this.#gate(() => super.check(...given))
  }

  override secret(): Promise<Uint8Array> {
    return this.#gate(() => super.secret())
  }

  override probe(): Promise<void> {
    return this.#gate(() => super.probe())
  }

  override merge(...[entries, now]: Parameters<Store['merge']>): Promise<number> {
    return this.#gate(async () => {
      if (this.mergeFails-- > 0) throw new Error('connection lost')
      this.merged.push(...entries)
      return super.merge(entries, now)
    })
  }
}

const opened: StoreGuard[] = []
afterEach(async () => {
  for (const guard of opened.splice(0)) await guard.close()
})

function start({ local = false } = {}) {
  const clock = fakeClock()
  const lines: string[] = []
  const tell = (_: object, message: string): unknown => lines.push(message)
  const file = { path: ':memory:', sweepEvery: 0, now: clock.now, problem: tell }
  const shared = new Unreliable(file)
  const standIn = local ? new EmbeddedStore(file) : null
  const guard = new StoreGuard({
    store: shared,
    local: standIn,
    limit: 300,
    problem: tell,
    note: tell,
    now: clock.now,
    monotonic: clock.monotonic,
    after: clock.after,
  })
  opened.push(guard)
  const time = {
    get now() {
      return clock.now()
    },
  }
  const check = (to = 'rcpt@example.com') => guard.run(store => store.check(question(time, { to: [to] })))
  return { clock, lines, shared, standIn, guard, check, time }
}

describe('a store that is down', () => {
  test('is told, and after five failures left alone', async () => {
    const { check, shared, guard, lines } = start()
    shared.mode = 'fails'
    for (let i = 0; i < 8; i++) await expect(check()).rejects.toThrow(StoreDown)
    expect(shared.calls).toBe(5)
    expect(guard.down).toBe(true)
    expect(lines.filter(line => line === 'the greylist store failed')).toHaveLength(5)
    expect(lines).toContain('the greylist store is down: it is left alone until it works again')
  })

  test('is asked again every five seconds by a probe, never by mail, and used when it works', async () => {
    const { check, shared, guard, clock, lines } = start()
    shared.mode = 'fails'
    for (let i = 0; i < 5; i++) await expect(check()).rejects.toThrow(StoreDown)
    await clock.advance('4s')
    expect(shared.calls).toBe(5)
    await clock.advance('11s')
    expect(shared.calls).toBe(8)
    shared.mode = 'works'
    await expect(check()).rejects.toThrow(StoreDown)
    await clock.advance('5s')
    expect(guard.down).toBe(false)
    expect((await check()).value.state).toBe('new')
    expect(lines.at(-1)).toBe('the greylist store works again')
  })

  test('failures far apart do not open the breaker', async () => {
    const { check, shared, guard, clock } = start()
    shared.mode = 'fails'
    for (let i = 0; i < 12; i++) {
      await expect(check()).rejects.toThrow(StoreDown)
      await clock.advance('3s')
    }
    expect(guard.down).toBe(false)
  })

  test('that never answers costs the limit and no more; later it costs nothing', async () => {
    const { check, shared, clock } = start()
    shared.mode = 'hangs'
    for (let i = 0; i < 5; i++) {
      const asked = check()
      const failed = expect(asked).rejects.toThrow('no answer in 300 ms')
      await clock.advance(0.3)
      await failed
    }
    await expect(check()).rejects.toThrow('left alone')
    expect(shared.calls).toBe(5)
  })

  test('is not blamed for a client that has gone', async () => {
    const { guard, shared } = start()
    const gone = AbortSignal.abort(new Error('client left'))
    for (let i = 0; i < 10; i++)
      await expect(guard.run(() => Promise.reject(new Error('aborted')), gone)).rejects.toThrow('client left')
    expect(guard.down).toBe(false)
    expect(shared.calls).toBe(0)
  })
})

describe('with a local store', () => {
  test('that one answers, and what it learned is merged when the store is back, each mark once', async () => {
    const { check, shared, standIn, clock, lines } = start({ local: true })
    await check('before@example.com')
    shared.mode = 'fails'
    for (let i = 0; i < 6; i++) expect(await check()).toMatchObject({ store: 'embedded for shared' })
    await clock.advance('10m')
    expect((await check()).value.state).toBe('passed')
    shared.mode = 'works'
    await clock.advance('5s')
    await expect.poll(() => lines.at(-1)).toBe('what was greylisted while the store was down has been merged')
    expect(await collect(standIn!.entries(clock.now()))).toEqual([])
    expect(shared.merged.map(({ kind }) => kind).sort()).toEqual(['domain', 'origin'])
    expect(await check()).toMatchObject({ value: { state: 'domain' }, store: 'shared' })
  })

  test('a merge that breaks off loses nothing and is tried again later', async () => {
    const { check, shared, standIn, clock, lines } = start({ local: true })
    shared.mode = 'fails'
    for (let i = 0; i < 6; i++) await check(`r${i}@example.com`)
    shared.mode = 'works'
    shared.mergeFails = 1
    await clock.advance('5s')
    await expect.poll(() => lines.at(-1)).toBe('merging into the greylist store failed, later again')
    expect(await collect(standIn!.entries(clock.now()))).toHaveLength(7)
    await check('r0@example.com')
    expect(shared.merged).toEqual([])
    await clock.advance('30s')
    await check('r0@example.com')
    await expect.poll(async () => (await collect(standIn!.entries(clock.now()))).length).toBe(0)
    expect(shared.merged).toHaveLength(7)
  })

  test('what an earlier run left there is merged at the first success', async () => {
    const { check, shared, standIn, time } = start({ local: true })
    await standIn!.check(question(time, { origin: 'n:198.51.100.0/24' }))
    await check()
    await expect.poll(() => shared.merged.length).toBe(2)
  })

  test('the store’s own earlier mark counts: the wait is not begun again by an outage', async () => {
    const { check, shared, standIn, clock } = start({ local: true })
    await check()
    await clock.advance('50s')
    shared.mode = 'fails'
    for (let i = 0; i < 5; i++) expect((await check()).value.state).toBe(i === 0 ? 'new' : 'early')
    shared.mode = 'works'
    await clock.advance('10s')
    await expect.poll(async () => (await collect(standIn!.entries(clock.now()))).length).toBe(0)
    expect((await check()).value.state).toBe('passed')
  })

  test('the secret is that of the store, also while it is down', async () => {
    const { guard, shared, clock } = start({ local: true })
    const secret = await guard.secret()
    shared.mode = 'fails'
    expect(Buffer.from(await guard.secret())).toEqual(Buffer.from(secret))
    await clock.advance(HOUR / SECOND)
    expect(Buffer.from(await guard.secret())).toEqual(Buffer.from(secret))
  })

  test('when both fail nobody is left to ask', async () => {
    const { check, shared, standIn } = start({ local: true })
    shared.mode = 'fails'
    await standIn!.close()
    await expect(check()).rejects.toThrow(StoreDown)
  })
})
