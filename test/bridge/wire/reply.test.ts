import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  action,
  decodeReply,
  encodeReply,
  type Irregularity,
  neededAction,
  PacketWriter,
  type Reply,
  replyByte,
  replyLetter,
  writeReply,
} from '../../../src/bridge/wire/index.ts'
import { reply } from './arbitrary.ts'
import { codeOf } from './error-of.ts'

const decodeText = (letter: string, payload: string, report?: (irregularity: Irregularity) => void): Reply =>
  decodeReply(letter.charCodeAt(0), Buffer.from(payload, 'latin1'), report === undefined ? {} : { report })

const vectors: readonly (readonly [what: string, payload: string, value: Reply])[] = [
  ['CONTINUE', 'c', { kind: 'continue' }],
  ['a deletion of the second X-C', 'm\0\0\0\x02X-C\0\0', { kind: 'change-header', index: 2, name: 'X-C', value: '' }],
  ['an insertion at 1', 'i\0\0\0\x01X-I\0v\0', { kind: 'insert-header', index: 1, name: 'X-I', value: 'v' }],
  [
    'a reply of two lines',
    'y550-5.7.1 l1 100%%\r\n550 5.7.1 l2\0',
    { kind: 'replycode', text: '550-5.7.1 l1 100%%\r\n550 5.7.1 l2' },
  ],
  [
    'a recipient with parameters',
    '2<a@b>\0NOTIFY=NEVER\0',
    { kind: 'add-recipient-with-parameters', path: '<a@b>', parameters: 'NOTIFY=NEVER' },
  ],
  ['a recipient without', '2<a@b>\0', { kind: 'add-recipient-with-parameters', path: '<a@b>', parameters: null }],
  ['a sender with empty parameters', 'e<>\0\0', { kind: 'change-sender', path: '<>', parameters: '' }],
  ['an empty body', 'b', { kind: 'replace-body', chunk: Buffer.alloc(0) }],
  [
    "the answer of libmilter's default filter",
    'O\0\0\0\x06\0\0\x01\xff\0\0\x04\0',
    { kind: 'negotiate', version: 6, actions: 0x1ff, protocol: 0x400, symbols: [] },
  ],
  [
    'an answer with symbol lists',
    'O\0\0\0\x06\0\0\x01\xff\0\0\0\0\0\0\0\x05{x}, v\0\0\0\0\x06i j\0',
    {
      kind: 'negotiate',
      version: 6,
      actions: 0x1ff,
      protocol: 0,
      symbols: [
        { stage: 5, names: '{x}, v' },
        { stage: 6, names: 'i j' },
      ],
    },
  ],
]

