import { describe, expect, onTestFinished, test } from 'vitest'
import { Chance, SEED } from '../../../../test/interop/differential/random.ts'
import { requirePrograms } from '../../../../test/interop/harness/index.ts'
import { EmbeddedStore } from '../../src/embedded.ts'
import { RedisStore } from '../../src/redis.ts'
import { readRedis } from '../../src/redis-options.ts'
import type { Mark, Question, Seen, Store } from '../../src/store.ts'
import { DAY, HOUR, question, SECOND, type TestTime } from '../store-contract.ts'
import { startRedis } from './servers.ts'

const unexpected = (fields: object, message: string): never => {
  throw new Error(`${message} ${JSON.stringify(fields)}`)
}

/** What has expired may have been cleared away or not. */
function alive(seen: Seen, now: number): object {
  const live = (mark: Mark | null): Mark | null => (mark !== null && mark.expires > now ? mark : null)
  const { tuples, ...own } = seen
  return {
    ...Object.fromEntries(Object.entries(own).map(([kind, mark]) => [kind, live(mark)])),
    tuples: tuples.map(live),
  }
}

requirePrograms('redis')('Redis and the embedded store', () => {
  describe(`decide the same in every history (seed ${SEED})`, () => {
    test.for([1, 2, 3, 4])('history %i', async part => {
      const { url } = await startRedis('--appendonly', 'no')
      const chance = new Chance(SEED + part)
      const time: TestTime = { now: Date.parse('2026-01-01T00:00:00.250Z') }
      const redis = new RedisStore({
        target: readRedis({ url, timeout: '10s' }),
        clock: () => time.now,
        problem: unexpected,
      })
      const embedded = new EmbeddedStore({
        path: ':memory:',
        sweepEvery: 0,
        now: () => time.now,
        problem: unexpected,
      })
      onTestFinished(async () => {
        await redis.close()
        await embedded.close()
      })
      const policies: Partial<Question['policy']>[] = [
        {},
        { retries: 2, passes: 5, pending: 4 },
        { passes: 0, life: 2 * DAY, window: 2 * HOUR, pending: 2 },
      ]
      const ask = (): Question =>
        question(time, {
          origin: `n:192.0.2.${chance.below(3)}`,
          from: `s@${chance.below(3)}.example`,
          to: chance
            .some(1, 4, () => `r${chance.below(6)}@example.com`)
            .filter((to, at, all) => all.indexOf(to) === at),
          policy: chance.of(...policies),
        })
      const both = async <T>(call: (store: Store) => Promise<T>): Promise<[T, T]> => [
        await call(embedded),
        await call(redis),
      ]
      let latest = time.now
      for (let step = 0; step < 700; step++) {
        if (chance.oneIn(40)) time.now += 30 * DAY
        time.now += chance.of(0, 500, 20 * SECOND, 61 * SECOND, HOUR, HOUR + SECOND, 5 * HOUR, -HOUR, -30 * SECOND)
        // A clock that is further back than an hour may find what Redis has already cleared away.
        latest = Math.max(latest, time.now)
        time.now = Math.max(time.now, latest - HOUR)
        const asked = ask()
        const what = chance.below(100)
        const until = time.now + chance.of(HOUR, DAY)
        if (what < 70) {
          const [one, two] = await both(store => store.check(asked))
          expect(two, `step ${step}`).toEqual(one)
        } else if (what < 80) await both(store => store.note(asked))
        else if (what < 90) await both(store => store.credit(asked))
        else if (what < 93) await both(store => store.pass(asked.origin, time.now, until))
        else if (what < 96) await both(store => store.trap(asked.origin, time.now, until))
        else if (what < 98) await both(store => store.forget(asked.origin, asked.domain))
        else if (what < 99) await both(store => store.forget(asked.origin))
        else {
          const mark = { first: time.now - DAY, last: time.now - HOUR, count: 2, expires: time.now + 3 * DAY }
          const entry = { kind: 'domain' as const, origin: asked.origin, item: asked.domain, ...mark }
          await both(store => store.merge([entry], time.now))
        }
        const [one, two] = await both(async store => alive(await store.look(asked), time.now))
        expect(two, `after step ${step}`).toEqual(one)
      }
    })
  })
})
