import { isIPv6 } from 'node:net'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { reverseName, wireName } from '../../src/dns/name.ts'
import { makeQuery } from '../../src/dns/query.ts'

it('the names of addresses', () => {
  expect(reverseName('192.0.2.1')).toBe('1.2.0.192.in-addr.arpa')
  const digits = (text: string): string => `${[...text].reverse().join('.')}.ip6.arpa`
  expect(reverseName('2001:DB8::1')).toBe(digits('20010db8000000000000000000000001'))
  expect(reverseName('::')).toBe(digits('0'.repeat(32)))
  expect(reverseName('fe80::')).toBe(digits(`fe80${'0'.repeat(28)}`))
  expect(reverseName('::ffff:192.0.2.1')).toBe('1.2.0.192.in-addr.arpa')
  expect(reverseName('1:2:3:4:5:6:7:8')).toBe(digits('00010002000300040005000600070008'))
  for (const no of ['', '192.0.2', 'fe80::1%eth0', 'a.test', '1:2:3']) expect(reverseName(no)).toBeNull()
})

it('every IPv6 address has 32 digits, or is an IPv4 address', () => {
  fc.assert(
    fc.property(fc.ipV6(), address => {
      fc.pre(isIPv6(address))
      expect(reverseName(address)).toMatch(/^([0-9a-f]\.){32}ip6\.arpa$|^([0-9]+\.){4}in-addr\.arpa$/)
    }),
  )
})

it('what is taken as a name can be asked for, and asked for again as it came out', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.string({ unit: 'grapheme' }), fc.domain()), text => {
      const name = wireName(text)
      if (name === null) return
      expect(wireName(name)).toBe(name)
      const { bytes, questionEnd } = makeQuery(1, name, 'A', false)
      expect(bytes).toHaveLength(questionEnd)
      expect(questionEnd).toBeLessThanOrEqual(12 + 255 + 4)
    }),
  )
})
