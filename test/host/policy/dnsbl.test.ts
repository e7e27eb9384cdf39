import { describe, expect, it } from 'vitest'
import { dnsblLookup, dnsblName } from '../../../src/host/policy/dnsbl.ts'
import { networks } from '../../../src/host/policy/networks.ts'
import { fakeDns } from '../../../src/testing.ts'

const v6 = '1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2'

describe('the name to ask a DNS list for', () => {
  it.each([
    ['192.0.2.99', 'bl.example', '99.2.0.192.bl.example'],
    ['192.0.2.99', '.bl.example.', '99.2.0.192.bl.example'],
    ['::ffff:192.0.2.99', 'bl.example', '99.2.0.192.bl.example'],
    ['2001:db8::1', 'bl.example', `${v6}.bl.example`],
    ['2001:DB8:0:0:0:0:0:1', 'bl.example', `${v6}.bl.example`],
  ])('of %s in %s is %s', (address, list, name) => {
    expect(dnsblName(address, list)).toBe(name)
  })

  it.each(['', 'localhost', '[192.0.2.1]', '/run/a.sock'])('there is none for %j', address => {
    expect(() => dnsblName(address, 'bl.example')).toThrow(RangeError)
  })
})

describe('a DNS list', () => {
  const answering = (...a: string[]): Parameters<typeof dnsblLookup>[0] => fakeDns({ '1.2.0.192.bl.example': { a } })
  const ask = (dns: Parameters<typeof dnsblLookup>[0], codes?: readonly string[]): ReturnType<typeof dnsblLookup> =>
    dnsblLookup(dns, '192.0.2.1', 'bl.example', codes === undefined ? {} : { codes })

  it('lists an address that it answers 127/8 for', async () => {
    expect(await ask(answering('127.0.0.2', '127.0.0.10'))).toEqual({
      kind: 'listed',
      codes: ['127.0.0.2', '127.0.0.10'],
    })
  })

  it('lists an IPv6 address', async () => {
    const dns = fakeDns({ [`${v6}.bl.example`]: { a: ['127.0.0.2'] } })
    expect((await dnsblLookup(dns, '2001:db8::1', 'bl.example')).kind).toBe('listed')
    expect(dns.calls).toEqual([{ type: 'a', name: `${v6}.bl.example` }])
  })

  it('does not list an address whose name does not exist or has no address', async () => {
    expect(await ask(fakeDns())).toEqual({ kind: 'clean' })
    expect(await ask(fakeDns({ '1.2.0.192.bl.example': 'ENODATA' }))).toEqual({ kind: 'clean' })
  })

  it.each([
    ['127.255.255.254', 'the query was refused'],
    ['127.255.255.255', 'too many queries'],
    ['203.0.113.7', 'a search page of the provider'],
    ['0.0.0.0', 'a blocking resolver'],
  ])('answers with %s: an error (%s), not a hit', async answer => {
    const got = await ask(answering('127.0.0.2', answer))
    expect(got).toMatchObject({ kind: 'error' })
    expect(JSON.stringify(got)).toContain(answer)
  })

  it('lists nothing near the range of refusals by mistake', async () => {
    expect((await ask(answering('127.255.254.1'))).kind).toBe('listed')
    expect((await ask(answering('127.254.255.1'))).kind).toBe('listed')
  })

  it('lists only the codes that count', async () => {
    expect(await ask(answering('127.0.0.2', '127.0.0.11'), ['127.0.0.10/31'])).toEqual({
      kind: 'listed',
      codes: ['127.0.0.11'],
    })
    expect(await ask(answering('127.0.0.2'), ['127.0.0.10/31'])).toEqual({ kind: 'clean' })
    const compiled = networks(['127.0.0.2'])
    expect((await dnsblLookup(answering('127.0.0.2'), '192.0.2.1', 'bl.example', { codes: compiled })).kind).toBe(
      'listed',
    )
  })

  it.each(['ESERVFAIL', 'EREFUSED', 'ETIMEOUT'] as const)('that fails with %s is an error', async code => {
    const answer = await ask(fakeDns({ '1.2.0.192.bl.example': code }))
    expect(answer).toEqual({ kind: 'error', reason: `1.2.0.192.bl.example: ${code}` })
  })

  it('is not waited for once the signal is aborted', async () => {
    const controller = new AbortController()
    const dns = fakeDns({ '1.2.0.192.bl.example': 'hang' })
    const answer = dnsblLookup(dns, '192.0.2.1', 'bl.example', { signal: controller.signal })
    controller.abort()
    expect(await answer).toEqual({ kind: 'error', reason: '1.2.0.192.bl.example: ECANCELLED' })
  })
})
