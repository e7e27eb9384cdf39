import { expect, it } from 'vitest'
import { lazyDns } from '../../src/cli/lazy-dns.ts'
import { fakeDns } from '../../src/testing/dns.ts'

it('a DNS is made at the first look-up, once, and its share for a message too', async () => {
  const real = fakeDns({
    'a.test': { a: ['192.0.2.1'], aaaa: ['::1'], mx: [], txt: ['x'] },
    '192.0.2.1': { ptr: ['a.test'] },
  })
  let made = 0
  const dns = lazyDns(async () => {
    made++
    return real
  })
  const share = dns.forMessage()
  expect(made).toBe(0)
  expect(await Promise.all([dns.a('a.test'), dns.aaaa('a.test'), share.mx('a.test'), share.txt('a.test')])).toEqual([
    ['192.0.2.1'],
    ['::1'],
    [],
    ['x'],
  ])
  expect(await dns.ptr('192.0.2.1')).toEqual(['a.test'])
  expect(made).toBe(1)
})

it('what keeps it from being made is what a look-up rejects with', async () => {
  const dns = lazyDns(async () => {
    throw new Error('the configuration is broken')
  })
  await expect(dns.txt('a.test')).rejects.toThrow('the configuration is broken')
})
