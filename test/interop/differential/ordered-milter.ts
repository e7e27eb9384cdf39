// A raw milter that does in each SMTP session what the test ordered for it. Which session a packet belongs to is told by the client's
// address, which both an MTA and a host in between pass on: so one milter serves any number of sessions side by side, attached
// directly and behind the host at once.

import { type RawMilter, type RawMilterScript, rawMilter, type Step, strings, tempDir } from '../harness/index.ts'

/** Where in its session a packet stands. */
export interface Moment {
  /** Command letter. */
  at: string
  /** Messages begun so far, 0 before the first MAIL. */
  message: number
  /** Packets of this command in this message, or before the first one. */
  seen: number
  /** Commands of this message, or before the first one, up to now. */
  past: ReadonlySet<string>
}

/** What to answer; undefined is CONTINUE. */
export type Orders = (moment: Moment) => Step[] | undefined

export interface OrderedMilter extends RawMilter {
  /** Orders for the sessions of the client with this address. */
  order(client: string, orders: Orders): void
}

const COMMANDS = ['C', 'H', 'M', 'R', 'T', 'L', 'N', 'B', 'E', 'U']

interface Place {
  client: string
  message: number
  seen: Map<string, number>
}

export async function orderedMilter(options: Omit<RawMilterScript, 'on'> = {}): Promise<OrderedMilter> {
  const orders = new Map<string, Orders>()
  const places = new Map<number, Place>()
  const rule: NonNullable<RawMilterScript['on']>[string] = ({ command, data }, { connection }) => {
    if (command === 'C') places.set(connection, { client: clientOf(data), message: 0, seen: new Map() })
    const place = places.get(connection)
    if (place === undefined) return undefined
    if (command === 'M') {
      place.message++
      place.seen.clear()
    }
    const seen = place.seen.get(command) ?? 0
    const past = new Set(place.seen.keys())
    place.seen.set(command, seen + 1)
    return orders.get(place.client)?.({ at: command, message: place.message, seen, past })
  }
  const milter = await rawMilter(
    { ...options, on: Object.fromEntries(COMMANDS.map(command => [command, rule])) },
    `unix:${tempDir('milter')}/socket`,
  )
  return {
    ...milter,
    order: (client, what) => {
      orders.set(client, what)
    },
  }
}

/** After host name, family and port. */
function clientOf(data: Buffer): string {
  const family = data.indexOf(0) + 1
  return strings(data.subarray(family + 3))[0] ?? ''
}

/** Client addresses, each another one. */
export function* clients(): Generator<string, never> {
  for (let n = 0; ; n++) yield `127.${1 + (n >> 14)}.${(n >> 7) & 127}.${1 + (n & 127)}`
}
