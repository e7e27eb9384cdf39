import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeReply, FrameDecoder, type FrameLimits, SpareBuffers } from '../../../src/bridge/wire/index.ts'
import { split } from './arbitrary.ts'
import { errorOf } from './error-of.ts'

type Frame = readonly [letter: string, payload: string]

const frame = (letter: string, payload = ''): Buffer => {
  const bytes = Buffer.alloc(5 + payload.length)
  bytes.writeUInt32BE(1 + payload.length)
  bytes.write(letter + payload, 4, 'latin1')
  return bytes
}

const header = (length: number, letter = ''): Buffer => {
  const bytes = Buffer.alloc(4 + letter.length)
  bytes.writeUInt32BE(length)
  bytes.write(letter, 4, 'latin1')
  return bytes
}

const collector = (got: Frame[]) => (command: number, payload: Buffer) => {
  got.push([String.fromCharCode(command), payload.toString('latin1')])
}

function decoded(chunks: readonly Buffer[], limits?: FrameLimits): Frame[] {
  const got: Frame[] = []
  const decoder = new FrameDecoder(limits)
  for (const chunk of chunks) decoder.push(chunk, collector(got))
  expect(decoder.buffered).toBe(0)
  return got
}

const frames = fc.array(fc.tuple(fc.constantFrom('A', 'L', 'c', 'b'), fc.string({ maxLength: 600 }).map(ascii)), {
  maxLength: 12,
})

function ascii(value: string): string {
  return value.replace(/[^\x00-\x7f]/g, '?')
}

