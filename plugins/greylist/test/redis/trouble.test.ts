import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { requirePrograms } from '../../../../test/interop/harness/index.ts'
import { freePort, tempDir } from '../../../../test/interop/harness/places.ts'
import { run } from '../../../../test/interop/harness/rig.ts'
import { Keys } from '../../src/keys.ts'
import { RedisStore } from '../../src/redis.ts'
import { originKey } from '../../src/redis-marks.ts'
import { readRedis } from '../../src/redis-options.ts'
import { collect, DAY, HOUR, question, SECOND, type TestTime } from '../store-contract.ts'
import { type RedisServer, startRedis, withRedis } from './servers.ts'

interface Told {
  readonly message: string
  readonly fields: object
}

const time: TestTime = { now: Date.parse('2026-01-01T00:00:00Z') }

function open(given: Parameters<typeof readRedis>[0]): { readonly store: RedisStore; readonly told: Told[] } {
  const told: Told[] = []
  const store = new RedisStore({
    // This machine may be busy with other things.
    target: readRedis({ timeout: '10s', ...(typeof given === 'string' ? { url: given } : given) }),
    clock: () => time.now,
    problem: (fields, message) => told.push({ message, fields }),
  })
  onTestFinished(() => store.close())
  return { store, told }
}

requirePrograms('redis')('what other people put into Redis', () => {
  let redis: RedisServer
  beforeAll(async () => {
    redis = await startRedis()
  })
  beforeEach(() => withRedis(redis.port, client => client.flushall()))

  test.for([
    ['a string', 'SET', 'x'.repeat(100)],
    ['a list', 'RPUSH', 'x'],
    ['a set', 'SADD', 'x'],
  ] as const)('%s in the place of an origin is a miss, is told, and is written over', async ([, command, value]) => {
    const { store, told } = open(redis.url)
    const asked = question(time)
    const key = originKey('gl:', asked.origin)
    await withRedis(redis.port, client => client.call(command, key, value))
    expect(await store.look(asked)).toMatchObject({ origin: null, tuples: [null] })
    expect(await collect(store.entries(time.now))).toEqual([])
    expect((await store.stats()).entries.tuple).toBe(0)
    expect((await store.check(asked)).state).toBe('new')
    expect(told.length).toBeGreaterThanOrEqual(3)
    for (const { message, fields } of told) {
      expect(message).toBe('a greylist entry makes no sense: taken as absent')
      expect(fields).toMatchObject({ key })
    }
    const before = told.length
    expect((await store.check(asked)).state).toBe('early')
    expect(told).toHaveLength(before)
  })

  test.for([
    'nonsense',
    '\0\xff'.repeat(50),
    '9'.repeat(100),
    '1767225600,0,0',
    '1767225600,0,-1,86400',
    '1767225600,0,0,999999999999999',
    '-5,0,0,86400',
    '1e9,0,0,86400',
    '',
  ])('a value that is no mark: %j', async value => {
    const { store, told } = open(redis.url)
    const asked = question(time)
    const key = originKey('gl:', asked.origin)
    await store.check(asked)
    await withRedis(redis.port, async client => {
      for (const field of await client.hkeys(key)) await client.hset(key, field, value)
      await client.hset(key, 'o', value, 'i', value, 'x', value, 'another', value)
    })
    expect(await collect(store.entries(time.now))).toEqual([])
    expect(told).toHaveLength(6)
    expect((await store.check(asked)).state).toBe('new')
    await store.credit(asked)
    expect((await store.check(asked)).state).toBe('domain')
    await store.trap(asked.origin, time.now, time.now + DAY)
    expect((await store.check(asked)).state).toBe('trapped')
    await store.pass(asked.origin, time.now, time.now + DAY)
    expect((await store.check(asked)).state).toBe('pinned')
  })

  test('a key that is not ours, a secret and numbers of the wrong type', async () => {
    const { store, told } = open(redis.url)
    await withRedis(redis.port, async client => {
      await client.hset('gl:{short}', 'o', '1767225600,0,3,86400')
      await client.rpush('gl:secret', 'x')
      await client.set('gl:counters', 'x')
    })
    expect(await collect(store.entries(time.now))).toEqual([])
    const secret = await store.secret()
    expect(secret).toHaveLength(32)
    expect(Buffer.from(await open(redis.url).store.secret())).toEqual(Buffer.from(secret))
    await store.count(new Map([['deferred', 2]]))
    await withRedis(redis.port, client => client.hset('gl:counters', 'passed', 'many', 'other', '1e5'))
    await store.count(new Map([['passed', 3]]))
    expect(Object.fromEntries((await store.stats()).counters)).toEqual({ deferred: 2, passed: 3 })
    expect(told.map(({ message }) => message)).toContain(
      'the secret of the greylist makes no sense: a new one was made',
    )
    expect(told).toHaveLength(4)
  })

  test('scripts that the server has forgotten are sent again', async () => {
    const { store } = open(redis.url)
    expect((await store.check(question(time))).state).toBe('new')
    await withRedis(redis.port, client => client.script('FLUSH'))
    expect((await store.check(question(time))).state).toBe('early')
  })

  test('what has expired goes by itself, and a hash with much of it is cleared while it is used', async () => {
    const { store } = open(redis.url)
    const asked = question(time, { policy: { window: 2 * SECOND } })
    await store.check(asked)
    const key = originKey('gl:', asked.origin)
    const left = await withRedis(redis.port, client => client.pttl(key))
    expect(left).toBeGreaterThan(0)
    expect(left).toBeLessThanOrEqual(2 * SECOND)
    for (let at = 0; at < 60; at++) {
      time.now += HOUR
      await store.check(question(time, { to: [`r${at}@example.com`], policy: { window: HOUR } }))
    }
    expect(await withRedis(redis.port, client => client.hlen(key))).toBeLessThan(20)
  })
})

