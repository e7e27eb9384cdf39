// What an external milter can do wrong, and a milter that does it: to one client, once. It knows its victim by the address that
// CONNECT tells, so that any number of cases may run side by side against one host and everybody else finds it in good health.

import { type Packet, type RawMilter, type RawMilterScript, rawMilter, type Step } from '../harness/index.ts'

/** Commands that a milter is asked and answers, in order. */
export const COMMANDS = ['C', 'H', 'M', 'R', 'T', 'L', 'N', 'B', 'E'] as const
export type Command = (typeof COMMANDS)[number]

export interface MilterFault {
  name: string
  steps: Step[]
  /** The code under which the failure is told. */
  code: 'MILTER_CLOSED' | 'MILTER_PROTOCOL' | 'FILTER_TIMEOUT'
}

/** At every command. */
export const FAULTS: readonly MilterFault[] = [
  { name: 'closes', steps: [['close']], code: 'MILTER_CLOSED' },
  { name: 'resets', steps: [['rst']], code: 'MILTER_CLOSED' },
  { name: 'closes within a packet', steps: [['raw', '\0\0\0\x20y45'], ['close']], code: 'MILTER_CLOSED' },
  { name: 'sends garbage', steps: [['garbage', 4000]], code: 'MILTER_PROTOCOL' },
  { name: 'sends a length of 0', steps: [['raw', '\0\0\0\0c']], code: 'MILTER_PROTOCOL' },
  { name: 'sends a length of 0xFFFFFFFF', steps: [['raw', '\xff\xff\xff\xffc']], code: 'MILTER_PROTOCOL' },
  { name: 'announces 10 MB and stalls', steps: [['raw', '\x00\x98\x96\x80y'], ['hang']], code: 'MILTER_PROTOCOL' },
  { name: 'sends an unknown reply', steps: ['Z'], code: 'MILTER_PROTOCOL' },
  { name: 'negotiates again', steps: [['packet', 'O', '\0'.repeat(12)]], code: 'MILTER_PROTOCOL' },
  { name: 'sends a payload where none belongs', steps: [['packet', 'c', 'x']], code: 'MILTER_PROTOCOL' },
  { name: 'sends a text without its NUL', steps: [['packet', 'y', '250 2.0.0 fine']], code: 'MILTER_PROTOCOL' },
  { name: 'answers twice', steps: ['c', 'c'], code: 'MILTER_PROTOCOL' },
  { name: 'contradicts itself', steps: ['a', 'r'], code: 'MILTER_PROTOCOL' },
]

/** At every command but the end of the message, where they are no faults. */
export const EARLY_EDITS: readonly MilterFault[] = [
  { name: 'adds a header early', steps: [['h', 'X-Early', '1'], 'c'], code: 'MILTER_PROTOCOL' },
  { name: 'replaces the body early', steps: [['b', 'EARLY\r\n'], 'c'], code: 'MILTER_PROTOCOL' },
  { name: 'quarantines early', steps: [['q', 'early'], 'c'], code: 'MILTER_PROTOCOL' },
]

const SLOW = '\0\0\0\x15y451 4.7.1 too slow\0'

/** Found out by the clock alone. */
export const HANGS: readonly MilterFault[] = [
  { name: 'hangs', steps: [['hang']], code: 'FILTER_TIMEOUT' },
  { name: 'makes progress and no end', steps: [['progress', 100, 0.05]], code: 'FILTER_TIMEOUT' },
  { name: 'answers a byte at a time', steps: [['drip', SLOW, 0.2]], code: 'FILTER_TIMEOUT' },
]

const PARTIAL: readonly Step[] = [
  ['h', 'X-Partial', '1'],
  ['i', 0, 'X-Partial', '2'],
  ['m', 1, 'Subject', 'partial'],
  ['+', '<partial@example.net>'],
  ['-', '<bob@example.net>'],
  ['e', '<partial@example.com>'],
  ['q', 'partial'],
  ['b', 'PARTIAL BODY 1\r\n'],
  ['b', 'PARTIAL BODY 2\r\n'],
]
const partly = (name: string, ending: Step[], code: MilterFault['code']): MilterFault[] =>
  PARTIAL.map((_, k) => ({
    name: `${name} after ${k + 1} edits`,
    steps: [...PARTIAL.slice(0, k + 1), ...ending],
    code,
  }))

/** At the end of the message, with some of the edits said. */
export const HALF_DONE: readonly MilterFault[] = [
  ...partly('closes', [['close']], 'MILTER_CLOSED'),
  ...partly('sends an unknown reply', ['Z'], 'MILTER_PROTOCOL'),
  ...[
    partly('resets', [['rst']], 'MILTER_CLOSED'),
    partly('sends garbage', [['garbage', 4000]], 'MILTER_PROTOCOL'),
    partly('gives two verdicts', ['c', 'c'], 'MILTER_PROTOCOL'),
    partly('closes within the next piece of body', [['raw', '\0\0\x10\0bPARTIAL'], ['close']], 'MILTER_CLOSED'),
  ].map(all => all.at(-1) as MilterFault),
]
export const HALF_DONE_HANGS: readonly MilterFault[] = [
  partly('hangs', [['hang']], 'FILTER_TIMEOUT'),
  partly('makes progress and no end', [['progress', 100, 0.05]], 'FILTER_TIMEOUT'),
  partly('stalls within 100 MB of body', [['raw', '\x06\0\0\0bPARTIAL'], ['hang']], 'FILTER_TIMEOUT'),
].map(all => all.at(-1) as MilterFault)

/** What the milter makes of a message when it is well. */
export const NEW_BODY = 'New body\r\n'
const WELL: Step[] = [['h', 'X-Milter', 'done'], ['b', NEW_BODY], 'c']

interface Armed {
  at: string
  /** Of several such packets, which. */
  nth: number
  steps: Step[]
}

export interface FaultyMilter extends RawMilter {
  /** The next time that this client's connection brings this packet, and then never again. */
  arm(client: string, at: string, steps: Step[], nth?: number): void
  /** The next negotiation, whosever it is, gets this instead of an answer. */
  misagree(steps: Step[]): void
}

/** Listens at once on that UNIX socket. `protocol`: the flags it asks for. */
export async function faultyMilter(address: string, protocol = 0): Promise<FaultyMilter> {
  const armed = new Map<string, Armed>()
  const clients = new Map<number, string>()
  const seen = new Map<string, number>()
  const rule = (packet: Packet, { connection }: { connection: number }): Step[] | undefined => {
    if (packet.command === 'C') clients.set(connection, clientIn(packet.data))
    const client = clients.get(connection) ?? ''
    const fault = armed.get(client)
    const count = (seen.get(client + packet.command) ?? -1) + 1
    seen.set(client + packet.command, count)
    if (fault?.at === packet.command && fault.nth === count) {
      armed.delete(client)
      return fault.steps
    }
    return packet.command === 'E' ? WELL : undefined
  }
  let negotiation: Step[] | undefined
  const script: RawMilterScript = {
    protocol,
    get negotiate(): Step[] {
      const steps = negotiation
      negotiation = undefined
      return steps as Step[]
    },
    on: Object.fromEntries([...COMMANDS, 'U'].map(command => [command, rule])),
  }
  const milter = await rawMilter(script, address)
  return {
    ...milter,
    arm: (client, at, steps, nth = 0) => void armed.set(client, { at, nth, steps }),
    misagree(steps) {
      negotiation = steps
    },
  }
}

/** Host name, family, port, address. */
function clientIn(data: Buffer): string {
  const address = data.indexOf(0) + 4
  return data.toString('latin1', address, data.indexOf(0, address))
}
