/**
 * The milter of a capture: answers each command with the very bytes the captured milter answered it with, and leaves where
 * that one left.
 *
 * Each connection plays the next of the capture's conversations, round and round. A command that the captured milter
 * was not sent where it comes now is an error of the test's subject, and noted, not answered.
 */
import net from 'node:net'
import { listen } from '../interop/harness/address.ts'
import { onCleanup } from '../interop/harness/cleanup.ts'
import { type Packet, Splitter } from '../interop/harness/frames.ts'
import type { Conversation, Turn } from './conversation.ts'

/** What one connection was told. */
export interface Told {
  readonly conversation: Conversation
  /** Without D packets. */
  readonly packets: Packet[]
  readonly macros: Packet[]
}

export interface ReplayMilter {
  readonly address: string
  /** Connections that were told anything beyond a negotiation, in order. */
  readonly told: readonly Told[]
  /** Commands that the captured milter was not sent there. */
  readonly unexpected: readonly string[]
  stop(): Promise<void>
}

export async function replayMilter(conversations: readonly Conversation[], socket: string): Promise<ReplayMilter> {
  const told: Told[] = []
  const unexpected: string[] = []
  const sockets = new Set<net.Socket>()
  const take = (): Told => {
    const conversation = conversations[told.length % conversations.length]!
    const entry = { conversation, packets: [], macros: [] }
    told.push(entry)
    return entry
  }
  const server = net.createServer(connection => {
    sockets.add(connection)
    connection.once('close', () => sockets.delete(connection))
    // However the host leaves: what it said before counts.
    connection.on('error', () => connection.destroy())
    serve(connection, conversations, take, unexpected)
  })
  return {
    address: await listen(server, socket),
    told,
    unexpected,
    stop: onCleanup(
      () =>
        new Promise<void>(resolve => {
          server.close(() => resolve())
          for (const each of sockets) each.destroy()
        }),
    ),
  }
}

function serve(
  socket: net.Socket,
  conversations: readonly Conversation[],
  take: () => Told,
  unexpected: string[],
): void {
  const splitter = new Splitter()
  let told: Told | null = null
  let next = 0
  socket.on('data', chunk => {
    for (const packet of splitter.feed(chunk)) {
      if (socket.destroyed || socket.writableEnded) return
      if (packet.command === 'O') {
        const [first] = conversations
        socket.write(first!.answer)
        if (first!.turns[0]?.completed !== false && first!.milterLeft) socket.end()
        continue
      }
      if (packet.command === 'Q') {
        told?.packets.push(packet)
        socket.end()
        continue
      }
      told ??= take()
      if (packet.command === 'D') told.macros.push(packet)
      else {
        told.packets.push(packet)
        if (packet.command === 'A') continue
        const { turns, milterLeft } = told.conversation
        const at = turnFor(turns, next, packet)
        const turn = turns[at]
        if (turn === undefined || turn.completed) unexpected.push(`${packet.command} ${packet.data.toString('latin1')}`)
        else {
          next = at + 1
          socket.write(turn.answer)
          if (milterLeft && at === turns.findLastIndex(each => !each.completed && each.command !== 'A')) socket.end()
        }
      }
    }
  })
}

/** The next turn with this command, within the message that has been reached. */
function turnFor(turns: readonly Turn[], from: number, { command }: Packet): number {
  for (let at = from; at < turns.length; at++) {
    if (turns[at]!.command === command) return at
    if (turns[at]!.command === 'E' && command !== 'M' && command !== 'H' && command !== 'U') return -1
  }
  return -1
}
