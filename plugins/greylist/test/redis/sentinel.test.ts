import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { requirePrograms, until } from '../../../../test/interop/harness/index.ts'
import { freePort, tempDir } from '../../../../test/interop/harness/places.ts'
import { RealServer } from '../../../../test/lookups/backends/server.ts'
import { RedisStore } from '../../src/redis.ts'
import { readRedis } from '../../src/redis-options.ts'
import { question, type TestTime } from '../store-contract.ts'
import { startRedis, withRedis } from './servers.ts'

async function startSentinel(master: number): Promise<number> {
  const port = await freePort()
  const file = join(tempDir('sentinel'), 'sentinel.conf')
  writeFileSync(
    file,
    `port ${port}
bind 127.0.0.1
sentinel monitor mail 127.0.0.1 ${master} 1
sentinel down-after-milliseconds mail 1000
sentinel failover-timeout mail 3000
`,
  )
  const server = new RealServer({
    program: '/usr/bin/redis-server',
    args: [file, '--sentinel'],
    ready: () => withRedis(port, client => client.ping()),
  })
  await server.start()
  return port
}

requirePrograms('redis')('a Redis watched by Sentinel', () => {
  test.for([
    ['is killed', 'kill'],
    ['hangs', 'hang'],
  ] as const)('the master %s: another one takes over with what is known', async ([, how]) => {
    const master = await startRedis()
    const replica = await startRedis('--replicaof', '127.0.0.1', String(master.port))
    await until('the replica follows', () =>
      withRedis(replica.port, async client => /master_link_status:up/.test(await client.info('replication'))),
    )
    const sentinel = await startSentinel(master.port)
    await until('Sentinel knows the replica', () =>
      withRedis(
        sentinel,
        async client => ((await client.call('SENTINEL', 'REPLICAS', 'mail')) as unknown[]).length === 1,
      ),
    )
    const time: TestTime = { now: Date.now() }
    const store = new RedisStore({
      target: readRedis({ sentinels: [`127.0.0.1:${sentinel}`], name: 'mail', timeout: '1s' }),
      problem: (fields, message) => {
        throw new Error(`${message} ${JSON.stringify(fields)}`)
      },
    })
    onTestFinished(() => store.close())
    const stateOf = async (): Promise<string> => {
      try {
        return (await store.check(question(time))).state
      } catch (error) {
        return String(error)
      }
    }
    expect(await stateOf()).toBe('new')
    await until('the replica has it', () =>
      withRedis(replica.port, async client => (await client.keys('gl:{*')).length === 1),
    )
    if (how === 'kill') await master.server.kill()
    else await master.server.hang()
    expect(await stateOf()).toMatch(/^Error: /)
    await until('another one decides', async () => (await stateOf()) === 'early')
    expect(await withRedis(replica.port, async client => (await client.role())[0])).toBe('master')
    if (how === 'hang') master.server.resume()
    else await master.server.start()
    expect(await stateOf()).toBe('early')
  })
})
