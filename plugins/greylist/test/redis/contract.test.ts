import { requirePrograms } from '../../../../test/interop/harness/index.ts'
import { RedisStore } from '../../src/redis.ts'
import { readRedis } from '../../src/redis-options.ts'
import { storeContract } from '../store-contract.ts'
import { startRedis, withRedis } from './servers.ts'

requirePrograms('redis')('a real Redis', () => {
  let started: ReturnType<typeof startRedis> | null = null

  storeContract('redis', async time => {
    started ??= startRedis('--appendonly', 'no')
    const { url, port } = await started
    const open = (): RedisStore =>
      new RedisStore({
        target: readRedis({ url, timeout: '10s' }),
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
        await withRedis(port, client => client.flushall())
        await store.close()
      },
    }
  })
})
