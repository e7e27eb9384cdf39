// A scripted milter in the test's own process, without libmilter and without the product's codec: answers what the script says at
// each stage, well or badly, and keeps a log of every packet. The milter to attach where a test is about faults, or about exactly
// what the peer sends. rig/lib/rawmilter.py is the same as a process of its own, to be killed.

import net from 'node:net'
import { listen } from './address.ts'
import { onCleanup } from './cleanup.ts'
import { cstrings, frame, type Packet, Splitter, uint32 } from './frames.ts'
import { PATIENCE, sleep, until } from './wait.ts'

type Bytes = Buffer | string

/** One letter is that answer without data. Strings are latin1, one character a byte. */
export type Step =
  | string
  | ['y', reply: string]
  | ['h', name: string, value: string]
  | ['i' | 'm', index: number, name: string, value: string]
  | ['+' | '-', address: string]
  | ['2' | 'e', address: string, parameters?: string]
  | ['q', reason: string]
  | ['b', chunk: Bytes]
  | ['packet', command: string, data: Bytes]
  | ['raw', bytes: Bytes]
  /** So many bytes that are no packets, always the same. */
  | ['garbage', count: number]
  /** A byte at a time, with so many seconds between. */
  | ['drip', bytes: Bytes, every: number]
  | ['sleep', seconds: number]
  | ['progress', count: number, every: number]
  | ['close' | 'rst' | 'hang']

/** What a rule may look at beside the packet: the connection's number, and how many of this command it saw before on it. */
export interface Turn {
  connection: number
  seen: number
}

/** Steps always, or by the packet; undefined is the answer without a rule. */
export type Rule = Step[] | ((packet: Packet, turn: Turn) => Step[] | undefined)

export interface RawMilterScript {
  /** Version answered; the MTA's, but at most 6. */
  version?: number
  /** Actions wanted, ANDed with the offer: all. */
  actions?: number
  /** Protocol bits wanted, ANDed with the offer: none. */
  protocol?: number
  /** Macro lists by stage number. */
  symlist?: Record<number, string>
  /** In place of the whole answer to the negotiation. */
  negotiate?: Step[]
  /** By command letter. Without a rule: CONTINUE, or nothing where no-reply was agreed, and never to D, A, K, Q. */
  on?: Partial<Record<string, Rule>>
}

/** A packet, or an opened or closed connection. */
export interface LogEntry extends Packet {
  connection: number
  direction: 'in' | 'out' | 'open' | 'close'
}

export interface RawMilter {
  address: string
  log: LogEntry[]
  /** Packets received with this command letter. */
  received(command: string): LogEntry[]
  /** The letters received on a connection, in order: 'ODCDHDMDR..'; on all without a number. */
  letters(connection?: number): string
  /** Connections open now. */
  open(): number
  /** Waits until the log makes it true. */
  waitFor(what: string, condition: (log: LogEntry[]) => boolean, seconds?: number): Promise<void>
  stop(): Promise<void>
}

// biome-ignore format: a table
const NO_REPLY: Record<string, number> = {
  C: 0x1000, H: 0x2000, M: 0x4000, R: 0x8000, T: 0x10000, U: 0x20000, N: 0x40000, B: 0x80000, L: 0x80, E: 0,
}

/** Listens at once. Address: 'inet' takes a free port; or 'inet:HOST:PORT', 'unix:/path'. */
export async function rawMilter(script: RawMilterScript = {}, address = 'inet'): Promise<RawMilter> {
  const log: LogEntry[] = []
  const sockets = new Set<net.Socket>()
  let count = 0
  const server = net.createServer(socket => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    serve(socket, script, ++count, log)
  })
  const at = await listen(server, address === 'inet' ? 'inet:127.0.0.1:0' : address)
  return {
    address: at,
    log,
    received: command => log.filter(entry => entry.direction === 'in' && entry.command === command),
    letters: connection =>
      log
        .filter(entry => entry.direction === 'in' && (connection === undefined || entry.connection === connection))
        .map(entry => entry.command)
        .join(''),
    open: () => sockets.size,
    waitFor: async (what, condition, seconds = PATIENCE) => {
      await until(what, () => condition(log), seconds)
    },
    stop: onCleanup(
      () =>
        new Promise<void>(resolve => {
          server.close(() => resolve())
          for (const socket of sockets) socket.destroy()
        }),
    ),
  }
}

