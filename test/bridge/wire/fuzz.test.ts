/** Bytes from anyone: the codec throws nothing but WireError, and holds no more than its limit. */

import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  commandByte,
  decodeCommand,
  decodeReply,
  encodeCommand,
  encodeReply,
  FrameDecoder,
  replyByte,
  WireError,
} from '../../../src/bridge/wire/index.ts'
import { command, reply, split } from './arbitrary.ts'

const anyBytes = fc.uint8Array({ maxLength: 400 }).map(array => Buffer.from(array))
const unterminated = fc.constantFrom('error' as const, 'accept' as const)

/** A packet of a known kind in which a few bytes were changed, or which was cut. */
const damaged = fc
  .tuple(
    fc.oneof(command.map(encodeCommand), reply.map(encodeReply)),
    fc.array(fc.tuple(fc.nat(), fc.nat(255))),
    fc.nat(),
  )
  .map(([bytes, changes, cut]) => {
    const copy = Buffer.from(bytes)
    for (const [at, value] of changes.slice(0, 3)) copy[5 + (at % Math.max(1, copy.length - 5))] = value
    return copy.subarray(0, Math.max(5, copy.length - (cut % 4)))
  })

function onlyWireErrors(run: () => void): void {
  try {
    run()
  } catch (error) {
    if (!(error instanceof WireError)) throw error
  }
}

describe('arbitrary bytes', () => {
  it('decode as commands and replies, or give a WireError', () => {
    const letters = [...Object.values(commandByte), ...Object.values(replyByte)]
    const letter = fc.oneof(fc.constantFrom(...letters), fc.integer({ min: 0, max: 255 }))
    fc.assert(
      fc.property(letter, anyBytes, unterminated, (byte, payload, mode) => {
        onlyWireErrors(() => decodeCommand(byte, payload, { unterminated: mode }))
        onlyWireErrors(() => decodeReply(byte, payload, { unterminated: mode }))
      }),
      { numRuns: 2000 },
    )
  })

  it('that decode can be encoded, and then decode to the same value', () => {
    fc.assert(
      fc.property(damaged, unterminated, (bytes, mode) => {
        onlyWireErrors(() => {
          const value = decodeCommand(bytes[4]!, bytes.subarray(5), { unterminated: mode })
          const again = encodeCommand(value)
          if (value.kind !== 'macros') expect(decodeCommand(again[4]!, again.subarray(5))).toEqual(value)
        })
        onlyWireErrors(() => {
          const value = decodeReply(bytes[4]!, bytes.subarray(5), { unterminated: mode })
          const again = encodeReply(value)
          expect(decodeReply(again[4]!, again.subarray(5))).toEqual(value)
        })
      }),
      { numRuns: 1000 },
    )
  })

  it('as a stream give packets or a WireError, and are held only up to the limit', () => {
    fc.assert(
      fc.property(anyBytes, fc.array(fc.nat()), fc.boolean(), (stream, cuts, small) => {
        // Lengths below 256 happen only by chance in random bytes: make them likely.
        if (small) for (let at = 0; at + 3 < stream.length; at += 7) stream.fill(0, at, at + 3)
        const decoder = new FrameDecoder({ maxFrame: 100, maxBodyReplacement: 200 })
        onlyWireErrors(() => {
          for (const piece of split(stream, cuts)) {
            decoder.push(piece, (letter, payload) => {
              expect(payload.length).toBeLessThan(letter === replyByte.REPLBODY ? 200 : 100)
            })
            expect(decoder.buffered).toBeLessThan(204)
          }
        })
      }),
      { numRuns: 1000 },
    )
  })
})
