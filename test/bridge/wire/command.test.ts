import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Command,
  commandByte,
  commandKind,
  commandLetter,
  decodeCommand,
  encodeCommand,
  type Irregularity,
} from '../../../src/bridge/wire/index.ts'
import { command } from './arbitrary.ts'
import { codeOf } from './error-of.ts'

const decodeHex = (hex: string, report?: (irregularity: Irregularity) => void): Command => {
  const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex')
  return decodeCommand(bytes[4]!, bytes.subarray(5), report === undefined ? {} : { report })
}

const decodeText = (letter: string, payload: string, report?: (irregularity: Irregularity) => void): Command =>
  decodeCommand(letter.charCodeAt(0), Buffer.from(payload, 'latin1'), report === undefined ? {} : { report })

const vectors: readonly (readonly [what: string, hex: string, value: Command])[] = [
  [
    'OPTNEG as Postfix and Sendmail offer it',
    '0000000d 4f 00000006 000001ff 001fffff',
    { kind: 'negotiate', version: 6, actions: 0x1ff, protocol: 0x1fffff, symbols: [] },
  ],
  [
    'CONNECT over IPv4',
    `0000001a 43 ${hexOf('[127.0.0.1]\0')} 34 34e6 ${hexOf('127.0.0.1\0')}`,
    { kind: 'connect', host: '[127.0.0.1]', family: 'inet', port: 13542, address: '127.0.0.1' },
  ],
  [
    'CONNECT without address, payload ending behind the family',
    `0000000c 43 ${hexOf('localhost\0')} 55`,
    { kind: 'connect', host: 'localhost', family: 'unknown', port: 0, address: '' },
  ],
  ['an empty MACRO', '00000002 44 48', { kind: 'macros', for: commandByte.HELO, macros: [] }],
  [
    'MAIL with a parameter',
    `00000015 4d ${hexOf('<s@x>\0BODY=8BITMIME\0')}`,
    { kind: 'mail', path: '<s@x>', parameters: ['BODY=8BITMIME'] },
  ],
  [
    'a folded HEADER',
    `00000010 4c ${hexOf('X-Fold\0a\n b\n\tc\0')}`,
    { kind: 'header', name: 'X-Fold', value: 'a\n b\n\tc' },
  ],
]

function hexOf(text: string): string {
  return Buffer.from(text, 'latin1').toString('hex')
}

