/**
 * The codec against what real MTAs and milters sent: every packet of every capture decodes and encodes to the same bytes.
 * The few wrong packets of the scripted milters are listed one by one with the error they must give.
 */

import { describe, expect, it } from 'vitest'
import {
  decodeCommand,
  decodeReply,
  decodeReplyText,
  encodeCommand,
  encodeReply,
  encodeReplyText,
  FrameDecoder,
  type Irregularity,
} from '../../../src/bridge/wire/index.ts'
import { type CapturedPacket, captureConnections, captureNames, readCapture } from '../../captures/read.ts'
import { codeOf } from './error-of.ts'

const malformed: Readonly<Record<string, { readonly hex: string; readonly code: string }>> = {
  'postfix-raw-unknown-answer': { hex: '000000015a', code: 'WIRE_UNKNOWN_REPLY' },
  'sendmail-raw-unknown-answer': { hex: '000000015a', code: 'WIRE_UNKNOWN_REPLY' },
  'postfix-raw-unterminated-string': { hex: '0000000b68582d4472697000796573', code: 'WIRE_UNTERMINATED' },
  'sendmail-raw-unterminated-string': { hex: '0000000b68582d4472697000796573', code: 'WIRE_UNTERMINATED' },
}

const refusedFrames: Readonly<Record<string, string>> = {
  'sendmail-raw-garbage-optneg': 'WIRE_LENGTH_OVER',
  'sendmail-raw-oversize-answer': 'WIRE_LENGTH_OVER',
}

const captures = captureNames().map(readCapture)
const packets = captures.flatMap(capture =>
  capture.events
    .filter(event => event.kind === 'packet')
    .map(packet => ({ capture: capture.name, packet, isMalformed: isMalformed(capture.name, packet) })),
)

describe('the captures', () => {
  it('are all there and hold packets of both directions', () => {
    expect(captures).toHaveLength(126)
    expect(packets.filter(({ packet }) => packet.direction === '>')).toHaveLength(2862)
    expect(packets.filter(({ packet }) => packet.direction === '<')).toHaveLength(1598)
  })

  it('decode without irregularity and encode to the same bytes', () => {
    const odd: Irregularity[] = []
    for (const { capture, packet } of packets.filter(entry => !entry.isMalformed)) {
      const where = `${capture}:${packet.line}`
      expect(recoded(packet, odd).toString('hex'), where).toBe(packet.bytes.toString('hex'))
    }
    expect(odd).toEqual([])
  })

  it('hold exactly the listed malformed packets, which give the listed errors', () => {
    const wrong = packets.filter(entry => entry.isMalformed)
    expect(wrong.map(({ capture }) => capture)).toEqual(Object.keys(malformed).sort())
    for (const { capture, packet } of wrong) expect(codeOf(() => recoded(packet, []))).toBe(malformed[capture]!.code)
  })

  it('hold fragments whose length is refused at the header', () => {
    const fragments = captures.flatMap(({ name, events }) =>
      events.filter(event => event.kind === 'fragment').map(({ bytes }) => ({ name, bytes })),
    )
    expect(Object.fromEntries(fragments.map(({ name, bytes }) => [name, codeOf(() => frames(bytes))]))).toEqual(
      refusedFrames,
    )
  })

  it('come out of one glued stream as the same packets', () => {
    for (const capture of captures) {
      for (const { connection, packets: all } of captureConnections(capture)) {
        for (const direction of ['>', '<'] as const) {
          const sent = all.filter(event => event.kind === 'packet' && event.direction === direction)
          const got = frames(Buffer.concat(sent.map(({ bytes }) => bytes)))
          expect(got, `${capture.name} C${connection}`).toEqual(sent.map(({ bytes }) => bytes.toString('hex')))
        }
      }
    }
  })

  it('hold reply texts that survive decoding and encoding, except those that are deliberately wrong', () => {
    const texts = packets
      .filter(({ packet }) => packet.direction === '<' && packet.bytes[4] === 0x79)
      .map(({ packet }) => packet.bytes.toString('latin1', 5, packet.bytes.length - 1))
    const refused = texts.filter(text => {
      const decoded = decodeReplyText(text)
      if (decoded.ok) expect(encodeReplyText(decoded.reply)).toBe(text)
      return !decoded.ok
    })
    expect(texts.length).toBeGreaterThan(15)
    expect([...new Set(refused)]).toEqual(['250 2.0.0 fine'])
  })
})

function isMalformed(name: string, packet: CapturedPacket): boolean {
  return malformed[name] !== undefined && packet.bytes.toString('hex') === malformed[name].hex
}

function recoded(packet: CapturedPacket, odd: Irregularity[]): Buffer {
  const letter = packet.bytes[4]!
  const payload = packet.bytes.subarray(5)
  const options = { report: (irregularity: Irregularity) => odd.push(irregularity) }
  if (packet.direction === '>') return encodeCommand(decodeCommand(letter, payload, options))
  return encodeReply(decodeReply(letter, payload, options))
}

function frames(stream: Buffer): string[] {
  const got: string[] = []
  new FrameDecoder().push(stream, (command, payload) => {
    const header = Buffer.alloc(5)
    header.writeUInt32BE(payload.length + 1)
    header[4] = command
    got.push(header.toString('hex') + payload.toString('hex'))
  })
  return got
}
