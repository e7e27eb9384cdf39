/** DMARC as RFC 9989 has it, and what the postmaster makes of it. */
import { type FakeZone, fakeClock, fakeDns, testPlugin } from 'milterhost/testing'
import { describe, expect, it } from 'vitest'
import { disposition } from '../src/dmarc/decide.ts'
import type { DmarcResult } from '../src/dmarc/evaluate.ts'
import dkim from '../src/index.ts'
import { folder, RSA } from './support/keys.ts'
import { MESSAGE, NOW, results, sign, verify } from './support/play.ts'

/** `dmarc=` of an unsigned or signed message from an author, with these records. */
async function outcome(author: string, records: Readonly<Record<string, string>>, signed = false): Promise<string> {
  const zone: FakeZone = {
    'rsa._domainkey.example.org': { txt: [RSA.record] },
    'host.example.org': { a: ['192.0.2.1'] },
    ...Object.fromEntries(Object.entries(records).map(([name, text]) => [`_dmarc.${name}`, { txt: text.split('\n') }])),
  }
  const message = MESSAGE.replace('ann@example.org', `ann@${author}`)
  const delivered = await verify(signed ? await sign(message) : message, { zone })
  const [result = ''] = results(delivered, 'dmarc')
  return result.replace(/ header\.from=\S+/, '')
}

describe('the record that applies', () => {
  it.each([
    ['the own one', 'example.org', { 'example.org': 'v=DMARC1; p=reject' }, 'dmarc=fail policy.dmarc=reject'],
    ['none', 'example.org', {}, 'dmarc=none'],
    [
      'one above, by the tree',
      'a.b.example.org',
      { 'example.org': 'v=DMARC1; p=quarantine; sp=reject' },
      'dmarc=fail policy.dmarc=reject',
    ],
    [
      'np, for a name that is not there',
      'nowhere.example.org',
      { 'example.org': 'v=DMARC1; p=none; np=reject' },
      'dmarc=fail policy.dmarc=reject',
    ],
    [
      'not np, for one that is',
      'host.example.org',
      { 'example.org': 'v=DMARC1; p=none; np=reject' },
      'dmarc=fail policy.dmarc=none',
    ],
    [
      't=y, one step milder',
      'example.org',
      { 'example.org': 'v=DMARC1; p=reject; t=y' },
      'dmarc=fail policy.dmarc=quarantine',
    ],
    ['two records are none', 'example.org', { 'example.org': 'v=DMARC1; p=reject\nv=DMARC1; p=none' }, 'dmarc=none'],
    [
      'pct is not looked at',
      'example.org',
      { 'example.org': 'v=DMARC1; p=reject; pct=0' },
      'dmarc=fail policy.dmarc=reject',
    ],
    [
      'a wrong p with a place to report to is none',
      'example.org',
      { 'example.org': 'v=DMARC1; p=maybe; rua=mailto:a@example.org' },
      'dmarc=fail policy.dmarc=none',
    ],
  ])('%s', async (_what, author, records, expected) => {
    expect(await outcome(author, records as unknown as Record<string, string>)).toBe(expected)
  })

  it('psd=y: a registry does not make its customers one organization', async () => {
    const records = { org: 'v=DMARC1; p=none; psd=y', 'example.org': 'v=DMARC1; p=reject' }
    expect(await outcome('news.example.org', records, true)).toBe('dmarc=pass policy.dmarc=reject')
    expect(await outcome('other.org', { org: 'v=DMARC1; p=reject; psd=y' }, true)).toBe(
      'dmarc=fail policy.dmarc=reject',
    )
  })
})

describe('a signature of a public suffix', () => {
  const records = {
    'co.uk': 'v=DMARC1; p=reject; psd=y',
    'bank.co.uk': 'v=DMARC1; p=reject',
  }
  const signedBySuffix = async (author: string, given: Readonly<Record<string, string>>): Promise<string[]> => {
    const path = folder({ key: RSA.pem })
    const zone = {
      's._domainkey.co.uk': { txt: [RSA.record] },
      ...Object.fromEntries(Object.entries(given).map(([name, text]) => [`_dmarc.${name}`, { txt: [text] }])),
    }
    const keys = [{ domain: 'co.uk', selector: 's', file: `${path}/key`, from: ['*'] }]
    const signed = await sign(MESSAGE.replace('ann@example.org', `ann@${author}`), { sign: { keys } })
    const delivered = await verify(signed, { zone, from: `ann@${author}` })
    return ['dkim', 'dmarc'].map(method => results(delivered, method)[0]!.split(' ')[0]!)
  }

  // RFC 9989 §4.10.2 has no list of suffixes: the tree walk says which organization a name is of.
  it.each([
    ['with psd=y', 'bank.co.uk', records],
    ['with psd=y, for a name further down', 'news.bank.co.uk', records],
    ['without a record', 'bank.co.uk', { 'bank.co.uk': 'v=DMARC1; p=reject' }],
    ['with a record where only the suffix has one', 'bank.co.uk', { 'co.uk': 'v=DMARC1; p=reject; psd=y' }],
  ])('%s is not aligned with its customers', async (_what, author, given) => {
    expect(await signedBySuffix(author, given as Readonly<Record<string, string>>)).toEqual(['dkim=pass', 'dmarc=fail'])
  })

  it('stands for mail of the registry itself', async () => {
    expect(await signedBySuffix('co.uk', records)).toEqual(['dkim=pass', 'dmarc=pass'])
  })
})

const fail: DmarcResult = {
  result: 'fail',
  domain: 'example.org',
  reason: null,
  policy: 'reject',
  published: null,
  aligned: { spf: false, dkim: false },
}
const rules = { policy: 'reject', domains: {}, badFrom: 'accept', temperror: 'accept' } as const

