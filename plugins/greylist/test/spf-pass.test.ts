import { type FakeZone, fakeDns } from 'milterhost/testing'
import { expect, test } from 'vitest'
import { spfPass } from '../src/spf-pass.ts'

const answer = (record: string | readonly string[], address = '192.0.2.17', more: FakeZone = {}): Promise<string> =>
  spfPass(
    fakeDns({ 'example.org': { txt: typeof record === 'string' ? [record] : record }, ...more }),
    address,
    'example.org',
  )

test.each([
  ['v=spf1 ip4:192.0.2.0/24 -all', 'pass'],
  ['V=SPF1 +IP4:192.0.2.17 -all', 'pass'],
  ['v=spf1 ip4:192.0.2.99/24 -all', 'pass'],
  ['v=spf1 ip4:198.51.100.0/24 -all', 'no'],
  ['v=spf1 -ip4:192.0.2.17 ip4:192.0.2.0/24', 'no'],
  ['v=spf1 ?ip4:192.0.2.17 +all', 'no'],
  ['v=spf1 ~all', 'no'],
  ['v=spf1', 'no'],
  ['v=spf10 ip4:192.0.2.17', 'no'],
  ['v=spf1 +all', 'open'],
  ['v=spf1 ip4:0.0.0.0/0', 'open'],
  ['v=spf1 ip4:192.0.0.0/7 -all', 'open'],
  ['v=spf1 ip4:192.0.0.0/8 -all', 'pass'],
  ['v=spf1 exists:%{i}.example.org -all', 'unsure'],
  ['v=spf1 ptr -all', 'unsure'],
  ['v=spf1 a:%{d} -all', 'unsure'],
  ['v=spf1 ip4:192.0.2.17/33 -all', 'no'],
  ['v=spf1 ip4:nonsense -all', 'no'],
  ['v=spf1 ip4:192.0.2.0/24 exists:%{i}.x -all', 'pass'],
  ['v=spf1 exp=why.example.org ip4:192.0.2.17 -all', 'pass'],
])('%s: %s', async (record, expected) => {
  expect(await answer(record)).toBe(expected)
})

test.each([
  ['v=spf1 a -all', { 'example.org': { txt: ['v=spf1 a -all'], a: ['192.0.2.17'] } }],
  ['v=spf1 a:mail.example.org/24 -all', { 'mail.example.org': { a: ['192.0.2.1'] } }],
  [
    'v=spf1 mx -all',
    {
      'example.org': { txt: ['v=spf1 mx -all'], mx: [{ exchange: 'mx.example.org', priority: 1 }] },
      'mx.example.org': { a: ['192.0.2.17'] },
    },
  ],
  ['v=spf1 include:_spf.example.net -all', { '_spf.example.net': { txt: ['v=spf1 ip4:192.0.2.0/24 -all'] } }],
  ['v=spf1 redirect=_spf.example.net', { '_spf.example.net': { txt: ['v=spf1 ip4:192.0.2.0/24 -all'] } }],
  ['v=spf1 a:gone.example.org include:gone.example.org ip4:192.0.2.17', {}],
])('%s passes', async (record, zone) => {
  expect(await answer(record, '192.0.2.17', zone as FakeZone)).toBe('pass')
})

test('an include that fails is no match, and one that lets everybody pass is open', async () => {
  const fails = { '_spf.example.net': { txt: ['v=spf1 -all'] } }
  expect(await answer('v=spf1 include:_spf.example.net ip4:192.0.2.17', undefined, fails)).toBe('pass')
  const open = { '_spf.example.net': { txt: ['v=spf1 +all'] } }
  expect(await answer('v=spf1 include:_spf.example.net -all', undefined, open)).toBe('open')
})

test('IPv6 clients', async () => {
  expect(await answer('v=spf1 ip6:2001:db8::/32 -all', '2001:db8::7')).toBe('pass')
  expect(await answer('v=spf1 ip6:2001:db8::5/126 -all', '2001:db8::7')).toBe('pass')
  expect(await answer('v=spf1 ip6:2000::/3 -all', '2001:db8::7')).toBe('open')
  expect(await answer('v=spf1 ip4:192.0.2.0/24 -all', '2001:db8::7')).toBe('no')
  expect(
    await answer('v=spf1 a//64 -all', '2001:db8::7', {
      'example.org': { txt: ['v=spf1 a//64 -all'], aaaa: ['2001:db8::1'] },
    }),
  ).toBe('pass')
})

test('a loop, more look-ups than ten, or names of any length end the walk', async () => {
  expect(await answer('v=spf1 include:example.org -all')).toBe('unsure')
  expect(await answer(`v=spf1 ${Array.from({ length: 11 }, (_, i) => `a:a${i}.example.org`).join(' ')} -all`)).toBe(
    'unsure',
  )
  expect(await answer(`v=spf1 a:${'x'.repeat(300)}.example -all`)).toBe('unsure')
  expect(await answer(`v=spf1 ip4:192.0.2.17 ${'x'.repeat(9_000)}`)).toBe('no')
})

test('two records, no record, a DNS that fails and a client without an address are no pass', async () => {
  expect(await answer(['v=spf1 +all', 'v=spf1 ip4:192.0.2.17'])).toBe('no')
  expect(await answer(['something else'])).toBe('no')
  expect(await spfPass(fakeDns({ 'example.org': 'ESERVFAIL' }), '192.0.2.17', 'example.org')).toBe('no')
  expect(await answer('v=spf1 +all', '/run/socket')).toBe('no')
})
