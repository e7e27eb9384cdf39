/** What a recording does not say, and what stays so that filters and conditions behave as they did. */
import fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import { describe, expect, it } from 'vitest'
import { Pseudonyms } from '../../../src/testing/recording/pseudonyms.ts'
import type { RecordedSession } from '../../../src/testing/recording/recorded.ts'
import { redacted } from '../../../src/testing/recording/redact.ts'
import { toScenario } from '../../../src/testing/recording/scenario-form.ts'
import { scenarioText } from '../../../src/testing/scenario/write.ts'

const pseudonyms = new Pseudonyms(Buffer.alloc(32, 1))

describe('pseudonyms', () => {
  it('are the same under one key, and others under another', () => {
    const again = new Pseudonyms(Buffer.alloc(32, 1))
    const other = new Pseudonyms(Buffer.alloc(32, 2))
    expect(again.address('<Alice@Example.org>')).toBe(pseudonyms.address('<alice@Example.org>'))
    expect(other.address('<alice@example.org>')).not.toBe(pseudonyms.address('<alice@example.org>'))
    expect(pseudonyms.address('<alice@Example.org>')).toMatch(/^<[a-z]{10}@Example\.org>$/)
    expect(pseudonyms.address('<>')).toBe('<>')
  })

  it('keep the network of a client, and two clients two', () => {
    const network = Array.from({ length: 256 }, (_, last) => pseudonyms.ip(`192.0.2.${last}`))
    expect(new Set(network).size).toBe(256)
    expect(network.every(address => address.startsWith('192.0.2.'))).toBe(true)
    expect(network.filter((address, last) => address === `192.0.2.${last}`).length).toBeLessThan(10)
    expect(pseudonyms.ip('2001:db8:1:2::3')).toMatch(/^2001:db8:1:/)
    expect(pseudonyms.ip('127.0.0.1')).toBe('127.0.0.1')
    expect(pseudonyms.ip('::1')).toBe('::1')
  })

  it('of IPv6 addresses of one /64 share another /64', () => {
    const half = (address: string): number[] => ipaddr.parse(address).toByteArray().slice(0, 8)
    const [one, two, three] = ['2001:db8:1:2::3', '2001:db8:1:2::4', '2001:db8:1:3::3'].map(a => pseudonyms.ip(a))
    expect(half(one!)).toEqual(half(two!))
    expect(half(one!)).not.toEqual(half(three!))
    expect(one).not.toBe(two)
  })

  it('keep the shape of host names', () => {
    expect(pseudonyms.host('host-192-0-2-7.dsl.example.net')).toMatch(/^host-\d{3}-\d-\d-\d\.dsl\.example\.net$/)
    expect(pseudonyms.host('mail.example.net')).toBe('mail.example.net')
    expect(pseudonyms.host('ALICES-PC')).toMatch(/^[a-z]{6}-[a-z]{2}$/)
    expect(pseudonyms.host('[192.0.2.7]')).toBe(`[${pseudonyms.ip('192.0.2.7')}]`)
  })

  it('are found in the middle of a text', () => {
    const text = pseudonyms.text('spf=pass (192.0.2.7 is allowed) smtp.mailfrom=alice@example.org; helo=mx.example.org')
    expect(text).toBe(
      `spf=pass (${pseudonyms.ip('192.0.2.7')} is allowed) smtp.mailfrom=${pseudonyms.local('alice')}@example.org; helo=mx.example.org`,
    )
    expect(pseudonyms.text('from [IPv6:2001:db8::7] at 12:30:45')).toBe(
      `from [IPv6:${pseudonyms.ip('2001:db8::7')}] at 12:30:45`,
    )
  })

  it('can be made of any text', () => {
    const unit = fc.constantFrom(...'ab1.:@<>[]"\\ ,;()=é\n\t-_')
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 60 }), text => {
        expect(pseudonyms.text(`${text} <alice@example.org>`)).not.toContain('alice')
      }),
    )
  })
})

const SECRETS = ['alice', 'bob', '192.0.2.7', 'private', 'Smith', 'salaries', 'login7']

const session: RecordedSession = {
  id: 'a.1',
  began: 0,
  mta: 'postfix',
  turns: [
    {
      at: 0,
      macros: new Map([
        [
          'connect',
          new Map([
            ['_', 'dsl.example.org [192.0.2.7]'],
            ['j', 'mx1.example.com'],
          ]),
        ],
      ]),
      command: {
        kind: 'connect',
        client: { family: 'inet', address: '192.0.2.7', port: 4711, hostname: '[192.0.2.7]' },
      },
      answer: { kind: 'continue' },
      filters: [],
    },
    {
      at: 1,
      macros: new Map([
        [
          'mail',
          new Map([
            ['auth_authen', 'login7'],
            ['mail_addr', 'alice@example.org'],
          ]),
        ],
      ]),
      command: { kind: 'mail', path: { raw: '<alice@example.org>', args: ['SIZE=10', 'AUTH=<alice@example.org>'] } },
      answer: { kind: 'continue' },
      filters: [],
    },
    {
      at: 2,
      macros: new Map(),
      command: { kind: 'rcpt', path: { raw: '<bob@example.com>', args: [] } },
      answer: { kind: 'reject', reply: { code: 550, enhanced: '5.7.1', lines: ['not bob@example.com, 192.0.2.7'] } },
      filters: [
        {
          filter: 'greylist',
          verdict: { kind: 'quarantine', reason: 'alice@example.org' },
          edits: [
            { kind: 'addRecipient', address: '<bob@example.com>', args: '' },
            { kind: 'insertHeader', index: 0, name: 'Subject', value: ' private' },
          ],
        },
      ],
    },
    {
      at: 3,
      macros: new Map(),
      command: {
        kind: 'message',
        fields: [
          { name: 'From', value: ' "Alice Smith" <alice@example.org>' },
          { name: 'To', value: ' bob@example.com (Bob Smith)' },
          { name: 'Subject', value: ' private matters' },
          { name: 'Content-Type', value: ' application/pdf; name="salaries.pdf"' },
          { name: 'Received', value: ' from x ([192.0.2.7]) for <bob@example.com>; Tue, 24 Nov 2026 15:42:01 +0000' },
        ],
        body: { bytes: 9, lines: 1, content: Buffer.from('private\r\n') },
      },
      answer: { kind: 'continue' },
      filters: [],
    },
  ],
}

describe('a recording', () => {
  const text = (redaction: Parameters<typeof redacted>[1]): string =>
    scenarioText(toScenario(redacted(session, redaction, pseudonyms)))

  it('says by default neither whose mail it was nor what it said', () => {
    const said = text({ addresses: true, content: true })
    expect(SECRETS.filter(secret => said.toLowerCase().includes(secret.toLowerCase()))).toEqual([])
    expect(said).toContain('FILLER 9 1')
    expect(said).toContain('@example.org')
    expect(said).toContain('.pdf"')
    expect(said).toContain('15:42:01')
    expect(said).toContain('j=mx1.example.com')
  })

  it('names the same address the same everywhere', () => {
    const alice = `${pseudonyms.local('alice')}@example.org`
    expect(text({ addresses: true, content: false }).split(alice).length - 1).toBe(5)
  })

  it('keeps what it is told to keep', () => {
    const said = text({ addresses: false, content: false })
    expect(SECRETS.filter(secret => !said.includes(secret))).toEqual([])
    expect(text({ addresses: false, content: true })).not.toContain('private m')
    expect(text({ addresses: true, content: false })).toContain('private matters')
  })
})
