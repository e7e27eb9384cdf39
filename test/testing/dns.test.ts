import { expect, test } from 'vitest'
import { fakeDns } from '../../src/testing.ts'

const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'answered',
    (error: { code: string }) => error.code,
  )

test('it answers from its zone, whatever the case and a final dot', async () => {
  const dns = fakeDns({
    'example.org': { a: ['192.0.2.1'], aaaa: [], mx: [{ exchange: 'mx.example.org', priority: 5 }], txt: ['v=spf1'] },
    '192.0.2.1': { ptr: ['example.org'] },
  })
  expect(await dns.a('Example.ORG.')).toEqual(['192.0.2.1'])
  expect(await dns.mx('example.org')).toEqual([{ exchange: 'mx.example.org', priority: 5 }])
  expect(await dns.txt('example.org')).toEqual(['v=spf1'])
  expect(await dns.ptr('192.0.2.1')).toEqual(['example.org'])
})

test('it fails as DNS fails', async () => {
  const dns = fakeDns({ 'a.test': { mx: 'ETIMEOUT' }, 'b.test': 'ESERVFAIL' })
  expect(await codeOf(dns.a('nowhere.test'))).toBe('ENOTFOUND')
  expect(await codeOf(dns.a('a.test'))).toBe('ENODATA')
  expect(await codeOf(dns.mx('a.test'))).toBe('ETIMEOUT')
  expect(await codeOf(dns.txt('b.test'))).toBe('ESERVFAIL')
})

test('a look-up that hangs ends with its signal', async () => {
  const dns = fakeDns({ 'a.test': 'hang' })
  const controller = new AbortController()
  const code = codeOf(dns.a('a.test', controller.signal))
  controller.abort()
  expect(await code).toBe('ECANCELLED')
  expect(await codeOf(dns.a('a.test', controller.signal))).toBe('ECANCELLED')
})

test('every look-up is remembered', async () => {
  const dns = fakeDns()
  await codeOf(dns.a('a.test'))
  await codeOf(dns.txt('b.test'))
  expect(dns.calls).toEqual([
    { type: 'a', name: 'a.test' },
    { type: 'txt', name: 'b.test' },
  ])
})
