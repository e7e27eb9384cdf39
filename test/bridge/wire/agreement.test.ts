import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  acceptAnswer,
  action,
  allActions,
  allProtocol,
  answerOffer,
  effectiveOffer,
  macroStage,
  type Negotiation,
  offerToMilter,
  protocol,
  protocolOfVersion,
  symbolNames,
  symbolText,
} from '../../../src/bridge/wire/index.ts'
import { answer, offer, u32 } from './arbitrary.ts'
import { codeOf, errorOf } from './error-of.ts'

const numbers = (version: number, actions: number, bits: number): Negotiation => ({
  version,
  actions,
  protocol: bits,
  symbols: [],
})

const everything = { actions: 0xffffffff, protocol: 0xffffffff, symbols: [{ stage: 5, names: 'i' }] }

describe('the answer to an MTA', () => {
  it('never goes beyond the offer', () => {
    fc.assert(
      fc.property(
        offer.filter(({ version }) => version >= 2),
        u32,
        u32,
        (offered, actions, bits) => {
          const given = answerOffer(offered, { actions, protocol: bits, symbols: [{ stage: 5, names: 'i' }] })
          const allowed = effectiveOffer(offered)
          expect(given.version).toBe(Math.min(6, offered.version))
          expect(given.actions & ~allowed.actions).toBe(0)
          expect(given.protocol & ~allowed.protocol).toBe(0)
          expect(given.actions & ~actions & ~action.SETSYMLIST).toBe(0)
          expect(given.protocol & ~bits).toBe(0)
          if (offered.actions !== 0) expect(given.actions & ~offered.actions).toBe(0)
          if ((offered.protocol & 0x8fffffff) !== 0) expect(given.protocol & ~offered.protocol).toBe(0)
        },
      ),
    )
  })

  it.each([2, 3, 4, 6])('keeps version %i', version => {
    expect(answerOffer(numbers(version, 0x1ff, 0x7f), everything).version).toBe(version)
  })

  it.each([7, 0x7fffffff, 0xffffffff])('is version 6 to an MTA of version %i', version => {
    expect(answerOffer(numbers(version, 0x1ff, 0x7f), everything).version).toBe(6)
  })

  it.each([0, 1])('is an error to an MTA of version %i', version => {
    const error = errorOf(() => answerOffer(numbers(version, 0x1ff, 0x7f), everything))
    expect(error.message).toBe(`protocol version ${version} offered, this side speaks 2 to 6`)
  })

  it('reads an offer of nothing as libmilter does', () => {
    expect(answerOffer(numbers(2, 0, 0), everything)).toEqual(numbers(2, 0x0f, 0x3f))
  })

  it('never gives the packet-size bits back', () => {
    expect(answerOffer(numbers(6, 0xffffffff, 0xffffffff), everything).protocol).toBe(allProtocol)
    expect(answerOffer(numbers(6, 0x1ff, 0x10000000), everything).protocol).toBe(0x3f)
  })

  it('asks for macros, and says that it does, only if SETSYMLIST was offered', () => {
    const needs = { actions: action.ADDHDRS, protocol: 0, symbols: [{ stage: macroStage.EOM, names: 'i' }] }
    const granted = answerOffer(numbers(6, 0x1ff, 0x1fffff), needs)
    expect(granted).toMatchObject({ actions: action.ADDHDRS | action.SETSYMLIST, symbols: needs.symbols })
    const refused = answerOffer(numbers(4, 0x0ff, 0x37f), needs)
    expect(refused).toMatchObject({ actions: action.ADDHDRS, symbols: [] })
  })

  it('does not claim SETSYMLIST without a list', () => {
    expect(answerOffer(numbers(6, 0x1ff, 0), { actions: 0x1ff, protocol: 0 }).actions).toBe(0xff)
  })
})

describe('the offer to an external milter', () => {
  it.each([
    [2, 0x7f],
    [3, 0x17f],
    [4, 0x37f],
    [6, 0x1fffff],
  ])('as version %i holds the protocol flags of that version', (version, mask) => {
    expect(protocolOfVersion(version)).toBe(mask)
    expect(offerToMilter(version, 0xffffffff, 0xffffffff)).toEqual(numbers(version, allActions, mask))
  })

  it('offers all actions even as version 2, as Postfix does, since libmilter filters insist on theirs', () => {
    expect(offerToMilter(2, allActions, 0).actions).toBe(allActions)
  })

  it.each([0, 1, 7])('cannot be version %i', version => {
    expect(codeOf(() => offerToMilter(version, 0, 0))).toBe('WIRE_VERSION')
  })
})