function serve(socket: net.Socket, script: RawMilterScript, connection: number, log: LogEntry[]): void {
  const splitter = new Splitter()
  const seen = new Map<string, number>()
  const note = (direction: LogEntry['direction'], packet: Packet): void => {
    log.push({ connection, direction, ...packet })
  }
  let agreed = 0
  let turn = Promise.resolve()

  const answer = async (packet: Packet): Promise<void> => {
    const before = seen.get(packet.command) ?? 0
    seen.set(packet.command, before + 1)
    if (packet.command === 'Q') {
      socket.end()
      return
    }
    if (packet.command === 'O') {
      agreed = (script.protocol ?? 0) & packet.data.readUInt32BE(8)
      return play(script.negotiate ?? [['packet', 'O', negotiation(script, packet.data)]])
    }
    const rule = script.on?.[packet.command]
    const steps = typeof rule === 'function' ? rule(packet, { connection, seen: before }) : rule
    if (steps) return play(steps)
    const silent = NO_REPLY[packet.command]
    if (silent !== undefined && (agreed & silent) === 0) return play(['c'])
  }

  const play = async (steps: Step[]): Promise<void> => {
    let out: Buffer[] = []
    const flush = (): void => {
      if (out.length > 0 && socket.writable) socket.write(Buffer.concat(out))
      out = []
    }
    for (const step of steps) {
      if (socket.destroyed) return
      const packet = packetOf(step)
      if (packet) {
        note('out', packet)
        out.push(frame(packet.command, packet.data))
        continue
      }
      const [kind, first, second] = step as Exclude<Step, string>
      if (kind === 'raw') {
        out.push(bytes(first as Bytes))
        continue
      }
      if (kind === 'garbage') {
        out.push(garbage(first as number))
        continue
      }
      flush()
      if (kind === 'sleep') await sleep(first as number)
      else if (kind === 'progress') {
        for (let i = 0; i < (first as number); i++) {
          await sleep(second as number)
          await play(['p'])
        }
      } else if (kind === 'drip') {
        for (const byte of bytes(first as Bytes)) {
          if (socket.writable) socket.write(Buffer.of(byte))
          await sleep(second as number)
        }
      } else if (kind === 'close') socket.destroySoon()
      else if (kind === 'rst') socket.resetAndDestroy()
      else await new Promise<void>(resolve => socket.once('close', () => resolve()))
    }
    flush()
  }

  note('open', { command: '', data: Buffer.alloc(0) })
  socket.setNoDelay(true)
  socket.on('data', chunk => {
    for (const packet of splitter.feed(chunk)) {
      note('in', packet)
      turn = turn.then(() => (socket.destroyed ? undefined : answer(packet)))
      // a rule that throws is a fault of the test: visible as a reset and in the log
      turn = turn.catch(error => socket.destroy(error as Error) as unknown as undefined)
    }
  })
  let reason = ''
  socket.on('error', error => {
    reason = error.message
  })
  socket.once('close', () => note('close', { command: '', data: Buffer.from(reason) }))
}

function negotiation(script: RawMilterScript, offer: Buffer): Buffer {
  return Buffer.concat([
    uint32(
      script.version ?? Math.min(offer.readUInt32BE(0), 6),
      (script.actions ?? 0xffffffff) & offer.readUInt32BE(4),
      (script.protocol ?? 0) & offer.readUInt32BE(8),
    ),
    ...Object.entries(script.symlist ?? {}).flatMap(([stage, names]) => [uint32(Number(stage)), cstrings(names)]),
  ])
}

/** The packet that a step is, if it is one. */
function packetOf(step: Step): Packet | undefined {
  if (typeof step === 'string') return { command: step, data: Buffer.alloc(0) }
  switch (step[0]) {
    case 'i':
    case 'm':
      return { command: step[0], data: Buffer.concat([uint32(step[1]), cstrings(step[2], step[3])]) }
    case 'b':
      return { command: 'b', data: bytes(step[1]) }
    case 'packet':
      return { command: step[1], data: bytes(step[2]) }
    case 'y':
    case 'h':
    case '+':
    case '-':
    case '2':
    case 'e':
    case 'q':
      return { command: step[0], data: cstrings(...step.slice(1).filter(part => part !== undefined)) }
    default:
      return undefined
  }
}

const bytes = (value: Bytes): Buffer => (typeof value === 'string' ? Buffer.from(value, 'latin1') : value)

function garbage(count: number): Buffer {
  const out = Buffer.alloc(count)
  let state = 0x9e3779b9
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    out[i] = state >>> 24
  }
  return out
}