describe('replies', () => {
  it.each(vectors)('read and write %s as the bytes known from real milters', (_what, payload, value) => {
    expect(decodeText(payload[0]!, payload.slice(1))).toEqual(value)
    const bytes = encodeReply(value)
    expect(bytes.toString('latin1', 4)).toBe(payload)
    expect(bytes.readUInt32BE(0)).toBe(payload.length)
  })

  it('come back from their bytes unchanged, whatever they hold', () => {
    fc.assert(
      fc.property(reply, value => {
        const bytes = encodeReply(value)
        expect(bytes.readUInt32BE(0)).toBe(bytes.length - 4)
        expect(decodeReply(bytes[4]!, bytes.subarray(5))).toEqual(value)
      }),
    )
  })

  it('leave in one buffer, however many are written', () => {
    fc.assert(
      fc.property(fc.array(reply), list => {
        const writer = new PacketWriter()
        for (const value of list) writeReply(writer, value)
        expect(writer.take()).toEqual(Buffer.concat(list.map(encodeReply)))
        expect(writer.length).toBe(0)
      }),
    )
  })

  it('keep the packets written before one that cannot be sent, and those after it', () => {
    const writer = new PacketWriter()
    writeReply(writer, { kind: 'progress' })
    const bad: Reply = { kind: 'add-header', name: 'X', value: 'a\0b' }
    expect(() => writeReply(writer, bad)).toThrow(`ADDHEADER 'h': header value holds a NUL`)
    writeReply(writer, { kind: 'continue' })
    expect(writer.take().toString('hex')).toBe('00000001700000000163')
  })

  it.each([-1, 2 ** 32, 1.5, Number.NaN])('refuse the header index %s', index => {
    expect(codeOf(() => encodeReply({ kind: 'insert-header', index, name: 'X', value: '' }))).toBe(
      'WIRE_UNSENDABLE_NUMBER',
    )
  })

  it.each(['c', 'a', 'r', 't', 'd', '4', 'p', 's', 'f'])('tolerate a payload on %s and report it', letter => {
    const seen: Irregularity[] = []
    const value = decodeText(letter, 'junk', irregularity => seen.push(irregularity))
    expect(seen).toEqual([expect.objectContaining({ kind: 'surplus', bytes: 4 })])
    expect(encodeReply(value)).toHaveLength(5)
  })

  it.each([
    ['h', 'X-Drip\0yes'],
    ['h', 'X-Drip\0'],
    ['i', '\0\0\0\x01X\0v'],
    ['m', '\0\0\0\x01X'],
    ['+', '<a@b>'],
    ['-', ''],
    ['e', '<a@b>'],
    ['2', '<a@b>\0NOTIFY'],
    ['q', 'why'],
    ['y', '550 no'],
    ['O', '\0\0\0\x06\0\0\x01\xff\0\0\0\0\0\0\0\x05i'],
  ])('refuse %s with the payload %j, whose last string has no NUL', (letter, payload) => {
    expect(codeOf(() => decodeText(letter, payload))).toBe('WIRE_UNTERMINATED')
  })

  it.each([
    ['i', '\0\0\0'],
    ['m', ''],
    ['O', '\0\0\0'],
    ['O', '\0\0\0\x06\0\0\x01\xff\0\0\0\0\0\0'],
  ])('refuse %s with the payload %j, which is too short', (letter, payload) => {
    expect(codeOf(() => decodeText(letter, payload))).toBe('WIRE_SHORT')
  })

  it('take a NUL inside a REPLYCODE for its end and report the rest', () => {
    const seen: Irregularity[] = []
    const value = decodeText('y', '550 a\x00250 b\0', irregularity => seen.push(irregularity))
    expect(value).toEqual({ kind: 'replycode', text: '550 a' })
    expect(seen).toEqual([{ kind: 'surplus', packet: "REPLYCODE 'y'", bytes: 6 }])
  })

  it('do not include SETSYMLIST, which is never a packet of its own', () => {
    expect(() => decodeText('l', '\0\0\0\x05i\0')).toThrow("unknown reply SETSYMLIST 'l'")
  })

  it('know the action that permits each edit, and none for verdicts', () => {
    const kindOf = (byte: number): Reply['kind'] => reply0(byte).kind
    const edits = Object.entries(replyByte).filter(([name]) => !['SETSYMLIST', 'OPTNEG'].includes(name))
    const permits = edits.map(([name, byte]) => [name, neededAction(kindOf(byte))])
    expect(Object.fromEntries(permits.filter(([, bit]) => bit !== 0))).toEqual({
      ADDRCPT: action.ADDRCPT,
      ADDRCPT_PAR: action.ADDRCPT_PAR,
      DELRCPT: action.DELRCPT,
      CHGFROM: action.CHGFROM,
      ADDHEADER: action.ADDHDRS,
      INSHEADER: action.ADDHDRS,
      CHGHEADER: action.CHGHDRS,
      REPLBODY: action.CHGBODY,
      QUARANTINE: action.QUARANTINE,
    })
  })

  it('have one letter each', () => {
    for (const byte of Object.values(replyByte)) {
      if (byte !== replyByte.SETSYMLIST) expect(replyLetter(reply0(byte).kind)).toBe(byte)
    }
  })
})

/** The reply of that letter with fields of NULs, which suit every layout. */
function reply0(byte: number): Reply {
  return decodeReply(byte, Buffer.alloc(12))
}
