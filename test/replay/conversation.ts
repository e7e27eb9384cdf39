/**
 * A capture as something that can be played again: for each milter connection the MTA's commands in order, each with the
 * macros before it and with what the milter answered.
 *
 * Cuts packets with the harness's own framing, not the product's codec, so that both cannot share a mistake. A conversation
 * that the milter cut short is completed from a normal one of the same MTA, because milterhost decides about content at its
 * end: an MTA attached to it goes on where the captured one stopped.
 */
import {
  type Capture,
  type CapturedFragment,
  type CapturedPacket,
  captureConnections,
  readCapture,
} from '../captures/read.ts'
import type { Packet } from '../interop/harness/frames.ts'

/** One command of the MTA. */
export interface Turn {
  readonly command: string
  readonly data: Buffer
  /** D packets before it. */
  readonly macros: readonly Buffer[]
  /** Whole packets that answered it; the last is the verdict if there was one. */
  readonly replies: readonly Packet[]
  /** All bytes that answered it, those that make no packet included. */
  readonly answer: Buffer
  /** Not in the capture: taken from a normal conversation. The captured milter never saw it and has no answer. */
  readonly completed: boolean
}

/** One connection between MTA and milter. */
export interface Conversation {
  readonly offer: Negotiation
  /** Bytes of the milter's answer to the offer, whatever they are. */
  readonly answer: Buffer
  /** What that answer agrees on; `null` if it is none. */
  readonly agreed: Negotiation | null
  readonly turns: readonly Turn[]
  /** The milter closed the connection after the last command, without having been asked to. */
  readonly milterLeft: boolean
}

export interface Negotiation {
  readonly version: number
  readonly actions: number
  readonly protocol: number
}

export const LEADING_SPACE = 0x100000
const EDITS = '+-2ehimbqp'

/** Ends a question. */
export const isVerdict = ({ command }: Packet): boolean => !EDITS.includes(command)

export const verdictIn = (packets: readonly Packet[]): Packet | null => packets.find(isVerdict) ?? null

export const editsIn = (packets: readonly Packet[]): Packet[] =>
  packets.filter(({ command }) => EDITS.includes(command) && command !== 'p')

/** The conversations of a capture, completed where the milter's answer, not the client, ended them. */
export function conversationsOf(capture: Capture): Conversation[] {
  return captureConnections(capture).map(({ connection, packets }) => {
    const conversation = read(capture, connection, packets)
    return complete(conversation, capture.mta)
  })
}

function read(
  capture: Capture,
  connection: number,
  events: readonly (CapturedPacket | CapturedFragment)[],
): Conversation {
  const turns: Turn[] = []
  let macros: Buffer[] = []
  for (const { direction, bytes, kind } of events) {
    const packet = { command: String.fromCharCode(bytes[4] ?? 0), data: bytes.subarray(5) }
    if (direction === '>' && packet.command === 'D') macros.push(bytes)
    else if (direction === '>') {
      turns.push({ ...packet, macros, replies: [], answer: Buffer.alloc(0), completed: false })
      macros = []
    } else {
      const at = turns.findLastIndex(({ command }) => command !== 'A' && command !== 'Q')
      const turn = turns[at]
      if (turn === undefined) throw new Error(`${capture.name}: the milter spoke first`)
      const replies = kind === 'packet' ? [...turn.replies, packet] : turn.replies
      turns[at] = { ...turn, replies, answer: Buffer.concat([turn.answer, bytes]) }
    }
  }
  const [negotiation, ...rest] = turns
  if (negotiation?.command !== 'O') throw new Error(`${capture.name}: C${connection} does not begin with OPTNEG`)
  const last = rest.at(-1)
  if (last !== undefined && last.answer.length === 0)
    rest[rest.length - 1] = { ...last, answer: unrecordedAnswer(capture) }
  const reply = negotiation.replies[0]
  return {
    offer: negotiationIn(negotiation.data),
    answer: negotiation.answer,
    agreed: reply?.command === 'O' ? negotiationIn(reply.data) : null,
    turns: rest,
    milterLeft: leftByMilter(capture, connection, last?.command ?? 'O'),
  }
}

/** Bytes that the MTA closed over before the relay could tell a packet in them: they stand in the script of the milter. */
function unrecordedAnswer({ milter }: Capture): Buffer {
  const hex = /\["raw", "([0-9a-f]+)"\]/.exec(milter)?.[1]
  return Buffer.from(hex ?? '', 'hex')
}

function leftByMilter({ events }: Capture, connection: number, lastCommand: string): boolean {
  if (lastCommand === 'Q') return false
  const end = events.find(
    event => event.kind.startsWith('closed') && (event as { connection: number }).connection === connection,
  )
  return end?.kind === 'closed-by-milter'
}

function negotiationIn(data: Buffer): Negotiation {
  return { version: data.readUInt32BE(0), actions: data.readUInt32BE(4), protocol: data.readUInt32BE(8) }
}

const ORDER = 'CHMRTLNBE'

/** Adds what the MTA would have sent had it been answered "continue". */
function complete(conversation: Conversation, mta: Capture['mta']): Conversation {
  const { turns } = conversation
  const at = turns.findLastIndex(({ command }) => !'AQU'.includes(command))
  const last = turns[at]
  const donor = normalTurns(mta)
  // A milter that asks for the end of the message only: the envelope before it is that of the normal conversation.
  if (last?.command === 'E' && !turns.some(({ command }) => command === 'M'))
    return { ...conversation, turns: [...donor.slice(0, stagesUpTo(donor, 'B')), ...turns] }
  if (last !== undefined && !stopped(last, conversation)) return conversation
  const rest = last === undefined ? donor : donor.slice(stagesUpTo(donor, last.command))
  return { ...conversation, turns: [...turns.slice(0, at + 1), ...rest] }
}

/** Whether the answer to this command is why the MTA said no more. */
function stopped({ command, replies, answer }: Turn, { milterLeft }: Conversation): boolean {
  if (command === 'E') return false
  if (answer.length === 0) return milterLeft
  return replies.length !== 1 || replies[0]!.command !== 'c'
}

const normal = new Map<Capture['mta'], readonly Turn[]>()

function normalTurns(mta: Capture['mta']): readonly Turn[] {
  let turns = normal.get(mta)
  if (turns === undefined) {
    const capture = readCapture(`${mta}-normal-2rcpt`)
    const { connection, packets } = captureConnections(capture)[0]!
    turns = read(capture, connection, packets).turns.map(turn => ({
      ...turn,
      replies: [],
      answer: Buffer.alloc(0),
      completed: true,
    }))
    normal.set(mta, turns)
  }
  return turns
}

/** How many of the turns belong to this stage or one before it. */
const stagesUpTo = (turns: readonly Turn[], command: string): number =>
  turns.findLastIndex(turn => ORDER.includes(turn.command) && ORDER.indexOf(turn.command) <= ORDER.indexOf(command)) + 1
