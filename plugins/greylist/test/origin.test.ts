import { expect, test } from 'vitest'
import { type OriginFacts, organisation, originOf } from '../src/origin.ts'

const facts = (given: Partial<OriginFacts>): string =>
  originOf({
    address: '192.0.2.17',
    name: null,
    unverifiedName: null,
    dynamic: name => name.includes('dyn'),
    spfDomain: null,
    ...given,
  }).text

test('SPF goes before the name, the name before the network, and who has neither stands alone', () => {
  const name = 'mx1.mail.example.co.uk'
  expect(facts({ name, spfDomain: 'news.example.org' })).toBe('d:example.org')
  expect(facts({ name })).toBe('h:example.co.uk')
  expect(facts({ unverifiedName: name })).toBe('n:192.0.2.0/24')
  expect(facts({})).toBe('a:192.0.2.17')
})

test('a name of an end user’s line says nothing but the address, verified or not', () => {
  expect(facts({ name: 'dyn-17.example.net' })).toBe('a:192.0.2.17')
  expect(facts({ unverifiedName: 'dyn-17.example.net' })).toBe('a:192.0.2.17')
})

test('customers of one hosting company are strangers', () => {
  expect(facts({ name: 'one.compute-1.amazonaws.com' })).not.toBe(facts({ name: 'two.compute-1.amazonaws.com' }))
  expect(organisation('alice.github.io')).toBe('alice.github.io')
})

test('a name without a registered domain leaves the network', () => {
  expect(facts({ name: 'localhost' })).toBe('n:192.0.2.0/24')
  expect(facts({ name: 'com' })).toBe('n:192.0.2.0/24')
})

test.each([
  ['2001:db8:1:2:3:4:5:6', 'a:2001:db8:1:2::/64'],
  ['2001:db8::1', 'a:2001:db8:0:0::/64'],
  ['::1', 'a:0:0:0:0::/64'],
  ['::ffff:192.0.2.17', 'a:192.0.2.17'],
  ['fe80::1%eth0', 'a:fe80:0:0:0::/64'],
  ['', 'a:'],
  ['/run/postfix.sock', 'a:/run/postfix.sock'],
  ['not:an:address', 'a:not:an:address'],
])('%s is %s', (address, text) => {
  expect(facts({ address })).toBe(text)
})

test('an IPv6 client with a server’s name counts with its /64', () => {
  expect(facts({ address: '2001:db8:1:2::9', unverifiedName: 'mx.example.org' })).toBe('n:2001:db8:1:2::/64')
})

test('a domain is one whatever its case, its final dot and its letters', () => {
  expect(organisation('News.Example.ORG.')).toBe('example.org')
  expect(organisation('mail.bücher.example')).toBe('xn--bcher-kva.example')
  expect(organisation('nonsense..')).toBe('nonsense.')
})
