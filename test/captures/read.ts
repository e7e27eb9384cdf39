/**
 * Reads the capture files beside it into values, see README.md for the format. It cuts nothing and decodes nothing: packets
 * are the bytes of the file. Text is read as latin1, one character a byte, like all wire text. For every test that replays
 * or decodes a capture.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** `>` from the MTA to the milter, `<` from the milter to the MTA. */
export type CaptureDirection = '>' | '<'

interface Timed {
  /** Seconds since the start of the capture; NaN for a remark that has no time. */
  readonly time: number
  /** Line number in the file, from 1. */
  readonly line: number
}

export interface CapturedPacket extends Timed {
  readonly kind: 'packet'
  readonly connection: number
  readonly direction: CaptureDirection
  /** The whole packet, length included. */
  readonly bytes: Buffer
}

/** Bytes that never became a packet. */
export interface CapturedFragment extends Timed {
  readonly kind: 'fragment'
  readonly connection: number
  readonly direction: CaptureDirection
  readonly bytes: Buffer
}

export interface CapturedState extends Timed {
  readonly kind: 'open' | 'closed-by-mta' | 'closed-by-milter'
  readonly connection: number
}

export interface CapturedSmtp extends Timed {
  readonly kind: 'smtp'
  /** `remark` holds what happened to the SMTP connection itself. */
  readonly from: 'client' | 'server' | 'remark'
  readonly text: string
}

export type CaptureEvent = CapturedPacket | CapturedFragment | CapturedState | CapturedSmtp

export interface Capture {
  /** File name without `.txt`. */
  readonly name: string
  readonly mta: 'postfix' | 'sendmail'
  readonly scenario: string
  readonly milter: string
  readonly events: readonly CaptureEvent[]
  /** The lines behind `#DELIVERED `. */
  readonly delivered: readonly string[]
  readonly log: readonly string[]
}

export interface CaptureConnection {
  readonly connection: number
  /** Packets and fragments in the order of the wire. */
  readonly packets: readonly (CapturedPacket | CapturedFragment)[]
}

const folder = fileURLToPath(new URL('.', import.meta.url))

export function captureNames(): string[] {
  return readdirSync(folder)
    .filter(file => /^(postfix|sendmail)-.*\.txt$/.test(file))
    .map(file => file.slice(0, -'.txt'.length))
    .sort()
}

export function readCapture(name: string): Capture {
  return parseCapture(name, readFileSync(`${folder}/${name}.txt`, 'latin1'))
}

export function parseCapture(name: string, text: string): Capture {
  const lines = text.split('\n')
  const title = /^# (postfix|sendmail) \| (\S+) \| (.*)$/.exec(lines[0] ?? '')
  if (title === null) throw new Error(`${name}: the first line is no capture title`)
  const events: CaptureEvent[] = []
  const delivered: string[] = []
  const log: string[] = []
  for (const [index, line] of lines.entries()) {
    if (index === 0 || line === '') continue
    if (line.startsWith('#DELIVERED')) delivered.push(line.slice('#DELIVERED '.length))
    else if (line.startsWith('#LOG')) log.push(line.slice('#LOG '.length))
    else {
      const event = parseEvent(line, index + 1)
      if (event !== null) events.push(event)
      else if (!line.startsWith('#    ')) throw new Error(`${name}:${index + 1}: unknown line ${line.slice(0, 60)}`)
    }
  }
  const mta = title[1] as Capture['mta']
  return { name, mta, scenario: title[2]!, milter: title[3]!, events, delivered, log }
}

/** The milter connections of a capture, each with its packets. */
export function captureConnections(capture: Capture): CaptureConnection[] {
  const packets = new Map<number, (CapturedPacket | CapturedFragment)[]>()
  for (const event of capture.events) {
    if (event.kind === 'open') packets.set(event.connection, [])
    else if (event.kind === 'packet' || event.kind === 'fragment') packets.get(event.connection)!.push(event)
  }
  return [...packets].map(([connection, list]) => ({ connection, packets: list }))
}

function parseEvent(line: string, number: number): CaptureEvent | null {
  const packet = /^C(\d+) ([<>]) \+([\d.]+) ([0-9a-f]+)$/.exec(line)
  if (packet !== null) return bytesEvent('packet', packet, number)
  const fragment = /^# {4}C(\d+) ([<>]) \+([\d.]+) \d+ bytes of an unfinished packet: ([0-9a-f]+)$/.exec(line)
  if (fragment !== null) return bytesEvent('fragment', fragment, number)
  const state = /^C(\d+) = \+([\d.]+) (open|closed-by-mta|closed-by-milter)$/.exec(line)
  if (state !== null) {
    const kind = state[3] as CapturedState['kind']
    return { kind, connection: Number(state[1]), time: Number(state[2]), line: number }
  }
  const smtp = /^#SMTP (?:\+([\d.]+) )?(S:|C:)?(.*)$/.exec(line)
  if (smtp === null) return null
  const from = smtp[2] === 'S:' ? 'server' : smtp[2] === 'C:' ? 'client' : 'remark'
  return { kind: 'smtp', from, text: smtp[3]!.trimStart(), time: Number(smtp[1] ?? Number.NaN), line: number }
}

function bytesEvent(kind: 'packet' | 'fragment', match: RegExpExecArray, line: number): CaptureEvent {
  return {
    kind,
    connection: Number(match[1]),
    direction: match[2] as CaptureDirection,
    time: Number(match[3]),
    bytes: Buffer.from(match[4]!, 'hex'),
    line,
  }
}
