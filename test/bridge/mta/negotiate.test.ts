import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { covers, NO_NEEDS, negotiate } from '../../../src/bridge/mta/negotiate.ts'
import { action, protocol, protocolNames, WireError } from '../../../src/bridge/wire/index.ts'
import type { Interest, Needs } from '../../../src/host/filter.ts'
import { EDIT_KINDS } from '../../../src/host/message/edit.ts'
import { ALL_INTERESTS } from '../../../src/host/mta.ts'
import { offer } from './support/mta.ts'
import { everything, wanting } from './support/recorder.ts'

const protocolFor = (needs: Needs): string => protocolNames(negotiate(offer, needs).answer.protocol)

const anyNeeds: fc.Arbitrary<Needs> = fc
  .record({
    events: fc.subarray([...ALL_INTERESTS]),
    answers: fc.subarray([...ALL_INTERESTS]),
    edits: fc.subarray([...EDIT_KINDS]),
    refusedRecipients: fc.boolean(),
    names: fc.array(fc.stringMatching(/^[a-z_]{1,8}$/), { maxLength: 80 }),
  })
  .map(({ events, answers, edits, refusedRecipients, names }) => ({
    events: new Set(events),
    answers: new Set(answers),
    edits: new Set(edits),
    refusedRecipients,
    macros: new Map([
      ['connect', names],
      ['eom', names],
    ]),
  }))

describe('the answer to an MTA’s offer', () => {
  it('asks for everything but answers to content when filters want and answer all', () => {
    expect(protocolFor(everything)).toBe('NR_HDR|SKIP|NR_EOH|NR_BODY|HDR_LEADSPC')
    expect(negotiate(offer, everything).answer.actions).toBe(0x1ff)
  })

  it('asks for no content, no DATA and no unknown commands when nobody wants them', () => {
    const bits = protocolFor(wanting(['rcpt']))
    expect(bits).toBe(
      'NOBODY|NOHDRS|NOEOH|NR_HDR|NOUNKNOWN|NODATA|SKIP|NR_CONN|NR_HELO|NR_DATA|NR_UNKN|NR_EOH|NR_BODY|HDR_LEADSPC',
    )
  })

  it('asks for DATA wherever content is wanted, because there it can be declined', () => {
    const { asked, silent } = negotiate(offer, wanting(['body']))
    expect([...asked].sort()).toEqual(['body', 'connect', 'data', 'helo', 'mail', 'rcpt'])
    expect(silent.has('data')).toBe(false)
  })

  it('asks for the headers where they must be counted', () => {
    expect(negotiate(offer, wanting([], { edits: new Set(['changeHeader']) })).asked.has('header')).toBe(true)
    expect(negotiate(offer, wanting([], { edits: new Set(['addHeader']) })).asked.has('header')).toBe(false)
  })

  it('asks for refused recipients only if a filter wants them', () => {
    const bits = negotiate(offer, { ...everything, refusedRecipients: true }).answer.protocol
    expect(bits & protocol.RCPT_REJ).not.toBe(0)
  })

  it('asks only for the edits that are needed, both kinds of header edits together', () => {
    const { answer, edits } = negotiate(offer, wanting([], { edits: new Set(['removeHeader', 'addRecipient']) }))
    expect(answer.actions).toBe(
      action.ADDHDRS | action.CHGHDRS | action.ADDRCPT | action.ADDRCPT_PAR | action.SETSYMLIST,
    )
    expect([...edits]).toEqual(['addHeader', 'insertHeader', 'changeHeader', 'removeHeader', 'addRecipient'])
  })

  it('always gives seven lists of macros in ascending order, none empty, none above 50 names', () => {
    fc.assert(
      fc.property(anyNeeds, needs => {
        const { symbols } = negotiate(offer, needs).answer
        expect(symbols.map(({ stage }) => stage)).toEqual([0, 1, 2, 3, 4, 5, 6])
        for (const { names } of symbols) {
          expect(names.split(' ').length).toBeLessThanOrEqual(50)
          expect(names).not.toBe('')
        }
      }),
    )
  })

  it('puts what filters ask for beside the defaults', () => {
    const macros = new Map([['mail' as const, ['auth_type', 'verify']]])
    const list = negotiate(offer, { ...everything, macros }).answer.symbols[2]!.names
    expect(list).toContain('{verify}')
    expect(list.match(/\{auth_type\}/g)).toHaveLength(1)
    expect(list.split(' ')[0]).toBe('i')
  })

  it('gives no lists to an MTA that did not offer to take them', () => {
    expect(negotiate({ ...offer, actions: 0x3f }, everything).answer).toMatchObject({ actions: 0x3f, symbols: [] })
  })

  it('never goes beyond the offer, and never makes the MTA deaf to connection, sender or recipient', () => {
    const bits = fc.integer({ min: 0, max: 0xffff_ffff })
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 9 }), bits, bits, anyNeeds, (version, actions, offered, needs) => {
        const { answer, asked, silent } = negotiate({ ...offer, version, actions, protocol: offered }, needs)
        expect(answer.version).toBe(Math.min(6, version))
        expect((answer.actions & ~(actions || 0x0f)) >>> 0).toBe(0)
        const effective = (offered & ~0x7000_0000) >>> 0 || 0x3f
        expect((answer.protocol & ~effective) >>> 0).toBe(0)
        for (const event of ['connect', 'helo', 'mail', 'rcpt'] as Interest[]) expect(asked.has(event)).toBe(true)
        expect(silent.has('mail') || silent.has('rcpt') || silent.has('eom')).toBe(false)
      }),
    )
  })

  it('refuses version 1', () => {
    expect(() => negotiate({ ...offer, version: 1 }, everything)).toThrow(WireError)
  })

  it('knows what an older version does not send', () => {
    const old = (version: number, bits: number): string[] => [
      ...negotiate({ ...offer, version, protocol: bits }, everything).asked,
    ]
    expect(old(2, 0x7f)).not.toContain('unknown')
    expect(old(3, 0x17f)).toContain('unknown')
    expect(old(3, 0x17f)).not.toContain('data')
    expect(old(4, 0x37f)).toContain('data')
  })

  it('covers later needs only if they are no more than what was agreed', () => {
    const terms = negotiate(offer, wanting(['mail', 'header']))
    expect(covers(terms, wanting(['mail']))).toBe(true)
    expect(covers(terms, NO_NEEDS)).toBe(true)
    expect(covers(terms, wanting(['body']))).toBe(false)
    expect(covers(terms, wanting([], { edits: new Set(['quarantine']) }))).toBe(false)
    expect(covers(terms, wanting(['connect']))).toBe(false)
    expect(covers(terms, wanting(['connect'], { answers: new Set() }))).toBe(true)
  })
})
