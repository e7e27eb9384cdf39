import { describe, expect, it } from 'vitest'
import { recogniseOffer, recogniseVersion } from '../../../src/bridge/mta/recognise.ts'
import { offer } from './support/mta.ts'

const unknown = { kind: 'unknown', version: '' } as const

describe('recognising the MTA', () => {
  it.each([
    ['Postfix 3.7.11', { kind: 'postfix', version: '3.7.11' }],
    ['Postfix 3.12-20260821', { kind: 'postfix', version: '3.12-20260821' }],
    ['8.17.1.9', { kind: 'sendmail', version: '8.17.1.9' }],
    ['8.18.0.2/8.18.0.2', { kind: 'sendmail', version: '8.18.0.2/8.18.0.2' }],
    ['Stalwart', { kind: 'unknown', version: 'Stalwart' }],
    ['', unknown],
    [undefined, unknown],
  ])('by the macro v: %s', (v, identity) => {
    expect(recogniseVersion(unknown, v)).toEqual(identity)
  })

  it('by an offer that only one of them makes', () => {
    expect(recogniseOffer(offer).kind).toBe('unknown')
    expect(recogniseOffer({ ...offer, version: 4, protocol: 0x37f }).kind).toBe('postfix')
    expect(recogniseOffer({ ...offer, version: 2, actions: 0x3f, protocol: 0x7f }).kind).toBe('sendmail')
  })

  it('keeps the guess when the version says nothing', () => {
    expect(recogniseVersion({ kind: 'postfix', version: '' }, undefined).kind).toBe('postfix')
    expect(recogniseVersion({ kind: 'postfix', version: '' }, 'unheard of').kind).toBe('postfix')
  })
})
