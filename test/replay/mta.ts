/**
 * Plays the MTA's side of a conversation against a milter, as an MTA that keeps to what this milter agreed to: what it did not
 * ask for is not sent, what it does not answer is not waited for, and after its verdict the MTA goes on as
 * Postfix and Sendmail do.
 *
 * Macros are sent for suppressed commands too, as both MTAs do. Every packet that comes back is kept: one too many is as
 * much a fault as one too few.
 */
import { once } from 'node:events'
import type net from 'node:net'
import { dial } from '../interop/harness/address.ts'
import { frame, type Packet, Splitter, uint32 } from '../interop/harness/frames.ts'
import { within } from '../interop/harness/wait.ts'
import { type Conversation, isVerdict, LEADING_SPACE, type Negotiation, type Turn, verdictIn } from './conversation.ts'

/** What came back for one command. */
export interface Answered {
  readonly turn: Turn
  /** Position among the turns of the conversation. */
  readonly at: number
  /** Edits and the verdict; empty where no reply was due. */
  readonly packets: readonly Packet[]
}

export interface Played {
  readonly agreed: Negotiation
  /** The commands that were sent, in order. */
  readonly answered: readonly Answered[]
  /** Packets nobody waited for. */
  readonly stray: readonly Packet[]
  /** The milter closed although it was not told QUIT. */
  readonly left: boolean
}

const NOT_SENT: Record<string, number> = { C: 1, H: 2, M: 4, R: 8, B: 0x10, L: 0x20, N: 0x40, U: 0x100, T: 0x200 }
// biome-ignore format: a table
const NOT_ANSWERED: Record<string, number> = {
  C: 0x1000, H: 0x2000, M: 0x4000, R: 0x8000, T: 0x10000, U: 0x20000, N: 0x40000, B: 0x80000, L: 0x80,
}
const ENVELOPE = 'MRTLNBE'

export async function play(
  address: string,
  conversation: Conversation,
  offer: Negotiation = conversation.offer,
): Promise<Played> {
  const line = new Line(dial(address))
  try {
    await line.open()
    line.send(frame('O', uint32(offer.version, offer.actions, offer.protocol)))
    const answer = await line.read()
    if (answer.command !== 'O') throw new Error(`the offer is answered with '${answer.command}'`)
    const agreed = {
      version: answer.data.readUInt32BE(0),
      actions: answer.data.readUInt32BE(4),
      protocol: answer.data.readUInt32BE(8),
    }
    const answered: Answered[] = []
    const progress = new Progress()
    for (const [at, turn] of conversation.turns.entries()) {
      if (turn.command === 'Q') break
      if (!progress.reaches(turn.command)) continue
      const waits = expectsReply(turn.command, agreed)
      line.send(Buffer.concat([...turn.macros, ...(waits === null ? [] : [packetFor(turn, conversation, agreed)])]))
      if (waits === null) continue
      const packets = waits ? await line.answer() : []
      answered.push({ turn, at, packets })
      progress.after(turn.command, verdictIn(packets))
    }
    const left = line.ended
    await line.quit()
    return { agreed, answered, stray: line.arrived, left }
  } finally {
    line.destroy()
  }
}

/** `null`: it is not sent at all. */
function expectsReply(command: string, { version, protocol }: Negotiation): boolean | null {
  if (command === 'A') return false
  if ((protocol & (NOT_SENT[command] ?? 0)) !== 0) return null
  if ((command === 'T' && version < 4) || (command === 'U' && version < 3)) return null
  return (protocol & (NOT_ANSWERED[command] ?? 0)) === 0
}

/** Header values lose or keep their leading space as was agreed now, whatever the capture's milter had agreed. */
function packetFor({ command, data, completed }: Turn, conversation: Conversation, agreed: Negotiation): Buffer {
  if (command !== 'L') return frame(command, data)
  const had = !completed && ((conversation.agreed?.protocol ?? 0) & LEADING_SPACE) !== 0
  const has = (agreed.protocol & LEADING_SPACE) !== 0
  if (had === has) return frame(command, data)
  const [name = '', value = ''] = data.toString('latin1').split('\0')
  return frame(command, Buffer.from(`${name}\0${has ? ` ${value}` : value.replace(/^ /, '')}\0`, 'latin1'))
}

/** Where the MTA is with this milter: what a verdict ends. */
class Progress {
  #connectionOver = false
  #messageOver = false
  #skipBody = false
  #recipients = { asked: 0, accepted: 0 }

  reaches(command: string): boolean {
    if (this.#connectionOver) return false
    if (command === 'M') {
      this.#messageOver = false
      this.#skipBody = false
      this.#recipients = { asked: 0, accepted: 0 }
    } else if (command === 'H' || command === 'A') {
      this.#messageOver = false
    }
    if (!ENVELOPE.includes(command)) return true
    if (this.#messageOver || (command === 'B' && this.#skipBody)) return false
    const { asked, accepted } = this.#recipients
    return !'TLNBE'.includes(command) || asked === 0 || accepted > 0
  }

  after(command: string, verdict: Packet | null): void {
    const said = verdict?.command ?? 'c'
    const refused = 'rty'.includes(said)
    if (said === 'y' && verdict?.data.toString('latin1', 0, 3) === '421') this.#connectionOver = true
    if (command === 'C' || command === 'H') this.#connectionOver ||= refused || said === 'a'
    else if (command === 'R') {
      this.#recipients.asked++
      if (said === 'c') this.#recipients.accepted++
      this.#messageOver ||= said === 'a' || said === 'd'
    } else if (ENVELOPE.includes(command)) {
      this.#skipBody ||= said === 's'
      this.#messageOver ||= refused || said === 'a' || said === 'd'
    }
  }
}

class Line {
  readonly arrived: Packet[] = []
  ended = false
  readonly #socket: net.Socket
  readonly #splitter = new Splitter()
  #wake: () => void = () => {}

  constructor(socket: net.Socket) {
    this.#socket = socket
    const end = (): void => {
      this.ended = true
      this.#wake()
    }
    socket.on('data', chunk => {
      this.arrived.push(...this.#splitter.feed(chunk))
      this.#wake()
    })
    socket.on('error', end)
    socket.on('close', end)
  }

  async open(): Promise<void> {
    await within(20, 'a connection', once(this.#socket, 'connect'))
  }

  send(bytes: Buffer): void {
    if (bytes.length > 0) this.#socket.write(bytes)
  }

  async read(): Promise<Packet> {
    await within(20, 'a packet', this.#packet())
    return this.arrived.shift()!
  }

  async answer(): Promise<Packet[]> {
    const packets: Packet[] = []
    for (;;) {
      const packet = await this.read()
      if (packet.command === 'p') continue
      packets.push(packet)
      if (isVerdict(packet)) return packets
    }
  }

  async quit(): Promise<void> {
    if (this.ended) return
    const closed = once(this.#socket, 'close')
    this.#socket.end(frame('Q'))
    await within(20, 'the milter closes after QUIT', closed)
  }

  destroy(): void {
    this.#socket.destroy()
  }

  async #packet(): Promise<void> {
    while (this.arrived.length === 0) {
      if (this.ended) throw new Error('the milter closed the connection')
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }
}
