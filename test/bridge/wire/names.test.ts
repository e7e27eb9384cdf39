import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  action,
  actionBits,
  actionNames,
  commandName,
  packetName,
  protocolBits,
  protocolNames,
  replyName,
  stageName,
} from '../../../src/bridge/wire/index.ts'
import { u32 } from './arbitrary.ts'
import { codeOf } from './error-of.ts'

describe('names', () => {
  it('print bits by name, and what has no name in hex', () => {
    expect(actionNames(0)).toBe('none')
    expect(actionNames(0x803)).toBe('ADDHDRS|CHGBODY|0x800')
    expect(actionNames(0x1ff)).toBe(Object.keys(action).join('|'))
    expect(protocolNames(0x00100410)).toBe('NOBODY|SKIP|HDR_LEADSPC')
    expect(protocolNames(0xc0000000)).toBe('0xc0000000')
  })

  it('lead back to the bits, whatever they are', () => {
    fc.assert(
      fc.property(u32, bits => {
        expect(actionBits(actionNames(bits))).toBe(bits)
        expect(protocolBits(protocolNames(bits))).toBe(bits)
      }),
    )
  })

  it.each(['', 'NOSUCH', 'ADDHDRS|', 'toString', '0x', '0x123456789'])('refuse %j', text => {
    expect(codeOf(() => actionBits(text))).toBe('WIRE_NAME')
  })

  it('name packets with their letter', () => {
    expect(commandName(0x4d)).toBe("MAIL 'M'")
    expect(replyName(0x62)).toBe("REPLBODY 'b'")
    expect(packetName(0x62)).toBe("REPLBODY 'b'")
    expect(packetName(0x4b)).toBe("QUIT_NC 'K'")
    expect(packetName(0x5a)).toBe("'Z'")
    expect(packetName(0xff)).toBe('0xff')
  })

  it('name stages, with EOM before EOH', () => {
    expect([0, 1, 2, 3, 4, 5, 6, 99].map(stageName).join(' ')).toBe('CONNECT HELO MAIL RCPT DATA EOM EOH stage 99')
  })
})
