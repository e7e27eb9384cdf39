import { describe, expect, it } from 'vitest'
import { negotiate } from '../../../src/bridge/mta/negotiate.ts'
import { commandByte, commandKind, decodeCommand } from '../../../src/bridge/wire/index.ts'
import { captureConnections, captureNames, readCapture } from '../../captures/read.ts'
import { everything, RecordingSource } from './support/recorder.ts'
import { hear } from './support/wire.ts'

/** What an MTA sent on one connection, as far as it came in whole packets. */
interface Sent {
  readonly name: string
  readonly packets: readonly Buffer[]
}

const sent: Sent[] = captureNames().flatMap(name =>
  captureConnections(readCapture(name)).map(({ connection, packets }) => ({
    name: `${name} C${connection}`,
    packets: packets.flatMap(packet => (packet.kind === 'packet' && packet.direction === '>' ? [packet.bytes] : [])),
  })),
)

const unanswered = new Set<number>([commandByte.MACRO, commandByte.ABORT, commandByte.QUIT, commandByte.QUIT_NC])

/** The replies that the MTA waits for, under the terms that we answer its offer with. */
function owed(packets: readonly Buffer[]): number {
  const offer = decodeCommand(packets[0]![4]!, packets[0]!.subarray(5))
  if (offer.kind !== 'negotiate') throw new Error('a capture that does not begin with the negotiation')
  const { silent } = negotiate(offer, everything)
  return packets.filter(packet => !unanswered.has(packet[4]!) && !silent.has(commandKind(packet[4]!)!)).length
}

describe('what real MTAs sent', () => {
  it('is there', () => {
    expect(sent.length).toBeGreaterThan(100)
  })

  it.each(sent)('$name is understood and answered, reply for reply', async ({ packets }) => {
    const { letters, codes, told } = await hear([Buffer.concat(packets)])
    expect(codes).toEqual([])
    expect(letters).toHaveLength(owed(packets))
    const quit = packets.some(packet => packet[4] === commandByte.QUIT)
    expect(told.at(-1)).toBe(quit ? 'close client-left' : 'close shutdown')
  })

  it('comes out as every message that ended, with its whole body', async () => {
    for (const { name, packets } of sent) {
      const { told, body } = await hear(packets)
      const letters = packets.map(packet => String.fromCharCode(packet[4]!)).join('')
      // Captured against a milter that wanted no envelope: content without one concerns nobody.
      if (!letters.includes('M')) continue
      const chunks = packets.filter(packet => packet[4] === commandByte.BODY).map(packet => packet.subarray(5))
      if (/E/.test(letters))
        expect(`${name} ${told.filter(line => line === 'end').length}`).toBe(`${name} ${letters.match(/E/g)!.length}`)
      expect(body).toBe(Buffer.concat(chunks).toString('latin1'))
    }
  })

  it('tells which MTA it was', async () => {
    for (const { name, packets } of sent) {
      const source = new RecordingSource()
      await hear(packets, source)
      const letters = packets.map(packet => packet[4])
      const withVersion = packets.some(packet => packet.includes('\0v\0') || packet.includes('Cv\0'))
      if (withVersion && letters.includes(commandByte.CONNECT))
        expect(`${name} ${source.session.facts?.kind}`).toBe(`${name} ${name.split('-')[0]}`)
    }
  })
})
