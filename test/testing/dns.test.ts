import { expect, test } from 'vitest'
import { fakeDns, zoneDns } from '../../src/testing.ts'

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

test('an alias is followed, one in a circle fails', async () => {
  const dns = fakeDns({ 'b.test': { cname: 'A.test.' }, 'a.test': { txt: ['x'] }, 'c.test': { cname: 'c.test' } })
  expect(await dns.txt('b.test')).toEqual(['x'])
  expect(await codeOf(dns.txt('c.test'))).toBe('ESERVFAIL')
})

test('a zone file is read as name servers read it', async () => {
  const dns = zoneDns(`
    $ORIGIN Example.org.
    $TTL 1h
    @     IN SOA ns root 1 2 3 4 5
          3600 IN TXT "v=spf1 " "a:mail;x -all" ; a comment
          TXT ( "two"
                "lines" )
          MX  10 mail
          300 MX 20 mail.example.net.
    mail  A 192.0.2.1
    mail  AAAA 2001:db8::1
    www   CNAME mail
    mx    TXT "a \\"quote\\" \\195\\188"
    bad   TXT !ETIMEOUT
    1.2.0.192.in-addr.arpa. PTR mail
  `)
  expect(await dns.txt('example.org')).toEqual(['v=spf1 a:mail;x -all', 'twolines'])
  expect(await dns.mx('example.org')).toEqual([
    { exchange: 'mail.example.org', priority: 10 },
    { exchange: 'mail.example.net', priority: 20 },
  ])
  expect(await dns.a('www.example.org')).toEqual(['192.0.2.1'])
  expect(await dns.aaaa('MAIL.example.org')).toEqual(['2001:db8::1'])
  expect(await dns.txt('mx.example.org')).toEqual(['a "quote" \xc3\xbc'])
  expect(await dns.ptr('192.0.2.1')).toEqual(['mail.example.org'])
  expect(await codeOf(dns.txt('bad.example.org'))).toBe('ETIMEOUT')
  expect(await codeOf(dns.a('bad.example.org'))).toBe('ENODATA')
  expect(await codeOf(dns.a('none.example.org'))).toBe('ENOTFOUND')
  expect(dns.calls).toHaveLength(9)
})

test.each([
  ['a.test. A', 'line 1 of the zone: the A record has no data'],
  ['\na.test. FOO bar', 'line 2 of the zone: FOO is no type of record'],
  ['a.test. TXT !EWHAT', 'line 1 of the zone: EWHAT is no failure'],
  ['a.test. TXT ( "x"', 'the zone ends inside of parentheses'],
  ['$INCLUDE x', 'line 1 of the zone: there is no $INCLUDE'],
])('the mistake in %j is named', (text, message) => {
  expect(() => zoneDns(text)).toThrow(message)
})