requirePrograms('redis')('a Redis without memory', () => {
  test('newcomers find no room, who is known passes, a trap works', async () => {
    const { url, port } = await startRedis('--maxmemory-policy', 'noeviction')
    const { store } = open(url)
    const known = question(time)
    await store.credit(known)
    await store.check(question(time, { origin: 'early' }))
    // Less than an empty server takes.
    await withRedis(port, client => client.config('SET', 'maxmemory', '100kb'))
    expect(await store.check(question(time, { origin: 'new' }))).toMatchObject({ state: 'full', mark: null })
    expect((await store.check(known)).state).toBe('domain')
    time.now += 61 * SECOND
    expect((await store.check(question(time, { origin: 'early' }))).state).toBe('passed')
    await expect(store.pass(question(time, { origin: 'new' }).origin, time.now, time.now + DAY)).rejects.toThrow('OOM')
    await store.trap(known.origin, time.now, time.now + DAY)
    expect((await store.check(known)).state).toBe('trapped')
    await expect(store.probe()).rejects.toThrow('OOM')
    await store.note(question(time, { origin: 'other' }))
    expect(await store.forget(known.origin)).toBeGreaterThan(0)
  })
})

/** All that the store sends, and what its scripts do. */
const COMMANDS =
  '+evalsha +eval +time +type +hmget +hset +hdel +hlen +hrandfield +hincrby +hgetall +hscan +scan +get +set +del +pttl +pexpire +memory|usage +ping +info +client|setname +hello +select'