describe('FrameDecoder', () => {
  it('gives the packets of one chunk in order', () => {
    expect(decoded([Buffer.concat([frame('c'), frame('h', 'X\0v\0'), frame('c')])])).toEqual([
      ['c', ''],
      ['h', 'X\0v\0'],
      ['c', ''],
    ])
  })

  it('gives the same packets however the stream is split', () => {
    fc.assert(
      fc.property(frames, fc.array(fc.nat()), (list, cuts) => {
        const stream = Buffer.concat(list.map(([letter, payload]) => frame(letter, payload)))
        expect(decoded(split(stream, cuts))).toEqual(list)
      }),
    )
  })

  it('gives the same packets when every byte comes alone', () => {
    const stream = Buffer.concat([frame('c'), frame('b', 'x'.repeat(3000)), frame('h', 'X\0\0'), frame('c')])
    expect(decoded([...stream].map(byte => Buffer.from([byte])))).toEqual(decoded([stream]))
  })

  it('keeps nothing of a chunk that is overwritten after the push', () => {
    fc.assert(
      fc.property(frames, fc.array(fc.nat()), (list, cuts) => {
        const got: Frame[] = []
        const decoder = new FrameDecoder()
        const shared = Buffer.alloc(20_000)
        for (const piece of split(Buffer.concat(list.map(([letter, payload]) => frame(letter, payload))), cuts)) {
          piece.copy(shared)
          decoder.push(shared.subarray(0, piece.length), collector(got))
          shared.fill(0xff)
        }
        expect(got).toEqual(list)
      }),
    )
  })

  it('shares spare buffers with other decoders, and never a byte of what is in them', () => {
    const spares = new SpareBuffers()
    const decoders = [0, 1, 2].map(() => ({ decoder: new FrameDecoder({ spares }), got: [] as Frame[] }))
    const packets = decoders.map((_, i) => frame('B', String(i).repeat(65_535)))
    for (let round = 0; round < 3; round++) {
      for (let at = 0; at < packets[0]!.length; at += 9_000) {
        for (const [i, { decoder, got }] of decoders.entries())
          decoder.push(packets[i]!.subarray(at, at + 9_000), collector(got))
      }
    }
    for (const [i, { got }] of decoders.entries())
      expect(got).toEqual([0, 1, 2].map(() => ['B', String(i).repeat(65_535)]))
  })

  it('hands on a packet that lies in one chunk without a copy', () => {
    const chunk = frame('B', 'body')
    new FrameDecoder().push(chunk, (_command, payload) => {
      expect(payload.buffer).toBe(chunk.buffer)
    })
  })

  it('stops in the middle of a chunk when the consumer returns false, and goes on later', () => {
    fc.assert(
      fc.property(frames, fc.array(fc.nat()), fc.array(fc.boolean(), { minLength: 1 }), (list, cuts, answers) => {
        const got: Frame[] = []
        const decoder = new FrameDecoder()
        const shared = Buffer.alloc(20_000)
        const take = (command: number, payload: Buffer): boolean => {
          collector(got)(command, payload)
          return answers[got.length % answers.length]!
        }
        for (const piece of split(Buffer.concat(list.map(([letter, payload]) => frame(letter, payload))), cuts)) {
          piece.copy(shared)
          decoder.push(shared.subarray(0, piece.length), take)
          shared.fill(0xff)
        }
        while (decoder.paused) decoder.resume(take)
        expect(got).toEqual(list)
        expect(decoder.buffered).toBe(0)
      }),
    )
  })

  it('counts the packet at which the consumer paused as taken', () => {
    const got: Frame[] = []
    const decoder = new FrameDecoder()
    decoder.push(Buffer.concat([frame('M', '1'), frame('R', '2')]), (command, payload) => {
      collector(got)(command, payload)
      return false
    })
    expect(decoder.paused).toBe(true)
    expect(got).toEqual([['M', '1']])
    decoder.push(frame('T'), collector(got))
    expect(got).toHaveLength(1)
    decoder.resume(collector(got))
    expect(got).toEqual([
      ['M', '1'],
      ['R', '2'],
      ['T', ''],
    ])
  })

  it('lets an error of the consumer through and can go on behind that packet', () => {
    const got: Frame[] = []
    const decoder = new FrameDecoder()
    const faulty = (): never => {
      throw new Error('consumer')
    }
    expect(() => decoder.push(Buffer.concat([frame('M'), frame('R')]), faulty)).toThrow('consumer')
    decoder.resume(collector(got))
    expect(got).toEqual([['R', '']])
  })

  it('refuses to be used from inside its own callback', () => {
    const decoder = new FrameDecoder()
    expect(() => decoder.push(frame('c'), () => decoder.push(frame('c'), () => {}))).toThrow('inside its own callback')
  })

  it('refuses length 0 as soon as the four bytes are there', () => {
    expect(errorOf(() => decoded([header(0)])).code).toBe('WIRE_LENGTH_ZERO')
    expect(errorOf(() => decoded([Buffer.from([0, 0]), Buffer.from([0, 0])])).code).toBe('WIRE_LENGTH_ZERO')
  })

  it('refuses a length over the limit at the header, before anything is buffered', () => {
    const decoder = new FrameDecoder()
    const error = errorOf(() => decoder.push(header(0xffffffff), () => {}))
    expect(error.message).toBe('packet: 4294967295 bytes announced, the limit is 1048576')
    expect(decoder.buffered).toBe(0)
  })

  it('stays failed after a bad length, since no packet border is known any more', () => {
    const decoder = new FrameDecoder()
    const first = errorOf(() => decoder.push(header(0), () => {}))
    expect(errorOf(() => decoder.push(frame('c'), () => {}))).toBe(first)
    expect(errorOf(() => decoder.resume(() => {}))).toBe(first)
  })

  it('gives the packets in front of a bad length first', () => {
    const got: Frame[] = []
    const decoder = new FrameDecoder()
    errorOf(() => decoder.push(Buffer.concat([frame('c'), header(0)]), collector(got)))
    expect(got).toEqual([['c', '']])
  })

  it('takes a packet of exactly the limit and refuses one byte more, naming it', () => {
    const limits = { maxFrame: 10 }
    expect(decoded([frame('L', '123456789')], limits)).toHaveLength(1)
    const error = errorOf(() => decoded([header(11, 'L')], limits))
    expect(error.message).toBe("HEADER 'L': 11 bytes announced, the limit is 10")
  })

  it('allows a replacement body its own limit, whichever way the header is split', () => {
    const limits = { maxFrame: 10, maxBodyReplacement: 5000 }
    const big = frame('b', 'x'.repeat(4999))
    expect(decoded([big], limits)).toHaveLength(1)
    expect(decoded([big.subarray(0, 4), big.subarray(4)], limits)).toHaveLength(1)
    const other = header(5000, 'h')
    expect(errorOf(() => decoded([other], limits)).code).toBe('WIRE_LENGTH_OVER')
    expect(errorOf(() => decoded([other.subarray(0, 4), other.subarray(4)], limits)).code).toBe('WIRE_LENGTH_OVER')
    expect(errorOf(() => decoded([header(5001)], limits)).code).toBe('WIRE_LENGTH_OVER')
  })

  it('allocates in step with what arrived, not with what was announced', () => {
    const decoder = new FrameDecoder({ maxBodyReplacement: 0xffffffff })
    const before = process.memoryUsage().arrayBuffers
    decoder.push(header(0xfffffff0, 'b'), () => {})
    decoder.push(Buffer.alloc(1000), () => {})
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000)
    expect(decoder.buffered).toBe(1005)
  })

  it('tells at the end of a stream that a packet is unfinished', () => {
    const decoder = new FrameDecoder()
    decoder.push(Buffer.concat([encodeReply({ kind: 'continue' }), header(9, 'h')]), () => {})
    expect(decoder.buffered).toBe(5)
  })

  it('refuses what other protocols say first', () => {
    const tls = Buffer.from('160301020001', 'hex')
    for (const hello of [
      Buffer.from('GET / HTTP/1.1\r\n'),
      Buffer.from('SSH-2.0-x\r\n'),
      Buffer.from('EHLO x\r\n'),
      tls,
    ]) {
      expect(errorOf(() => new FrameDecoder().push(hello, () => {})).code).toBe('WIRE_LENGTH_OVER')
    }
  })
})
