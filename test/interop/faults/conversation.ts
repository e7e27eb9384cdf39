// What must be seen of a failure, whatever failed and how: by the MTA, to the byte, and in the host's events. The MTA here is the
// harness's own; `mtas.ts` has the real ones.

import { expect } from 'vitest'
import type { RunningHost } from '../harness/host.ts'
import { type MtaClient, mtaClient, type Packet } from '../harness/index.ts'
import type { OnFailure } from './chain.ts'
import { NEW_BODY } from './milter-fault.ts'

const BODY = 'Old body, and rather longer\r\n'
let messages = 0
/** Each is another one: the same again, after a milter went away over it, might be kept from the milter. */
const newMessage = (): { from: string; to: string[]; raw: string } => ({
  from: '<alice@example.com>',
  to: ['<bob@example.net>'],
  raw: `Subject: x ${++messages}\r\nX-Two: 2\r\n\r\n${BODY}`,
})

const text = ({ command, data }: Packet): string => command + data.toString('latin1')
const stamps = (seenByLast: string): string[] => [
  `i\0\0\0\0X-First\0 ${BODY.length}\0`,
  `i\0\0\0\0X-Last\0 ${seenByLast.length}\0`,
]

/** The batch of a message that the whole chain has kept. */
export type Batch = readonly string[]
export const MILTER_WELL: Batch = [`b${NEW_BODY}`, 'i\0\xff\xff\xffX-Milter\0 done\0', ...stamps(NEW_BODY), 'c']
export const PLUGIN_WELL: Batch = [`b${NEW_BODY}`, 'i\0\xff\xff\xffX-Plugin\0 done\0', ...stamps(NEW_BODY), 'c']

/** What the message that meets the failure comes to, and the packet that says so. */
const CONSEQUENCE: Readonly<Record<OnFailure, { outcome: string; refusal?: string; batch?: Batch }>> = {
  tempfail: { outcome: 'tempfail', refusal: 'y451 4.7.1 Service unavailable - try again later\0' },
  reject: { outcome: 'reject', refusal: 'y550 5.7.1 Service unavailable\0' },
  accept: { outcome: 'accept', batch: [...stamps(BODY), 'c'] },
  quarantine: { outcome: 'quarantine', batch: [...stamps(BODY), 'qfilter faulty failed\0', 'c'] },
}

/** Where the MTA is told of a failure at that command. */
const TOLD_AT: Readonly<Record<string, string>> = { C: 'M', H: 'M', L: 'E', N: 'E', B: 'E' }
const STAGE: Readonly<Record<string, string>> = { C: 'connect', H: 'helo', M: 'mail', R: 'rcpt', T: 'data' }
/** Flags by which the host asks not to be sent a command, or agreed not to answer it. */
const MUTE: Readonly<Record<string, number>> = { C: 0x1001, H: 0x2002, M: 0x4004, R: 0x8008, T: 0x10200, E: 0 }
const answered = ({ agreed }: MtaClient, commands: string): string[] =>
  [...commands].filter(command => (agreed.protocol & (MUTE[command] ?? 0)) === 0)

export async function greeted(host: RunningHost, address: string): Promise<MtaClient> {
  const client = await mtaClient(host.address)
  await client.negotiate()
  const greeting = [await client.connect('client.example', address), await client.helo()].flat()
  expect(greeting.map(text)).toEqual(answered(client, 'CH').map(() => 'c'))
  return client
}

/** One more message, through the whole chain. */
export async function passes(client: MtaClient, well: Batch): Promise<void> {
  const { answers, edits, verdict } = await client.message(newMessage())
  expect(answers).toEqual(answered(client, 'MRTE').map(command => [command, 'c']))
  expect([...edits, verdict].map(text)).toEqual(well)
}

export interface Failing {
  host: RunningHost
  /** The client whose connection was armed. */
  address: string
  /** Letter of the command at which it fails. */
  at: string
  onFailure: OnFailure
  code: string
  well: Batch
  /** Makes the filter well again, where it does not get well by itself. */
  heal?: () => void
}

/** The first message of that client meets the failure, the second one passes. */
export async function failsOnce({ host, address, at, onFailure, code, well, heal }: Failing): Promise<void> {
  const client = await greeted(host, address)
  const from = 'MRTE'.indexOf(TOLD_AT[at] ?? at)
  const [told] = answered(client, 'MRTE'.slice(from))
  const { outcome, refusal, batch } = CONSEQUENCE[onFailure]
  const first = await client.message(newMessage())
  if (refusal !== undefined) {
    const before = answered(client, 'MRTE'.slice(0, from)).map(command => [command, 'c'])
    expect(first.answers).toEqual([...before, [told, 'y']])
    expect([...first.edits, first.verdict].map(text)).toEqual([refusal])
    if (told !== 'E') client.abort()
  } else {
    expect(first.answers).toEqual(answered(client, 'MRTE').map(command => [command, 'c']))
    expect([...first.edits, first.verdict].map(text)).toEqual(batch)
  }
  if (heal !== undefined) {
    heal()
    await host.waitForMilters()
  }
  await passes(client, well)
  await client.quit()
  expectEvents({ host, address, at, onFailure, code, well }, outcome)
}

export function sessionOf(host: RunningHost, address: string): string {
  const opened = host.eventsOf('session-opened').filter(({ client }) => client.address === address)
  expect(opened).toHaveLength(1)
  return opened[0]?.session ?? ''
}

function expectEvents({ host, address, at, onFailure, code }: Failing, outcome: string): void {
  const session = sessionOf(host, address)
  const failures = host.eventsOf('filter-failed').filter(event => event.session === session)
  const stage = STAGE[at] ?? 'message'
  const message = at === 'C' || at === 'H' ? null : `${session}.1`
  expect(failures).toHaveLength(1)
  expect(failures[0]).toMatchObject({ filter: 'faulty', stage, code, onFailure, message, observed: false })
  expect(failures[0]?.detail).toContain('faulty')
  const settled = host.eventsOf('message-settled').filter(event => event.session === session)
  expect(settled.map(event => event.outcome)).toEqual([outcome, 'accept'])
  const refused = outcome === 'tempfail' || outcome === 'reject'
  expect(settled.map(({ decidedBy }) => decidedBy)).toEqual([refused ? 'faulty' : null, null])
}
