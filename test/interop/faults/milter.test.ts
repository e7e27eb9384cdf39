// An external milter that fails at a command, in every way and under every `onFailure`. A second session of each host goes on with
// its mail all the while and notices nothing.

import { socket } from 'milterhost'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RunningHost } from '../harness/host.ts'
import { tempDir } from '../harness/index.ts'
import { type Hosts, hostsFor, newClient, type OnFailure, POLICIES, steadily } from './chain.ts'
import { failsOnce, greeted, MILTER_WELL, passes, sessionOf } from './conversation.ts'
import {
  COMMANDS,
  EARLY_EDITS,
  FAULTS,
  type FaultyMilter,
  faultyMilter,
  HALF_DONE,
  HALF_DONE_HANGS,
  HANGS,
  type MilterFault,
} from './milter-fault.ts'

let milter: FaultyMilter
let hosts: Hosts
/** The same with time limits so short that a test may wait for them. */
let hasty: Hosts
const beside: { stop(): Promise<number> }[] = []

const start = (timeouts: { command: number; end: number }): Promise<Hosts> =>
  hostsFor(onFailure => socket('faulty', milter.address, { onFailure, timeouts }))

beforeAll(async () => {
  milter = await faultyMilter(`unix:${tempDir('faulty')}/milter`)
  hosts = await start({ command: 30, end: 60 })
  hasty = await start({ command: 1, end: 1 })
  for (const host of Object.values(hosts)) {
    const client = await greeted(host, newClient())
    beside.push(steadily(() => passes(client, MILTER_WELL)))
  }
})

afterAll(async () => {
  for (const session of beside) expect(await session.stop()).toBeGreaterThan(10)
})

interface Case extends MilterFault {
  at: string
}

const atCommands = (commands: readonly string[], faults: readonly MilterFault[]): Case[] =>
  commands.flatMap(at => faults.map(fault => ({ at, ...fault })))

const AT_ONCE: readonly Case[] = [
  ...atCommands(COMMANDS, FAULTS),
  ...atCommands(COMMANDS.slice(0, -1), EARLY_EDITS),
  ...atCommands(['E'], HALF_DONE),
]
const BY_THE_CLOCK: readonly Case[] = [...atCommands(COMMANDS, HANGS), ...atCommands(['E'], HALF_DONE_HANGS)]

/** Waiting costs time: the ways to be slow are told apart under one policy, under the others a milter just hangs. */
const waitedFor = (onFailure: OnFailure): readonly Case[] =>
  onFailure === 'tempfail' ? BY_THE_CLOCK : BY_THE_CLOCK.filter(({ name }) => name.startsWith('hangs'))

const fails = async ({ at, steps, code }: Case, host: RunningHost, onFailure: OnFailure): Promise<void> => {
  const address = newClient()
  milter.arm(address, at, steps)
  await failsOnce({ host, address, at, onFailure, code, well: MILTER_WELL })
}

describe.concurrent.each(POLICIES)('with onFailure %s', onFailure => {
  test.for(AT_ONCE)('at $at a milter that $name costs this message what it should, and the next one nothing', each =>
    fails(each, hosts[onFailure], onFailure),
  )

  test.for(waitedFor(onFailure))('at $at a milter that $name is given up at its time limit', each =>
    fails(each, hasty[onFailure], onFailure),
  )
})

describe('a failure at the second recipient', () => {
  test.each(POLICIES)('holds for the whole message with onFailure %s', async onFailure => {
    const address = newClient()
    milter.arm(address, 'R', [['close']], 1)
    const client = await greeted(hosts[onFailure], address)
    const letters = async (step: Promise<{ command: string }[]>): Promise<string> =>
      (await step).map(({ command }) => command).join('')
    const told = onFailure === 'tempfail' || onFailure === 'reject' ? 'y' : 'c'
    expect(await letters(client.mail('<alice@example.com>'))).toBe('c')
    expect(await letters(client.rcpt('<bob@example.net>'))).toBe('c')
    expect(await letters(client.rcpt('<carol@example.net>'))).toBe(told)
    expect(await letters(client.rcpt('<dave@example.net>'))).toBe(told)
    expect(await letters(client.step('T'))).toBe(told)
    client.abort()
    await passes(client, MILTER_WELL)
    await client.quit()
    const session = sessionOf(hosts[onFailure], address)
    expect(hosts[onFailure].eventsOf('filter-failed').filter(event => event.session === session)).toHaveLength(1)
  })
})

describe('a failure at an unknown command', () => {
  test.each(POLICIES)('is told at MAIL with onFailure %s, and the message after that passes', async onFailure => {
    const address = newClient()
    milter.arm(address, 'U', [['close']])
    const client = await greeted(hosts[onFailure], address)
    expect((await client.step('U', 'XFOO bar\0')).map(({ command }) => command)).toEqual(['c'])
    const first = await client.message({ from: '<a@example.com>', to: ['<b@example.net>'], raw: 'X: y\r\n\r\nz\r\n' })
    const refused = onFailure === 'tempfail' || onFailure === 'reject'
    expect(first.answers.at(-1)).toEqual(refused ? ['M', 'y'] : ['E', 'c'])
    expect(first.edits.some(({ command }) => command === 'q')).toBe(onFailure === 'quarantine')
    if (refused) client.abort()
    await passes(client, MILTER_WELL)
    await client.quit()
  })
})

describe('between two messages', () => {
  test('a milter that closes is connected again, and that is no failure', async () => {
    const address = newClient()
    const client = await greeted(hosts.tempfail, address)
    milter.arm(address, 'E', [['h', 'X-Milter', 'done'], ['b', 'New body\r\n'], 'c', ['close']])
    const before = milter.log.filter(({ direction }) => direction === 'close').length
    await passes(client, MILTER_WELL)
    await milter.waitFor('the close', log => log.filter(({ direction }) => direction === 'close').length > before)
    await passes(client, MILTER_WELL)
    await client.quit()
    const session = sessionOf(hosts.tempfail, address)
    expect(hosts.tempfail.eventsOf('filter-failed').filter(event => event.session === session)).toEqual([])
  })
})