requirePrograms('redis', 'openssl')('the way to Redis', () => {
  test('TLS and the user of an ACL who may do no more than is needed', async () => {
    const dir = tempDir('redis-tls')
    const [cert, key, tlsPort] = [join(dir, 'cert.pem'), join(dir, 'key.pem'), await freePort()]
    await run('/usr/bin/openssl', [
      ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, '-days', '2'],
      ...['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'],
    ])
    const { port } = await startRedis(
      ...['--tls-port', String(tlsPort), '--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', cert],
      ...['--tls-auth-clients', 'no'],
    )
    await withRedis(port, client =>
      client.call('ACL', 'SETUSER', 'grey', 'on', '>pass/word', '~gl:*', ...COMMANDS.split(' ')),
    )
    const ca = readFileSync(cert, 'utf8')
    const { store, told } = open({ url: `rediss://grey:pass%2Fword@127.0.0.1:${tlsPort}`, tls: { ca } })
    await store.probe()
    await store.secret()
    const asked = question(time)
    expect((await store.check(asked)).state).toBe('new')
    await store.note(asked)
    await store.credit(asked)
    await store.pass(asked.origin, time.now, time.now + DAY)
    await store.trap(asked.origin, time.now, time.now + DAY)
    await store.count(new Map([['deferred', 1]]))
    const entries = await collect(store.entries(time.now))
    expect(entries).toHaveLength(1)
    expect(await store.merge(entries, time.now)).toBe(1)
    expect((await store.stats()).entries.trap).toBe(1)
    expect((await store.stats()).bytes).toBeGreaterThan(50)
    expect(await store.forget(asked.origin)).toBe(1)
    expect(told).toEqual([])
    // Without the authority: the certificate is refused, and the reason is told.
    await expect(open({ url: `rediss://grey:pass%2Fword@127.0.0.1:${tlsPort}` }).store.probe()).rejects.toThrow(
      /no connection to Redis: .*certificate/,
    )
    const wrong = open({ url: `redis://grey:topsecret@127.0.0.1:${port}` }).store
    const said = await wrong.probe().catch(error => JSON.stringify([error, String(error), (error as Error).stack]))
    expect(said).toContain('WRONGPASS')
    expect(said).not.toContain('topsecret')
    expect((await store.stats()).place).toBe(`rediss://127.0.0.1:${tlsPort}/0 gl:*`)
  })

  test('a UNIX socket, a database and a prefix of its own', async () => {
    const socket = join(tempDir('redis-socket'), 'redis.sock')
    const { port } = await startRedis('--unixsocket', socket)
    const { store } = open({ socket, db: 3, prefix: 'mx[1]*:' })
    const other = open({ host: '127.0.0.1', port, db: 3, prefix: 'mx1:' }).store
    expect((await store.check(question(time))).state).toBe('new')
    expect(await collect(store.entries(time.now))).toHaveLength(2)
    expect(await collect(other.entries(time.now))).toEqual([])
    expect((await other.check(question(time))).state).toBe('new')
    const keys = await withRedis(port, async client => {
      await client.select(3)
      return client.keys('*')
    })
    expect(keys.sort().map(key => key.replace(/\{.*/, ''))).toEqual(['mx1:', 'mx[1]*:'])
  })

  test('nothing of an address can be read in Redis', async () => {
    const { url, port } = await startRedis()
    const { store } = open(url)
    const keys = new Keys(await store.secret())
    const asked = { ...question(time), origin: keys.origin('n:192.0.2.0/24'), domain: keys.domain('example.org') }
    await store.check(asked)
    await store.credit(asked)
    const all = await withRedis(port, async client =>
      JSON.stringify(
        await Promise.all((await client.keys('gl:{*')).map(async key => [key, await client.hgetall(key)])),
      ),
    )
    expect(all).not.toMatch(/192\.0|example/)
    expect(all).toMatch(/"gl:\{[\w-]{16}\}"/)
  })
})

describe('a mistake in the option', () => {
  test.for([
    [{ url: 'http://x' }, 'url: must be a URL such as'],
    ['redis://:a/b@c:x', 'url: is not a URL'],
    ['redis://h/0?family=6', 'url: after host and port only'],
    [{ host: 'a', socket: '/x' }, 'exactly one of'],
    [{ prefix: 'x:' }, 'exactly one of'],
    [{ host: 'a', prefix: 'x{' }, 'prefix: must have no braces'],
    [{ host: 'a', port: 70_000 }, 'port: '],
    [{ cluster: ['a:b:c'] }, 'cluster.0: '],
    [{ cluster: ['a'], db: 2 }, 'db: '],
    [{ sentinels: [] }, 'sentinels: '],
    [{ host: 'a', timeout: 'soon' }, 'timeout: '],
    [{ hots: 'a' }, 'hots'],
  ] as const)('%j', ([given, message]) => {
    expect(() => readRedis(given as never)).toThrow(message)
    expect(() => readRedis('redis://:topsecret@h:p')).not.toThrow('topsecret')
  })

  test('addresses in each spelling', () => {
    expect(readRedis('redis://u:p%40@[2001:db8::1]:7000/2').connection).toMatchObject({
      host: '2001:db8::1',
      port: 7000,
      db: 2,
      username: 'u',
      password: 'p@',
    })
    expect(readRedis({ cluster: ['a', '[2001:db8::1]:7000', { host: 'c', port: 1 }] }).cluster).toEqual([
      { host: 'a', port: 6379 },
      { host: '2001:db8::1', port: 7000 },
      { host: 'c', port: 1 },
    ])
    expect(readRedis({ sentinels: ['s1', 's2:1'], name: 'mail', password: 'x' })).toMatchObject({
      place: 'redis mail of sentinels s1:26379,s2:1 gl:*',
      connection: { name: 'mail', password: 'x' },
    })
  })
})
