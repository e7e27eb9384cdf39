import { join } from 'node:path'
import { fakeClock, fakeDns, type TestMail, testPlugin } from 'milterhost/testing'
import { beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest'
import { requirePrograms, until } from '../../../../test/interop/harness/index.ts'
import { tempDir } from '../../../../test/interop/harness/places.ts'
import greylist, { type GreylistOptions } from '../../src/index.ts'
import { type RedisServer, startRedis, withRedis } from './servers.ts'

const HOUR = 3_600_000

const from = (octet: number): TestMail => ({
  client: { address: `203.0.113.${octet}`, hostname: `ppp-203-0-113-${octet}.example.com` },
  helo: 'mail.example.org',
  from: 'sender@example.org',
  to: 'rcpt@example.com',
})

/** The shortest wait that whole seconds can be told by; and a machine that is busy with other things is no outage. */
const SHORT: GreylistOptions = {
  jitter: 0,
  wait: { ordinary: '2s', suspicious: '2s', listed: '2s' },
  limits: { storeTime: '5s' },
}

async function start(url: `redis://${string}`, options: GreylistOptions = {}, hours = 0) {
  const clock = fakeClock(Date.now() + hours * HOUR)
  const host = await testPlugin(greylist({ store: { url, timeout: '4s' }, ...SHORT, ...options }), {
    clock,
    dns: fakeDns(),
  })
  onTestFinished(() => host.close())
  return {
    host,
    clock,
    deliver: async (octet: number): Promise<string> => {
      const { verdict } = await host.deliver(from(octet))
      return verdict.kind === 'tempfail' ? `${verdict.reply?.code} ${verdict.reply?.enhanced}` : verdict.kind
    },
    rule: (): unknown => host.logs.findLast(({ message }) => message.endsWith('greylisted'))?.fields,
    said: (message: string): boolean => host.logs.some(line => line.message === message),
  }
}

requirePrograms('redis')('a Redis that goes away', () => {
  let redis: RedisServer
  beforeAll(async () => {
    redis = await startRedis()
  })
  beforeEach(() => withRedis(redis.port, client => client.flushall()))

  /** Asks until the breaker has closed: its probe comes each five seconds. */
  const works = ({ said }: { said: (message: string) => boolean }): Promise<true> =>
    until('the store works again', () => said('the greylist store works again'))

  test('two hosts share it, though their clocks are two hours apart, over a restart of one', async () => {
    const one = await start(redis.url, {}, -1)
    const two = await start(redis.url, {}, 1)
    expect(await one.deliver(1)).toBe('450 4.7.1')
    expect(one.rule()).toMatchObject({ rule: 'new', store: 'redis' })
    expect(await two.deliver(1)).toBe('450 4.7.1')
    expect(two.rule()).toMatchObject({ rule: 'early' })
    await one.host.close()
    await until('the wait is over', async () => (await two.deliver(1)) === 'continue')
    const again = await start(redis.url)
    expect(await again.deliver(1)).toBe('continue')
    expect(again.rule()).toMatchObject({ rule: 'domain' })
  })

  test('accept, local and tempfail: killed, asked, started again', async () => {
    const path = join(tempDir('greylist-local'), 'local.sqlite')
    const hosts = {
      accept: await start(redis.url, { onStoreError: 'accept' }),
      local: await start(redis.url, { onStoreError: 'local', localStore: { path } }),
      tempfail: await start(redis.url, { onStoreError: 'tempfail' }),
    }
    expect(await hosts.accept.deliver(1)).toBe('450 4.7.1')
    expect(await hosts.local.deliver(2)).toBe('450 4.7.1')
    expect(await hosts.tempfail.deliver(3)).toBe('450 4.7.1')
    await redis.server.kill()
    const began = performance.now()
    for (let i = 0; i < 6; i++) {
      expect(await hosts.accept.deliver(10 + i)).toBe('continue')
      expect(hosts.accept.rule()).toMatchObject({ rule: 'store-down', store: null })
      expect(await hosts.local.deliver(20)).toBe('450 4.7.1')
      expect(hosts.local.rule()).toMatchObject({ store: 'embedded for redis' })
      expect(await hosts.tempfail.deliver(30 + i)).toBe('451 4.3.0')
    }
    // Nobody waits for a server that is not there.
    expect((performance.now() - began) / 18).toBeLessThan(400)
    const told = hosts.accept.host.logs.filter(({ message }) => message === 'the greylist store failed')
    expect(JSON.stringify(told.at(-1)?.fields)).toMatch(/no connection to Redis: .*(ECONNREFUSED|closed)/)
    for (const { said } of Object.values(hosts))
      expect(said('the greylist store is down: it is left alone until it works again')).toBe(true)
    // Waited out while Redis was away; the stand-in goes by the host's clock.
    await hosts.local.clock.advance('2s')
    expect(await hosts.local.deliver(20)).toBe('continue')
    await redis.server.start()
    await Promise.all(Object.values(hosts).map(works))
    await until('what was learned has been merged', () =>
      hosts.local.said('what was greylisted while the store was down has been merged'),
    )
    // Known from before it went, and from meanwhile, also to another host.
    await until('who came before has waited', async () => (await hosts.accept.deliver(1)) === 'continue')
    expect(await hosts.local.deliver(2)).toBe('continue')
    expect(await hosts.tempfail.deliver(3)).toBe('continue')
    expect(await hosts.tempfail.deliver(20)).toBe('continue')
    expect(hosts.tempfail.rule()).toMatchObject({ rule: 'domain', store: 'redis' })
    expect(await hosts.accept.deliver(10)).toBe('450 4.7.1')
  })

  test('a server that hangs costs one short wait, then none, and is used again when it goes on', async () => {
    const grey = await start(redis.url, { onStoreError: 'tempfail', store: redis.url, limits: {} })
    await until('it is asked', async () => (await grey.deliver(1)) === '450 4.7.1')
    await redis.server.hang()
    try {
      const began = performance.now()
      expect(await grey.deliver(1)).toBe('451 4.3.0')
      expect(performance.now() - began).toBeGreaterThan(250)
      await Promise.all([1, 2, 3, 4, 5].map(octet => grey.deliver(octet)))
      expect(grey.said('the greylist store is down: it is left alone until it works again')).toBe(true)
      const later = performance.now()
      for (let i = 0; i < 20; i++) expect(await grey.deliver(i)).toBe('451 4.3.0')
      expect(performance.now() - later).toBeLessThan(20 * 250)
    } finally {
      redis.server.resume()
    }
    await works(grey)
    await until('who has waited passes', async () => (await grey.deliver(1)) === 'continue')
  })

  test('one that is not there at the start is no reason not to start', async () => {
    await redis.server.kill()
    const grey = await start(redis.url, { onStoreError: 'accept' })
    expect(await grey.deliver(1)).toBe('continue')
    await redis.server.start()
    await until('it is asked', async () => (await grey.deliver(1)) === '450 4.7.1')
  })
})