describe('what is done', () => {
  it.each([
    ['as published', fail, rules, null, { action: 'reject', wanted: 'reject', override: null }],
    [
      'at most quarantine',
      fail,
      { ...rules, policy: 'quarantine' },
      null,
      { action: 'quarantine', wanted: 'reject', override: 'local_policy' },
    ],
    [
      'nothing, told only',
      fail,
      { ...rules, policy: 'report-only' },
      null,
      { action: 'none', wanted: 'reject', override: 'local_policy' },
    ],
    [
      'nothing',
      fail,
      { ...rules, policy: 'none' },
      null,
      { action: 'none', wanted: 'reject', override: 'local_policy' },
    ],
    [
      'nothing, seen by a trusted sealer',
      fail,
      rules,
      'lists.example',
      { action: 'none', wanted: 'none', override: 'trusted_forwarder' },
    ],
    [
      'what the postmaster says of that domain',
      fail,
      { ...rules, policy: 'none', domains: { 'example.org': 'reject' } },
      'lists.example',
      { action: 'reject', wanted: 'reject', override: null },
    ],
    [
      'what says most of it',
      fail,
      { ...rules, domains: { '*': 'reject', '.org': 'quarantine', 'example.org': 'none' } },
      null,
      { action: 'none', wanted: 'none', override: 'local_policy' },
    ],
    [
      'what is said of all below',
      { ...fail, domain: 'a.example.org' },
      { ...rules, domains: { '*': 'reject', '.example.org': 'quarantine', '.org': 'none' } },
      null,
      { action: 'quarantine', wanted: 'quarantine', override: 'local_policy' },
    ],
    [
      'nothing for a pass',
      { ...fail, result: 'pass' },
      { ...rules, domains: { '*': 'reject' } },
      null,
      { action: 'none', wanted: 'none', override: null },
    ],
    [
      'nothing without a record',
      { ...fail, result: 'none', policy: null },
      rules,
      null,
      { action: 'none', wanted: 'none', override: null },
    ],
    [
      'a bad From',
      { ...fail, result: 'permerror' },
      { ...rules, badFrom: 'reject' },
      null,
      { action: 'reject', wanted: 'reject', override: null },
    ],
    [
      'DNS down',
      { ...fail, result: 'temperror' },
      { ...rules, temperror: 'tempfail' },
      null,
      { action: 'tempfail', wanted: 'none', override: null },
    ],
  ] as const)('%s', (_what, dmarc, given, sealer, expected) => {
    expect(disposition(dmarc, given, sealer)).toEqual(expected)
  })

  it('is done: refused, held, or told in the log and counted', async () => {
    const dns = fakeDns({ '_dmarc.example.org': { txt: ['v=DMARC1; p=reject'] } })
    const play = async (policy: 'reject' | 'quarantine' | 'report-only'): Promise<unknown[]> => {
      await using host = await testPlugin(dkim({ dmarc: { policy } }), { clock: fakeClock(NOW), dns })
      const { outcome: ended } = await host.deliver({ message: MESSAGE })
      const counted = host.counters().find(({ name }) => name === 'milterhost_dkim_dmarc_total')?.samples[0]
        ?.labels.action
      return [ended, counted, host.logs.filter(({ level }) => level === 'info').map(({ message }) => message)]
    }
    expect(await play('reject')).toEqual(['reject', 'reject', ['DMARC']])
    expect(await play('quarantine')).toEqual(['quarantine', 'quarantine', ['DMARC']])
    expect(await play('report-only')).toEqual(['accept', 'none', ['DMARC would reject this message']])
  })

  it('a message that was sealed by a trusted list is not refused, by anybody else it is', async () => {
    const path = folder({ seal: RSA.pem })
    const zone = {
      'rsa._domainkey.example.org': { txt: [RSA.record] },
      's._domainkey.lists.example': { txt: [RSA.record] },
      '_dmarc.example.org': { txt: ['v=DMARC1; p=reject'] },
    }
    const seal = { domain: 'lists.example', selector: 's', file: `${path}/seal` }
    const signed = await sign(MESSAGE)
    const sealed = await verify(signed, { zone, options: { arc: { seal } } })
    const set = sealed.message!.headers.filter(({ name }) => name.startsWith('ARC-'))
    expect(set.map(({ name }) => name)).toEqual(['ARC-Seal', 'ARC-Message-Signature', 'ARC-Authentication-Results'])
    expect(set[2]!.value).toContain('dmarc=pass header.from=example.org')
    const forwarded = `${set.map(({ name, value }) => `${name}: ${value.replaceAll('\n', '\r\n')}\r\n`).join('')}${signed}`
    // The sender's own signature does not hold any more.
    const later = { ...zone, 'rsa._domainkey.example.org': 'ENOTFOUND' } as const
    const at = async (trustedSealers: string[], options = {}): Promise<[string, string[]]> => {
      const delivered = await verify(forwarded, {
        zone: later,
        options: { dmarc: { policy: 'reject' }, arc: { trustedSealers, ...options } },
      })
      return [delivered.outcome, results(delivered, 'arc')]
    }
    expect(await at(['lists.example'])).toEqual([
      'accept',
      ['arc=pass header.d=lists.example smtp.remote-ip=192.0.2.1'],
    ])
    expect((await at([]))[0]).toBe('reject')
    expect((await at(['.lists.example']))[0]).toBe('reject')
    // A second seal on top: the chain is still whole.
    const twice = await verify(forwarded, { zone, options: { arc: { seal } } })
    const second = twice.message!.headers.filter(({ name, value }) => name === 'ARC-Seal' && value.includes('i=2'))
    expect(second[0]?.value).toContain('cv=pass')
  })
})
