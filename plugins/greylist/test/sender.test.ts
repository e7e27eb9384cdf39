import { expect, test } from 'vitest'
import { recipientText, type SenderKey, senderText } from '../src/sender.ts'

const key = (address: string, how: SenderKey = 'normalised'): string => {
  const at = address.lastIndexOf('@')
  return senderText({ local: address.slice(0, Math.max(at, 0)), domain: address.slice(at + 1) }, how)
}

test.each([
  ['Alice@Example.ORG', 'alice@example.org', 'case'],
  ['alice+news@example.org', 'alice@example.org', 'a detail'],
  ['prvs=0123456789=alice@example.org', 'alice@example.org', 'a bounce tag before'],
  ['prvs=alice=0123456789@example.org', 'alice@example.org', 'a bounce tag behind'],
  ['msprvs1=17abcdef=alice@example.org', 'alice@example.org', 'a bounce tag of SparkPost'],
  ['btv1==345a9c25ef7==alice@example.org', 'alice@example.org', 'a bounce tag of Barracuda'],
  ['SRS0=HHH=TT=orig.example=user@fwd.example', 'srs@fwd.example', 'a forwarder'],
  ['srs1+abc=other==HHH=TT=orig=user@fwd.example', 'srs@fwd.example', 'a forwarder of a forwarder'],
  ['bounce-12345-678@list.example', 'bounce-#@list.example', 'numbers'],
  ['m.20261124.5f3a@list.example', 'm.#.5f3a@list.example', 'a number but no word with few digits'],
  ['0100018fdeadbeef-1234abcd-0000@ses.example', '#@ses.example', 'rows of hex'],
  ['bounces+alice=example.org@list.example', 'bounces@list.example', 'a recipient behind a plus'],
  ['user2@example.org', 'user2@example.org', 'a name that ends in a digit stays'],
  ['a@BÜCHER.example', 'a@xn--bcher-kva.example', 'a domain that is not ASCII'],
  ['postmaster', 'postmaster@', 'no domain'],
])('%s is %s: %s', (address, text) => {
  expect(address.includes('@') ? key(address) : senderText({ local: address, domain: '' }, 'normalised')).toBe(text)
})

test('two attempts with tags of their own are one sender, two users are two', () => {
  expect(key('prvs=1111111111=a@x.example')).toBe(key('prvs=2222222222=a@x.example'))
  expect(key('news-2026-11-24-17@x.example')).toBe(key('news-2026-11-25-18@x.example'))
  expect(key('a@x.example')).not.toBe(key('b@x.example'))
})

test('how much of it counts is chosen', () => {
  expect(key('Al+x@Example.org', 'address')).toBe('al+x@example.org')
  expect(key('al+x@example.org', 'domain')).toBe('@example.org')
  expect(key('al+x@example.org', 'none')).toBe('@')
  for (const how of ['address', 'normalised', 'domain', 'none'] as const)
    expect(senderText({ local: '', domain: '' }, how)).toBe('')
})

test('a local part of any length and content takes no time', () => {
  const began = performance.now()
  for (const local of ['prvs='.repeat(20_000), '=1'.repeat(50_000), '1'.repeat(100_000), '-#'.repeat(50_000)])
    senderText({ local, domain: 'x.example' }, 'normalised')
  expect(performance.now() - began).toBeLessThan(1_000)
})

test('recipients are one whatever their case', () => {
  expect(recipientText({ local: 'Bob', domain: 'Example.COM' })).toBe('bob@example.com')
})
