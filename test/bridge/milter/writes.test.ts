/** The memory that is written from, without sockets: a milter behind a full socket must not cost a fresh buffer for each piece. */
import { expect, test } from 'vitest'
import { Channel, type Transport } from '../../../src/bridge/milter/channel.ts'
import { ContentMachine, type ContentOptions, converse } from '../../../src/bridge/milter/content.ts'
import { MacroChoice } from '../../../src/bridge/milter/macro-choice.ts'
import { Terms } from '../../../src/bridge/milter/terms.ts'
import { acceptAnswer, offerToMilter, PacketWriter } from '../../../src/bridge/wire/index.ts'
import { MacroStore } from '../../../src/host/macros.ts'
import { memoryBody } from '../../../src/host/message/body.ts'
import { receivedMessage } from '../../../src/host/message/snapshot.ts'
import { CONTINUE } from '../../../src/host/verdict.ts'
import { frame } from '../../interop/harness/frames.ts'

/** Takes each write only after a while, as a socket whose peer is slow to read. */
class SlowWire implements Transport {
  readonly memory = new Set<ArrayBufferLike>()
  channel: Channel | null = null
  received = ''
  idle = true

  write(bytes: Buffer): boolean {
    this.memory.add(bytes.buffer)
    this.idle = false
    setImmediate(() => {
      this.received += bytes.toString('latin1')
      this.idle = true
      this.channel?.drained()
      if (this.received.endsWith('\0\0\0\x01E')) this.channel?.received(frame('c'))
    })
    return false
  }

  pause(): void {}
  resume(): void {}
  end(): void {}
  destroy(): void {}
}

test('the pieces of a body are written from the same memory, and none before the one in front of it was taken', async () => {
  const noAnswers = 0x80 | 0x40000 | 0x80000
  const offer = offerToMilter(6, 0x1ff, 0x1fffff)
  const terms = new Terms(acceptAnswer(offer, { version: 6, actions: 0, protocol: noAnswers, symbols: [] }))
  const wire = new SlowWire()
  const channel = new Channel('ext', wire, {}, { heard: 0 })
  wire.channel = channel
  const pieces = Array.from({ length: 20 }, (_, i) => Buffer.alloc(65_535, 65 + i))
  const body = memoryBody(pieces)
  const options: Partial<ContentOptions> = {
    filter: 'ext',
    terms,
    message: receivedMessage({ id: 'm', sender: { raw: '<>', args: [] }, recipients: [], fields: [], body }),
    macros: new MacroStore(),
    choice: new MacroChoice(),
    dataOwed: false,
    pipelining: true,
  }
  const machine = new ContentMachine(options as ContentOptions)
  expect(await converse(channel, machine, body, new PacketWriter())).toEqual(CONTINUE)
  const packets = pieces.map(piece => `\0\x01\0\0B${piece.toString('latin1')}`)
  expect(wire.received === `\0\0\0\x01N${packets.join('')}\0\0\0\x01E`).toBe(true)
  expect(wire.memory.size).toBeLessThan(4)
})