describe('the answer of an external milter', () => {
  const offered = offerToMilter(6, 0x3f, protocolOfVersion(4))

  it('is never taken beyond what is known, whatever it says', () => {
    fc.assert(
      fc.property(answer, given => {
        let agreed: ReturnType<typeof acceptAnswer>
        try {
          agreed = acceptAnswer(offered, given, { excessActions: 'mask' })
        } catch {
          expect(given.version < 2 || given.version > 6).toBe(true)
          return
        }
        expect(agreed.actions & ~offered.actions).toBe(0)
        expect(agreed.protocol & ~allProtocol).toBe(0)
        for (const stage of agreed.symbols.keys()) expect(stage).toBeLessThanOrEqual(6)
      }),
    )
  })

  it.each([0, 1, 7, 9, 0xffffffff])('is refused with version %i', version => {
    expect(codeOf(() => acceptAnswer(offered, numbers(version, 0, 0)))).toBe('WIRE_VERSION')
  })

  it('is refused with a version above the one offered', () => {
    const error = errorOf(() => acceptAnswer(offerToMilter(2, 0, 0), numbers(6, 0, 0)))
    expect(error.message).toBe('protocol version 6 answered to a lower offer, this side speaks 2 to 2')
  })

  it('is refused with actions that were not offered, naming them', () => {
    const error = errorOf(() => acceptAnswer(offerToMilter(6, 0x3, 0), numbers(6, 0x43, 0)))
    expect(error.message).toBe('actions CHGFROM were asked for but never offered (offered: ADDHDRS|CHGBODY)')
  })

  it('has such actions left out and noted for rspamd', () => {
    const agreed = acceptAnswer(offerToMilter(6, 0x3, allProtocol), numbers(6, 0x3f, 0xff080), {
      excessActions: 'mask',
    })
    expect(agreed).toMatchObject({ actions: 0x3, protocol: 0xff080 })
    expect(agreed.notes).toEqual(['actions ADDRCPT|DELRCPT|CHGHDRS|QUARANTINE were not offered and are left out'])
  })

  it('has known flags honoured although they were not offered', () => {
    const agreed = acceptAnswer(offered, numbers(6, 0, protocol.NR_BODY | protocol.NOBODY))
    expect(agreed.protocol).toBe(protocol.NR_BODY | protocol.NOBODY)
    expect(agreed.notes).toEqual(['protocol flags NR_BODY were not offered and are honoured'])
  })

  it('has unknown flags left out and noted', () => {
    const agreed = acceptAnswer(offered, numbers(6, 0, 0x90000001))
    expect(agreed.protocol).toBe(protocol.NOCONNECT)
    expect(agreed.notes).toEqual(['unknown protocol flags MDS_256K|0x80000000 are left out'])
  })

  it.each([
    [2, protocol.NOUNKNOWN | protocol.NODATA],
    [3, protocol.NODATA],
    [4, 0],
    [6, 0],
  ])('of version %i is spared the commands it does not know', (version, implied) => {
    expect(acceptAnswer(offered, numbers(version, 0, 0)).protocol).toBe(implied)
  })

  it('gives its symbol lists by stage: an empty one too, the last of two, none for unknown stages', () => {
    const agreed = acceptAnswer(offered, {
      ...numbers(6, 0, 0),
      symbols: [
        { stage: macroStage.MAIL, names: 'i' },
        { stage: macroStage.EOM, names: '{msg_id}, i\tv' },
        { stage: 99, names: 'i' },
        { stage: macroStage.HELO, names: '' },
        { stage: macroStage.MAIL, names: '{auth_type}' },
      ],
    })
    expect(Object.fromEntries(agreed.symbols)).toEqual({
      [macroStage.MAIL]: ['auth_type'],
      [macroStage.EOM]: ['msg_id', 'i', 'v'],
      [macroStage.HELO]: [],
    })
    expect(agreed.notes).toEqual(['the symbol list for stage 99 is left out'])
  })
})

describe('symbol lists', () => {
  it('come back from their text', () => {
    expect(symbolText(['i', 'auth_type', 'j'])).toBe('i {auth_type} j')
    expect(symbolNames(symbolText(['i', 'auth_type', 'j']))).toEqual(['i', 'auth_type', 'j'])
    expect(symbolNames('')).toEqual([])
  })
})
