import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { networks, networkTable, PRIVATE_NETWORKS } from '../../../src/host/policy/networks.ts'

describe('a list of networks', () => {
  it.each([
    ['192.0.2.0/24', '192.0.2.0', true],
    ['192.0.2.0/24', '192.0.2.255', true],
    ['192.0.2.0/24', '192.0.3.0', false],
    ['192.0.2.7', '192.0.2.7', true],
    ['192.0.2.7', '192.0.2.8', false],
    ['0.0.0.0/0', '255.255.255.255', true],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['::/0', '2001:db8::1', true],
    ['::/0', '192.0.2.1', false],
    ['2001:db8::/32', '2001:db8:ffff::1', true],
    ['2001:db8::/32', '2001:db9::1', false],
    ['[2001:db8::]/32', '2001:DB8::1', true],
    ['2001:db8::1', '2001:db8:0:0:0:0:0:1', true],
    ['255.255.255.0/24', '255.255.255.1', true],
  ])('%s holds %s: %s', (network, address, held) => {
    expect(networks([network]).has(address)).toBe(held)
  })

  it('takes an IPv4 address inside IPv6 for that IPv4 address, on both sides', () => {
    expect(networks(['10.0.0.0/8']).has('::ffff:10.1.2.3')).toBe(true)
    expect(networks(['10.0.0.0/8']).has('::ffff:a01:203')).toBe(true)
    expect(networks(['::ffff:10.0.0.0/104']).has('10.1.2.3')).toBe(true)
    expect(networks(['::ffff:10.0.0.0/104']).has('11.1.2.3')).toBe(false)
  })

  it('holds nothing that is no address', () => {
    const all = networks(['0.0.0.0/0', '::/0'])
    for (const text of [
      '',
      'localhost',
      '/run/a.sock',
      '[192.0.2.1]',
      '192.0.2',
      '010.0.0.1',
      '0x7f.0.0.1',
      'fe80::1%eth0',
    ])
      expect(all.has(text), text).toBe(false)
  })

  it.each([
    ['192.0.2.0/33', 'longer than 32'],
    ['2001:db8::/129', 'longer than 128'],
    ['192.0.2.1/24', 'bits beyond'],
    ['2001:db8::1/32', 'bits beyond'],
    ['192.0.2/24', 'the address is not one'],
    ['example.org', 'the address is not one'],
    ['192.0.2.0/24/8', 'the address is not one'],
    ['192.0.2.0/', 'prefix is not a number'],
    ['192.0.2.0/x', 'prefix is not a number'],
    ['', 'the address is not one'],
  ])('refuses %j and names it', (network, reason) => {
    expect(() => networks(['10.0.0.0/8', network])).toThrow(RangeError)
    expect(() => networks([network])).toThrow(JSON.stringify(network))
    expect(() => networks([network])).toThrow(reason)
  })

  it('knows the private ranges of both families, and not the providers’ shared one', () => {
    const local = networks(PRIVATE_NETWORKS)
    for (const address of [
      '127.0.0.1',
      '10.255.0.1',
      '172.31.0.1',
      '192.168.9.9',
      '169.254.1.1',
      '::1',
      'fd00::1',
      'fe80::1',
    ])
      expect(local.has(address), address).toBe(true)
    for (const address of ['172.32.0.1', '11.0.0.1', '100.64.0.1', '8.8.8.8', '2001:4860:4860::8888', '::2'])
      expect(local.has(address), address).toBe(false)
  })
})

describe('a table of networks', () => {
  const entries: [string, string][] = [
    ['10.0.0.0/8', 'wide'],
    ['10.1.0.0/16', 'narrow'],
    ['10.1.2.3', 'one'],
    ['10.0.0.0/8', 'again'],
    ['::/0', 'six'],
  ]

  it('answers with the most specific network', () => {
    const table = networkTable(entries)
    expect([table.get('10.1.2.3'), table.get('10.1.9.9'), table.get('10.9.9.9')]).toEqual(['one', 'narrow', 'wide'])
    expect([table.get('11.0.0.1'), table.get('::5')]).toEqual([undefined, 'six'])
    expect(table.size).toBe(4)
  })

  it('answers with the first written when told so', () => {
    const table = networkTable([...entries].reverse(), 'first')
    expect([table.get('10.1.2.3'), table.get('10.9.9.9')]).toEqual(['again', 'again'])
  })

  it('agrees with a search through the list, for any networks and addresses', () => {
    const address = fc.nat({ max: 0xff }).map(n => 0x0a000000 | n)
    const network = fc.tuple(address, fc.integer({ min: 22, max: 32 }))
    const dotted = (n: number): string => [24, 16, 8, 0].map(shift => (n >>> shift) & 0xff).join('.')
    const under = (n: number, prefix: number): number => (n >>> (32 - prefix)) << (32 - prefix)
    fc.assert(
      fc.property(fc.array(network, { maxLength: 12 }), address, (list, asked) => {
        const written = list.map(([n, prefix], index) => [`${dotted(under(n, prefix))}/${prefix}`, index] as const)
        const hits = list.flatMap(([n, prefix], index) =>
          under(n, prefix) === under(asked, prefix) ? [{ prefix, index }] : [],
        )
        const longest = [...hits].sort((a, b) => b.prefix - a.prefix || a.index - b.index)[0]?.index
        expect(networkTable(written).get(dotted(asked))).toBe(longest)
        expect(networkTable(written, 'first').get(dotted(asked))).toBe(hits[0]?.index)
      }),
    )
  })

  it('is asked as fast at ten thousand networks as at ten: no search through the list', () => {
    const many = Array.from({ length: 10_000 }, (_, i) => [`10.${i >> 8}.${i & 255}.0/24`, i] as const)
    const table = networkTable(many)
    const rounds = 20_000
    const began = process.hrtime.bigint()
    for (let i = 0; i < rounds; i++) expect0(table.get(`10.${(i >> 8) % 39}.${i & 255}.9`) !== undefined)
    // A linear search takes about 80 µs a question here; a look-up well below one. The bound is generous on purpose.
    expect(Number(process.hrtime.bigint() - began) / rounds).toBeLessThan(40_000)
  })
})

function expect0(held: boolean): void {
  if (!held) throw new Error('a network that is in the list was not found')
}
