/**
 * The connection to Redis: one server, Sentinel or Cluster, through ioredis, which is loaded only here.
 *
 * What always holds: a command that cannot be sent fails at once, and one that is not answered fails after the timeout; nothing is
 * queued while there is no connection, but for the first attempt to connect, which is waited for as long as a command
 * may take; ioredis connects again by itself. What went wrong with the connection is told in place of what that did to a
 * command, and never with a password. The Redis store calls it.
 */
import { createHash } from 'node:crypto'
import type { Cluster, ClusterOptions, Redis, RedisOptions } from 'ioredis'
import { SCRIPTS, type ScriptName } from './redis-lua.ts'
import type { RedisTarget } from './redis-options.ts'

/** A connection that has been silent this many timeouts long while answers were due is given up: its server may be gone. */
const SILENCE = 5

type NodeOptions = RedisOptions & { readonly replyMapping: 'legacy' }

const BACK_OFF = (attempt: number): number => Math.min(attempt * 100, 2_000)

const HASHES = Object.fromEntries(
  Object.entries(SCRIPTS).map(([name, text]) => [name, createHash('sha1').update(text).digest('hex')]),
) as Record<ScriptName, string>

/** What ioredis says of a command when the connection is what is wrong. */
const NO_CONNECTION =
  /isn't writeable|isn't ready|Connection is closed|Failed to refresh slots|max retries per request/i

export class RedisClient {
  readonly #target: RedisTarget
  readonly #client: Promise<Redis | Cluster>
  /** Settled when the first attempt to connect has ended, one way or the other. */
  readonly #attempted: Promise<void>
  #trouble: string | null = null
  #closed = false

  constructor(target: RedisTarget) {
    this.#target = target
    const attempted = Promise.withResolvers<void>()
    this.#attempted = attempted.promise
    this.#client = this.#open(attempted.resolve)
    // Whoever sends a command is told.
    this.#client.catch(() => attempted.resolve())
  }

  /** Runs a script on its one key. */
  async run(name: ScriptName, key: string, args: readonly (string | number)[]): Promise<unknown> {
    const client = await this.#ready()
    return this.#told(async () => {
      try {
        return await client.evalsha(HASHES[name], 1, key, ...args)
      } catch (error) {
        // A server that was started anew, or one that has never been asked.
        if (!messageOf(error).startsWith('NOSCRIPT')) throw error
        return await client.eval(SCRIPTS[name], 1, key, ...args)
      }
    })
  }

  async ask<T>(question: (client: Redis | Cluster) => Promise<T>): Promise<T> {
    const client = await this.#ready()
    return this.#told(() => question(client))
  }

  /** The servers that together hold all keys. */
  async masters(): Promise<readonly Redis[]> {
    const client = await this.#ready()
    return 'nodes' in client ? client.nodes('master') : [client]
  }

  async close(): Promise<void> {
    this.#closed = true
    const client = await this.#client.catch(() => null)
    client?.disconnect()
  }

  async #ready(): Promise<Redis | Cluster> {
    if (this.#closed) throw new Error('the connection to Redis is closed')
    const client = await this.#client
    if (client.status !== 'ready') {
      const late = Promise.withResolvers<void>()
      const timer = setTimeout(late.resolve, this.#target.timeout)
      await Promise.race([this.#attempted, late.promise])
      clearTimeout(timer)
    }
    return client
  }

  async #told<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call()
    } catch (error) {
      const said = messageOf(error)
      throw new Error(
        NO_CONNECTION.test(said) ? `no connection to Redis: ${this.#trouble ?? 'closed, or not open yet'}` : said,
      )
    }
  }

  async #open(attempted: () => void): Promise<Redis | Cluster> {
    const { Redis, Cluster } = await import('ioredis')
    const { cluster, natMap, connection, timeout } = this.#target
    const each: NodeOptions = {
      ...connection,
      replyMapping: 'legacy',
      commandTimeout: timeout,
      connectTimeout: Math.max(timeout, 2_000),
      socketTimeout: timeout * SILENCE,
      keepAlive: 30_000,
      maxRetriesPerRequest: 0,
      connectionName: 'milterhost-greylist',
    }
    const client =
      cluster === null
        ? new Redis({
            ...each,
            enableOfflineQueue: false,
            retryStrategy: BACK_OFF,
            // After a change of masters the old one takes no more writes.
            reconnectOnError: error => error.message.includes('READONLY'),
            sentinelRetryStrategy: BACK_OFF,
            sentinelCommandTimeout: 1_000,
            failoverDetector: true,
          })
        : new Cluster([...cluster], clusterOptions(each, natMap))
    // Without a listener an error of the connection would end the process.
    client.on('error', (error: Error) => {
      this.#trouble = error.message
      attempted()
    })
    client.on('node error', (error: Error, address: string) => {
      this.#trouble = `${address}: ${error.message}`
    })
    client.on('ready', () => {
      this.#trouble = null
      attempted()
    })
    return client
  }
}

function clusterOptions(
  each: NodeOptions,
  natMap: RedisTarget['natMap'],
): ClusterOptions & { readonly redisOptions: NodeOptions } {
  return {
    enableOfflineQueue: false,
    clusterRetryStrategy: BACK_OFF,
    slotsRefreshTimeout: 1_000,
    slotsRefreshInterval: 5_000,
    retryDelayOnFailover: 100,
    retryDelayOnClusterDown: 100,
    maxRedirections: 5,
    ...(natMap === null ? {} : { natMap }),
    redisOptions: each,
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
