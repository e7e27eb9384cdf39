/**
 * One scenario file, one outcome: in this process, over the wire, through Postfix and through Sendmail.
 *
 * What an MTA does not show, and what cannot be played through it, is named here, so that it cannot grow unnoticed.
 */
import { expect, test } from 'vitest'
import { socket } from '../../../src/bridge/milter/index.ts'
import { parseMessage } from '../../../src/cli/message-file.ts'
import { systemClock } from '../../../src/host/time/clock.ts'
import { shownMessage } from '../../../src/testing/delivery.ts'
import { inProcess } from '../../../src/testing/scenario/in-process.ts'
import { playScenario } from '../../../src/testing/scenario/play.ts'
import type { Scenario } from '../../../src/testing/scenario/scenario.ts'
import { failureLines } from '../../../src/testing/scenario/scenarios.ts'
import {
  type DeliveredMessage,
  readScenarios,
  type ScenarioStage,
  smtpStage,
  testPlugin,
} from '../../../src/testing.ts'
import { obedient } from '../../cases/obedient.ts'
import { startHost } from '../harness/host.ts'
import { type Mta, requirePrograms, startPostfix, startSendmail, until } from '../harness/index.ts'

const scenarios = ['verdicts', 'edits', 'directives'].flatMap(name =>
  readScenarios(new URL(`../../cases/${name}.scenario`, import.meta.url)),
)

interface Played {
  readonly passed: readonly string[]
  /** By title: why. */
  readonly skipped: Readonly<Record<string, string>>
  readonly unseen: readonly string[]
}

async function playAll(stageFor: (scenario: Scenario) => Promise<ScenarioStage>): Promise<Played> {
  const passed: string[] = []
  const skipped: Record<string, string> = {}
  const unseen: string[] = []
  for (const scenario of scenarios) {
    const result = await playScenario(scenario, await stageFor(scenario))
    expect(failureLines(result)).toEqual([])
    if (result.skipped === null) passed.push(scenario.title)
    else skipped[scenario.title] = result.skipped
    unseen.push(...result.unseen.map(({ what }) => what))
  }
  return { passed, skipped, unseen: unseen.sort() }
}

const all = scenarios.map(({ title }) => title)

test('in this process, every expectation is seen', async () => {
  const played = await playAll(scenario => inProcess(scenario, options => testPlugin(obedient(), options)))
  expect(played).toEqual({ passed: all, skipped: {}, unseen: [] })
})

test('over the wire, every expectation is seen', async () => {
  const host = await startHost({ filters: [obedient()] })
  const chain = [socket('obedient', host.address)]
  const played = await playAll(scenario => inProcess(scenario, options => testPlugin(chain, options), systemClock))
  expect(played).toEqual({ passed: all, skipped: {}, unseen: [] })
})

/** A client behind an MTA sees replies and the message that arrives, and nothing of filters. */
const HIDDEN = [
  'a discard behind a reply that accepts',
  'a quarantine behind a reply that accepts',
  'that the message ended with client-left',
  'the filter that decided',
  ...Array(2).fill('what filter obedient answered'),
  ...Array(6).fill('what filter obedient changed'),
]

/** What an MTA lets nobody choose. */
const FIXED = {
  'macros of the MTA': 'it gives macros of its own',
  'a clock of its own': "the MTA's clock cannot be set",
  'DNS of its own': "the MTA's DNS cannot be set",
}
/** XCLIENT is Postfix's alone. */
const CLIENTS = {
  'a client of its own': 'who the client is cannot be chosen',
  'a client whose name leads nowhere, logged in': 'who the client is cannot be chosen',
}

const played = (skipped: Readonly<Record<string, string>>): Played => ({
  passed: all.filter(title => !(title in skipped)),
  skipped,
  unseen: HIDDEN,
})

requirePrograms('postfix', 'sendmail')('behind an MTA', () => {
  test('through Postfix', async () => {
    const host = await startHost({ filters: [obedient()] })
    const mta = await startPostfix({ milters: [host.address] })
    expect(await playAll(async () => behind(mta))).toEqual(played({ ...FIXED, "the other's": 'it is for sendmail' }))
    expect(host.eventsOf('message-settled').map(({ outcome }) => outcome)).toContain('discard')
    await mta.waitForLog(/milter-hold|quarantine|: milter triggers HOLD/i)
  })

  test('through Sendmail', async () => {
    const host = await startHost({ filters: [obedient()] })
    const mta = await startSendmail({ milters: [host.address] })
    const own = { "one MTA's rules": 'it is for postfix' }
    expect(await playAll(async () => behind(mta))).toEqual(played({ ...FIXED, ...CLIENTS, ...own }))
    await mta.waitForLog(/quarantine/i)
  })
})

function behind(mta: Mta): ScenarioStage {
  const { port, kind } = mta
  return smtpStage({ port, mta: kind, xclient: kind === 'postfix', envelopes: true, arrived: id => arrival(mta, id) })
}

/** The message as it was delivered, to all its recipients. */
async function arrival(mta: Mta, messageId: string): Promise<DeliveredMessage> {
  const [first, ...more] = await until(`delivery of ${messageId} by ${mta.kind}`, async () => {
    const list = (await mta.deliveries()).filter(({ raw }) => raw.includes(messageId))
    return list.length > 0 && list
  })
  const { headers, body } = parseMessage(first!.raw)
  const recipients = [first!, ...more].flatMap(delivery => delivery.recipients)
  return shownMessage(headers, body, { sender: first!.sender, recipients })
}