describe('commands', () => {
  it.each(vectors)('read and write %s as the bytes known from real MTAs', (_what, hex, value) => {
    expect(decodeHex(hex)).toEqual(value)
    expect(encodeCommand(value).toString('hex')).toBe(hex.replaceAll(' ', ''))
  })

  it('come back from their bytes unchanged, whatever they hold', () => {
    fc.assert(
      fc.property(command, value => {
        const bytes = encodeCommand(value)
        expect(bytes.readUInt32BE(0)).toBe(bytes.length - 4)
        expect(decodeCommand(bytes[4]!, bytes.subarray(5))).toEqual(value)
      }),
    )
  })

  it('have one letter each, and the letter leads back', () => {
    for (const byte of Object.values(commandByte)) expect(commandLetter(commandKind(byte)!)).toBe(byte)
    expect(commandKind(0x5a)).toBeUndefined()
  })

  it('keep the address as the MTA wrote it', () => {
    expect(decodeText('C', 'localhost\x006\x00\x19IPv6:0:0:0:0:0:0:0:1\0')).toEqual({
      kind: 'connect',
      host: 'localhost',
      family: 'inet6',
      port: 25,
      address: 'IPv6:0:0:0:0:0:0:0:1',
    })
  })

  it('take an empty path, the null sender of local submissions to Postfix', () => {
    expect(decodeText('M', '\0')).toEqual({ kind: 'mail', path: '', parameters: [] })
  })

  it('take a body chunk at the end of the message', () => {
    expect(decodeText('E', 'last')).toEqual({ kind: 'eom', chunk: Buffer.from('last') })
  })

  it('take any byte but NUL in strings', () => {
    expect(decodeText('H', '\xff\x80\r\n\0')).toEqual({ kind: 'helo', name: '\xff\x80\r\n' })
  })

  it('refuse an unknown letter by name', () => {
    expect(() => decodeText('Z', '')).toThrow("unknown command 'Z'")
    expect(() => decodeText('\x07', '')).toThrow('unknown command 0x07')
  })

  it.each([
    ['H', ''],
    ['H', 'no end'],
    ['M', ''],
    ['R', '<a@b>\0SIZE=1'],
    ['L', 'Name\0'],
    ['L', 'Name\0value'],
    ['U', ''],
    ['C', 'host'],
    ['C', 'host\x004\0\x19127.0.0.1'],
    ['D', 'Cj'],
    ['D', 'Cj\0value'],
  ])('refuse %s with the payload %j, whose last string has no NUL', (letter, payload) => {
    expect(codeOf(() => decodeText(letter, payload))).toBe('WIRE_UNTERMINATED')
  })

  it('say which field of which packet has no NUL', () => {
    expect(() => decodeText('L', 'Name\0value')).toThrow("HEADER 'L': header value has no final NUL")
  })

  it.each([
    ['O', ''],
    ['O', '\0\0\0\x06\0\0\x01\xff\0\x1f\xff'],
    ['C', 'host\0'],
    ['C', 'host\x004\0'],
    ['D', ''],
  ])('refuse %s with the payload %j, which is too short', (letter, payload) => {
    expect(codeOf(() => decodeText(letter, payload))).toBe('WIRE_SHORT')
  })

  it('refuse an unknown address family', () => {
    expect(codeOf(() => decodeText('C', 'host\x00X\0\x19a\0'))).toBe('WIRE_FAMILY')
  })

  it('accept a string without NUL when told to, and report it', () => {
    const seen: Irregularity[] = []
    const options = { unterminated: 'accept' as const, report: (irregularity: Irregularity) => seen.push(irregularity) }
    const value = decodeCommand(commandByte.HEADER, Buffer.from('Name\0value'), options)
    expect(value).toEqual({ kind: 'header', name: 'Name', value: 'value' })
    expect(seen).toEqual([{ kind: 'unterminated', packet: "HEADER 'L'", bytes: 5 }])
  })

  it('refuse a missing string even then', () => {
    expect(codeOf(() => decodeCommand(commandByte.HELO, Buffer.alloc(0), { unterminated: 'accept' }))).toBe(
      'WIRE_UNTERMINATED',
    )
  })

  it.each([
    ['O', `\0\0\0\x06\0\0\x01\xff\0\x1f\xff\xff!`, 1],
    ['H', 'name\0rest', 4],
    ['C', 'host\x00U\0\x19', 2],
    ['C', 'host\x004\0\x19127.0.0.1\0\0', 1],
    ['T', 'data', 4],
    ['A', 'x', 1],
  ])('report what is left over behind the last field of %s with the payload %j', (letter, payload, bytes) => {
    const seen: Irregularity[] = []
    decodeText(letter, payload, irregularity => seen.push(irregularity))
    expect(seen).toEqual([expect.objectContaining({ kind: 'surplus', bytes })])
  })

  it('refuse to be written with a NUL or a character that is no byte, and leave the writer whole', () => {
    expect(codeOf(() => encodeCommand({ kind: 'helo', name: 'a\0b' }))).toBe('WIRE_UNSENDABLE_TEXT')
    expect(codeOf(() => encodeCommand({ kind: 'helo', name: 'ä€' }))).toBe('WIRE_UNSENDABLE_TEXT')
    const port: Command = { kind: 'connect', host: 'h', family: 'inet', port: 65536, address: '' }
    expect(() => encodeCommand(port)).toThrow("CONNECT 'C': port is 65536, outside 0 to 65535")
  })
})

describe('macros', () => {
  it('lose their braces and get them back', () => {
    const payload = 'Cj\0mx\0{daemon_name}\0\0i\x001\0'
    const value = decodeText('D', payload)
    expect(value).toEqual({
      kind: 'macros',
      for: commandByte.CONNECT,
      macros: [
        ['j', 'mx'],
        ['daemon_name', ''],
        ['i', '1'],
      ],
    })
    expect(encodeCommand(value).toString('latin1', 5)).toBe(payload)
  })

  it('take a single letter in braces, as Postfix 3.1 sent it', () => {
    expect(decodeText('D', 'M{i}\x001\0')).toMatchObject({ macros: [['i', '1']] })
  })

  it('leave out a last name without a value and report it', () => {
    const seen: Irregularity[] = []
    const value = decodeText('D', 'Mi\x001\0{auth_type}\0', irregularity => seen.push(irregularity))
    expect(value).toMatchObject({ macros: [['i', '1']] })
    expect(seen).toEqual([{ kind: 'odd-macros', packet: "MACRO 'D'", bytes: 11 }])
  })

  it('keep duplicates, their order, and letters of commands that never come', () => {
    expect(decodeText('D', 'Zi\x001\0i\x002\0')).toEqual({
      kind: 'macros',
      for: 0x5a,
      macros: [
        ['i', '1'],
        ['i', '2'],
      ],
    })
  })

  it('bear ten thousand names and a value of a megabyte', () => {
    const many = decodeText('D', `M${'x\0y\0'.repeat(10_000)}z\0${'v'.repeat(1_000_000)}\0`)
    expect(many.kind === 'macros' && many.macros.length).toBe(10_001)
  })
})
