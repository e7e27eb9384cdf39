/**
 * `redis(url)`: a hash for each key, a string for each key, or one set.
 *
 * One connection, on which commands follow each other without waiting; ioredis keeps it up. As the central policy, a hash for each
 * recipient with a field for each filter, it can be written by `milterhost policy set`.
 */
import type { ConnectionOptions } from 'node:tls'
import type { Redis } from 'ioredis'
import { z } from 'zod'
import { hostError } from '../host/errors.ts'
import { guardedEntry } from '../host/policy/guard.ts'
import type { LookupEntry, PolicyStore } from '../host/policy/lookup.ts'
import { type LookupOptions, readLookupOptions } from '../host/policy/lookup-options.ts'
import { loadDriver } from './driver.ts'
import { withoutPassword } from './public-url.ts'

export interface RedisOptions<T = unknown> extends LookupOptions<T> {
  /** `redis://:password@host:6379/0`, `rediss://…` for TLS, or the path of a UNIX socket. */
  readonly url: string
  /**
   * What the value is.
   * @remarks
   * - `'hash'`: the hash under `prefix` and the key (`HGETALL`), as an object: for the policy a field for each filter.
   * - `'string'`: the text under `prefix` and the key (`GET`).
   * - `'set'`: `true` where the key is a member of the set that `prefix` names.
   * @default 'hash'
   */
  readonly type?: 'hash' | 'string' | 'set'
  /** What stands before each key, or the name of the set. @default 'milterhost:policy:' */
  readonly prefix?: string
  /** Node's TLS options for `rediss:`, as `ca`. @default those of Node */
  readonly tls?: ConnectionOptions
}

const own = {
  url: z.string().describe('URL, or path'),
  type: z.enum(['hash', 'string', 'set']).default('hash'),
  prefix: z.string().min(1, 'must not be empty').default('milterhost:policy:'),
  tls: z.looseObject({}).describe("Node's TLS options").optional(),
}

/** The options of its own. */
export const REDIS_OPTIONS: z.ZodObject = z.strictObject(own)

/** Longest pause before Redis is tried again, milliseconds. */
const LONGEST_PAUSE = 1_000

/**
 * A look-up in Redis or Valkey.
 *
 * @param options or just the URL, for the central policy.
 * @example redis({ url: 'redis://127.0.0.1', type: 'set', prefix: 'vip-senders' })
 */
export function redis<T = unknown>(options: string | RedisOptions<T>): LookupEntry<T> {
  const given = typeof options === 'string' ? { url: options } : options
  const { settings, own: read } = readLookupOptions<T, typeof own>('redis', own, given, false)
  const { url, type, prefix } = read
  if (!/^rediss?:\/\/|^\//.test(url)) {
    throw hostError(
      'LOOKUP_OPTIONS',
      settings.name,
      `url must be redis://host:port or the path of a socket, not ${JSON.stringify(url)}`,
    )
  }
  const open = async (): Promise<Redis> => {
    const { Redis: Client } = await loadDriver(settings.name, 'ioredis', () => import('ioredis'))
    const client = new Client(url, {
      connectTimeout: settings.timeout,
      commandTimeout: settings.timeout,
      // A server that hangs is left, since its connection would look well for ever.
      socketTimeout: settings.timeout * 2,
      maxRetriesPerRequest: 1,
      retryStrategy: attempt => Math.min(50 * 2 ** attempt, LONGEST_PAUSE),
      lazyConnect: true,
      connectionName: 'milterhost',
      ...(read.tls === undefined ? {} : { tls: read.tls as ConnectionOptions }),
    })
    // Each command that fails says why; the connection itself needs no listener of its own.
    client.on('error', () => {})
    return client
  }
  return guardedEntry(
    `${withoutPassword(url)} ${prefix}${type === 'set' ? '' : '*'}`,
    settings,
    async () => {
      const client = await open()
      return {
        get: key => ask(client, type, prefix, key),
        probe: async () => void (await client.ping()),
        close: () => client.disconnect(),
      }
    },
    type === 'hash' ? async () => redisStore(settings.name, prefix, await open()) : undefined,
  )
}

async function ask(client: Redis, type: RedisOptions['type'], prefix: string, key: string): Promise<unknown> {
  if (type === 'set') return (await client.sismember(prefix, key)) === 1 ? true : null
  if (type === 'string') return client.get(prefix + key)
  const fields = await client.hgetall(prefix + key)
  return Object.keys(fields).length === 0 ? null : fields
}

function redisStore(name: string, prefix: string, client: Redis): PolicyStore {
  const reported = async <R>(run: () => Promise<R>): Promise<R> => {
    try {
      return await run()
    } catch (error) {
      throw hostError('LOOKUP_FAILED', name, (error as Error).message)
    }
  }
  const get = (key: string): Promise<unknown> => reported(() => ask(client, 'hash', prefix, key.toLowerCase()))
  return {
    get,
    set: (key, value) =>
      reported(async () => {
        const at = prefix + key.toLowerCase()
        const fields = Object.entries(value ?? {}).flatMap(([filter, on]) => [
          filter,
          typeof on === 'object' ? JSON.stringify(on) : String(on),
        ])
        const steps = client.multi().del(at)
        if (fields.length > 0) steps.hset(at, ...fields)
        for (const [error] of (await steps.exec()) ?? []) if (error !== null) throw error
      }),
    async *list() {
      const keys = await reported(() => allKeys(client, prefix))
      for (const key of keys) {
        const value = await get(key)
        // It may have gone since.
        if (value !== null) yield [key, value]
      }
    },
    close: async () => client.disconnect(),
  }
}

async function allKeys(client: Redis, prefix: string): Promise<readonly string[]> {
  const pattern = `${prefix.replace(/[\\*?[\]]/g, '\\$&')}*`
  const keys = new Set<string>()
  for await (const batch of client.scanStream({ match: pattern, count: 1000 })) {
    for (const key of batch as readonly string[]) keys.add(key.slice(prefix.length))
  }
  return [...keys].sort()
}
