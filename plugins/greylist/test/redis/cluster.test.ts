import { describe, expect, onTestFinished, test } from 'vitest'
import { requirePrograms, until } from '../../../../test/interop/harness/index.ts'
import { RedisStore } from '../../src/redis.ts'
import { readRedis } from '../../src/redis-options.ts'
import type { Question } from '../../src/store.ts'
import { StoreGuard } from '../../src/store-guard.ts'
import { collect, question, storeContract, type TestTime } from '../store-contract.ts'
import { type RedisServer, startRedis, withRedis } from './servers.ts'

/** Three masters and no replica; what the lost one has is gone until it is back, the rest goes on. */
async function startCluster(): Promise<readonly RedisServer[]> {
  const start = () =>
    startRedis(
      ...['--cluster-enabled', 'yes', '--cluster-node-timeout', '1500'],
      ...['--cluster-require-full-coverage', 'no', '--appendfsync', 'everysec'],
    )
  const nodes = await Promise.all([start(), start(), start()])
  const ends = [0, 5461, 10_923, 16_384]
  for (const [at, { port }] of nodes.entries())
    await withRedis(port, async client => {
      await client.call('CLUSTER', 'ADDSLOTSRANGE', ends[at]!, ends[at + 1]! - 1)
      await client.call('CONFIG', 'SET', 'cluster-announce-ip', '127.0.0.1')
      await client.call('CLUSTER', 'SET-CONFIG-EPOCH', at + 1)
    })
  for (const { port } of nodes.slice(1))
    await withRedis(port, client => client.call('CLUSTER', 'MEET', '127.0.0.1', nodes[0]!.port))
  for (const { port } of nodes)
    await until('the cluster is complete', () =>
      withRedis(port, async client => {
        const info = String(await client.call('CLUSTER', 'INFO'))
        return (
          /cluster_state:ok/.test(info) && /cluster_slots_ok:16384/.test(info) && /cluster_known_nodes:3/.test(info)
        )
      }),
    )
  return nodes
}

requirePrograms('redis')('a Redis Cluster', () => {
  let started: Promise<readonly RedisServer[]> | null = null
  const cluster = (): Promise<readonly RedisServer[]> => (started ??= startCluster())
  const targetOf = (nodes: readonly RedisServer[]) =>
    readRedis({ cluster: nodes.slice(0, 2).map(({ port }) => `127.0.0.1:${port}`), timeout: '8s' })

  storeContract('redis cluster', async time => {
    const nodes = await cluster()
    const open = (): RedisStore =>
      new RedisStore({
        target: targetOf(nodes),
        clock: () => time.now,
        problem: (fields, message) => {
          throw new Error(`${message} ${JSON.stringify(fields)}`)
        },
      })
    const store = open()
    return {
      store,
      again: async () => open(),
      end: async () => {
        await store.close()
        for (const { port } of nodes) await withRedis(port, client => client.flushall())
      },
    }
  })

  describe('that loses a node', () => {
    test('the others decide on, the lost one’s keys are answered by the stand-in or fail, and come back with it', async () => {
      const nodes = await cluster()
      const time: TestTime = { now: Date.now() }
      const store = new RedisStore({ target: targetOf(nodes), problem: () => {} })
      const told: string[] = []
      const guard = new StoreGuard({
        store,
        local: null,
        limit: 10_000,
        problem: (_, message) => told.push(message),
        note: (_, message) => told.push(message),
        now: () => Date.now(),
      })
      onTestFinished(() => guard.close())
      const ask = (at: number): Question => question(time, { origin: `n:${at}` })
      for (let at = 0; at < 60; at++) expect((await guard.run(given => given.check(ask(at)))).value.state).toBe('new')
      const held = await Promise.all(nodes.map(({ port }) => withRedis(port, client => client.keys('gl:{*'))))
      for (const keys of held) expect(keys.length).toBeGreaterThan(5)
      expect(await collect(store.entries(time.now))).toHaveLength(120)

      await nodes[2]!.server.kill()
      const outcomes = await Promise.all(
        Array.from({ length: 60 }, (_, at) =>
          guard
            .run(given => given.check(ask(at)))
            .then(
              ({ value }) => value.state,
              error => (error as { code: string }).code,
            ),
        ),
      )
      const down = outcomes.filter(outcome => outcome === 'GREYLIST_STORE_DOWN').length
      expect(down).toBe(held[2]!.length)
      expect(outcomes.filter(outcome => outcome === 'early')).toHaveLength(60 - down)

      await nodes[2]!.server.start()
      await until('every key is answered', async () => {
        const again = await Promise.allSettled(
          Array.from({ length: 60 }, (_, at) => guard.run(given => given.check(ask(at)))),
        )
        return again.every(({ status, ...rest }) => status === 'fulfilled' && JSON.stringify(rest).includes('early'))
      })
    })
  })
})
