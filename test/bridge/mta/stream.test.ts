import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Command, commandByte, encodeCommand } from '../../../src/bridge/wire/index.ts'
import { CONTINUE } from '../../../src/host/verdict.ts'
import { captureConnections, captureNames, readCapture } from '../../captures/read.ts'
import { content, endOfMessage, hello, macros, message, offer } from './support/mta.ts'
import { kept, RecordingSource } from './support/recorder.ts'
import { hear, ownMemory } from './support/wire.ts'

const stream = (...commands: Command[]): Buffer => Buffer.concat(commands.map(encodeCommand))

const cutAt = (bytes: Buffer, cuts: readonly number[]): Buffer[] => {
  const places = [0, ...cuts.map(cut => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  return places.slice(1).map((end, at) => bytes.subarray(places[at], end))
}

/** Answers late, each time after another turn of the event loop. */
const slow = (): RecordingSource => {
  const source = new RecordingSource()
  const later =
    <T>(value: T) =>
    () =>
      new Promise<T>(resolve => setImmediate(() => resolve(value)))
  source.answers = {
    connect: later(CONTINUE),
    helo: later(CONTINUE),
    mail: later(CONTINUE),
    rcpt: later(CONTINUE),
    data: later(CONTINUE),
    unknown: later(CONTINUE),
    body: later(undefined),
    endOfMessage: later(kept),
  }
  return source
}

const conversation = stream(
  offer,
  macros('C', { j: 'mx', v: 'Postfix 3.7.11' }),
  ...hello,
  ...message,
  { kind: 'abort' },
  ...message.slice(0, 4),
  { kind: 'abort' },
  { kind: 'unknown', line: 'FOO' },
  ...message,
)

describe('a stream of packets', () => {
  it('is heard the same however it is cut', async () => {
    const whole = await hear([conversation])
    expect(whole.letters).toBe('Oc'.padEnd(1 + 2 + 4 + 3 + 1 + 4, 'c'))
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(), { maxLength: 12 }), async cuts => {
        expect(await hear(cutAt(conversation, cuts))).toEqual(whole)
      }),
      { numRuns: 200 },
    )
  })

  it('is heard the same cut at every byte', async () => {
    const bytes = stream(offer, ...hello, ...message)
    expect(await hear([...bytes].map(byte => Buffer.from([byte])))).toEqual(await hear([bytes]))
  })

  it('is heard the same when every answer takes its time, glued or cut', async () => {
    const whole = await hear([conversation])
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(), { maxLength: 6 }), async cuts => {
        const pieces = cutAt(conversation, cuts)
        for (let turn = 0; turn < 40; turn++) pieces.push(Buffer.alloc(0))
        expect(await hear(pieces, slow())).toEqual(whole)
      }),
      { numRuns: 50 },
    )
  })

  it('of real MTAs is heard the same however it is cut', async () => {
    const streams = captureNames().flatMap(name =>
      captureConnections(readCapture(name)).map(({ packets }) =>
        Buffer.concat(packets.filter(({ direction }) => direction === '>').map(({ bytes }) => bytes)),
      ),
    )
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...streams), fc.array(fc.nat(), { maxLength: 8 }), async (bytes, cuts) => {
        expect(await hear(cutAt(bytes, cuts))).toEqual(await hear([bytes]))
      }),
      { numRuns: 200 },
    )
  })
})

describe('a stream of rubbish', () => {
  const packet = (letter: number, payload: Uint8Array): Buffer => {
    const head = Buffer.alloc(5)
    head.writeUInt32BE(payload.length + 1)
    head[4] = letter
    return Buffer.concat([head, payload])
  }
  const letters = Object.values(commandByte).filter(letter => letter !== commandByte.QUIT)
  const anyPacket = fc
    .tuple(
      fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...letters) }, { weight: 1, arbitrary: fc.nat(255) }),
      fc.oneof(
        fc.uint8Array({ maxLength: 40 }),
        fc.constantFrom(...[...message, ...hello].map(c => encodeCommand(c).subarray(5))),
      ),
    )
    .map(([letter, payload]) => packet(letter, payload))

  it('after the negotiation never upsets the host, and every message that ends is answered', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyPacket, { maxLength: 30 }), async packets => {
        const { codes, letters: replies } = await hear([
          stream(offer),
          ...packets,
          stream({ kind: 'abort' }, ...message),
        ])
        expect(codes).not.toContain('MTA_INTERNAL')
        const known = packets.every(bytes => letters.includes(bytes[4] as never))
        if (known) expect(replies).toMatch(/[cy]$/)
      }),
      { numRuns: 500 },
    )
  })

  it('never has a message accepted that was torn', async () => {
    const torn = fc.constantFrom(...hello.slice(0, 1), ...message.slice(1, 3), ...content.slice(1), endOfMessage)
    await fc.assert(
      fc.asyncProperty(fc.array(torn, { maxLength: 6 }), async extra => {
        const source = new RecordingSource()
        const { told, letters: replies } = await hear(
          [stream(offer, ...hello, ...message.slice(0, 3), ...extra, ...content, endOfMessage)],
          source,
        )
        const aborted = told.includes('abort mta-abort')
        if (aborted && !told.includes('end')) expect(replies.at(-1)).toBe('y')
      }),
      { numRuns: 300 },
    )
  })
})

it('the memory of a large read is free again as soon as it is worked through, and nothing of it is missing', async () => {
  const body = { kind: 'body' as const, chunk: Buffer.alloc(40_000, 'x') }
  const given = stream(offer, ...hello, ...message.slice(0, -1), body, endOfMessage)
  const whole = await hear([given])
  expect(whole.body).toBe(`text\r\n${'x'.repeat(40_000)}`)
  const reads: ArrayBufferLike[] = []
  const watched = (piece: Buffer): Buffer => {
    const read = ownMemory(piece)
    reads.push(read.buffer)
    return read
  }
  const pieces = [given.subarray(0, 20_000), given.subarray(20_000, 36_000), given.subarray(36_000)]
  const heard = await hear(pieces, undefined, watched)
  expect(heard).toEqual(whole)
  // What is small is left to the garbage collector.
  expect(reads.map(({ byteLength }) => byteLength)).toEqual([0, 16_000, given.length - 36_000])
})
