/** Real Redis servers of a test: each in a folder and on a port of its own. */
import { Redis } from 'ioredis'
import { freePort, tempDir } from '../../../../test/interop/harness/places.ts'
import { RealServer } from '../../../../test/lookups/backends/server.ts'

export interface RedisServer {
  readonly server: RealServer
  readonly port: number
  readonly url: `redis://${string}`
}

/** `settings`: further arguments of redis-server. */
export async function startRedis(...settings: readonly string[]): Promise<RedisServer> {
  const dir = tempDir('redis')
  const port = await freePort()
  const server = new RealServer({
    program: '/usr/bin/redis-server',
    args: [
      ...['--port', String(port), '--bind', '127.0.0.1', '--dir', dir],
      ...['--save', '', '--appendonly', 'yes', '--appendfsync', 'always'],
      ...settings,
    ],
    ready: () => withRedis(port, client => client.ping()),
  })
  await server.start()
  return { server, port, url: `redis://127.0.0.1:${port}` }
}

export async function withRedis<T>(port: number, use: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis({
    port,
    host: '127.0.0.1',
    lazyConnect: true,
    retryStrategy: () => null,
    commandTimeout: 2_000,
  })
  client.on('error', () => {})
  try {
    await client.connect()
    return await use(client)
  } finally {
    client.disconnect()
  }
}
