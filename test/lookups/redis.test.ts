import { beforeAll, expect, it } from 'vitest'
import { redis } from '../../src/lookups.ts'
import { requirePrograms } from '../interop/harness/index.ts'
import { endures } from './backends/endurance.ts'
import { type Backend, startRedis } from './backends/start.ts'
import { answerOf, around, opened } from './support.ts'

requirePrograms('redis')('look-ups in a real Redis', () => {
  let backend: Backend

  beforeAll(async () => {
    backend = await startRedis()
    const { Redis } = await import('ioredis')
    const client = new Redis(backend.url)
    await client.hset('milterhost:policy:a@example.org', 'greylist', 'off', 'spf', 'on')
    await client.set('user:a@example.org', 'gold')
    await client.sadd('vip', 'a@example.org', '*')
    await client.quit()
  })

  it('a hash, a string, a set', async () => {
    const { url } = backend
    const hash = await opened(redis(url))
    expect(await answerOf(hash, 'a@example.org')).toEqual({ greylist: 'off', spf: 'on' })
    expect(await answerOf(hash, 'b@example.org')).toBeNull()
    const text = await opened(redis({ url, type: 'string', prefix: 'user:' }))
    expect(await answerOf(text, 'a@example.org')).toBe('gold')
    expect(await answerOf(text, 'b@example.org')).toBeNull()
    const set = await opened(redis({ url, type: 'set', prefix: 'vip' }))
    expect(await answerOf(set, 'a@example.org')).toBe(true)
    expect(await answerOf(set, 'b@example.org')).toBeNull()
  })

  it('a key of another type is an error', async () => {
    const lookup = await opened(redis({ url: backend.url, prefix: 'user:' }))
    expect(await answerOf(lookup, 'a@example.org')).toBe('LOOKUP_FAILED')
  })

  it('the policy is written and listed', async () => {
    const store = await redis({ url: backend.url, prefix: 'p[1]:' }).edit!(around())
    await store.set('B@example.org', { spf: false, greylist: { wait: 60 } })
    await store.set('example.net', { spf: true })
    await store.set('b@example.org', { greylist: { wait: 60 } })
    expect(await store.get('b@EXAMPLE.org')).toEqual({ greylist: '{"wait":60}' })
    const listed: unknown[] = []
    for await (const entry of store.list()) listed.push(entry)
    expect(listed).toEqual([
      ['b@example.org', { greylist: '{"wait":60}' }],
      ['example.net', { spf: 'true' }],
    ])
    await store.set('example.net', null)
    expect(await store.get('example.net')).toBeNull()
    await store.close()
    expect(redis({ url: backend.url, type: 'set' }).edit).toBeUndefined()
  })

  it('a wrong password is told, and never shown', async () => {
    const entry = redis(backend.url.replace('redis://', 'redis://:topsecret@'))
    const lookup = await opened(entry)
    // Redis without a password takes any; what is shown of the address is what counts.
    expect(lookup.describe).not.toContain('topsecret')
  })

  endures({
    server: () => backend.server,
    make: options => redis({ ...options, url: backend.url }),
    key: 'a@example.org',
    value: { greylist: 'off', spf: 'on' },
  })
})

it('an address that is none is told when the configuration is loaded', () => {
  expect(() => redis('127.0.0.1:6379')).toThrow('redis://host:port')
  expect(() => redis({ url: 'redis://h', prefx: 'x' } as never)).toThrow('did you mean "prefix"')
})
