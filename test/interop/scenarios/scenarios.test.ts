/**
 * One scenario file, one outcome: in this process, over the wire, through Postfix and through Sendmail.
 *
 * What an MTA does not show is counted and named here, so that it cannot grow unnoticed.
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

const scenarios = ['verdicts', 'edits'].flatMap(name =>
  readScenarios(new URL(`../../cases/${name}.scenario`, import.meta.url)),
)

async function playAll(
  stageFor: (scenario: Scenario) => Promise<ScenarioStage>,
): Promise<{ passed: string[]; unseen: string[] }> {
  const passed: string[] = []
  const unseen: string[] = []
  for (const scenario of scenarios) {
    const result = await playScenario(scenario, await stageFor(scenario))
    expect(failureLines(result)).toEqual([])
    expect(result.skipped).toBe(null)
    passed.push(scenario.title)
    unseen.push(...result.unseen.map(({ what }) => what))
  }
  return { passed, unseen: unseen.sort() }
}

const all = scenarios.map(({ title }) => title)

test('in this process, every expectation is seen', async () => {
  const played = await playAll(scenario => inProcess(scenario, options => testPlugin(obedient(), options)))
  expect(played).toEqual({ passed: all, unseen: [] })
})

test('over the wire, every expectation is seen', async () => {
  const host = await startHost({ filters: [obedient()] })
  const chain = [socket('host', host.address)]
  const played = await playAll(scenario => inProcess(scenario, options => testPlugin(chain, options), systemClock))
  expect(played).toEqual({ passed: all, unseen: [] })
})

/** A client behind an MTA cannot see them: both are a 250 to it. */
const HIDDEN = ['a discard behind a reply that accepts', 'a quarantine behind a reply that accepts']

requirePrograms('postfix', 'sendmail')('behind an MTA', () => {
  test('through Postfix', async () => {
    const host = await startHost({ filters: [obedient()] })
    const mta = await startPostfix({ milters: [host.address] })
    expect(await playAll(async () => behind(mta))).toEqual({ passed: all, unseen: HIDDEN })
    expect(host.eventsOf('message-settled').map(({ outcome }) => outcome)).toContain('discard')
    await mta.waitForLog(/milter-hold|quarantine|: milter triggers HOLD/i)
  })

  test('through Sendmail', async () => {
    const host = await startHost({ filters: [obedient()] })
    const mta = await startSendmail({ milters: [host.address] })
    expect(await playAll(async () => behind(mta))).toEqual({ passed: all, unseen: HIDDEN })
    await mta.waitForLog(/quarantine/i)
  })
})

function behind(mta: Mta): ScenarioStage {
  return smtpStage({ port: mta.port, mta: mta.kind, envelopes: true, arrived: id => arrival(mta, id) })
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
