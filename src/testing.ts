/**
 * `milterhost/testing`: run a conversation against one plugin or a whole configuration, in this process and without an MTA.
 *
 * Works with every test runner and sets no globals. Nothing in it opens a socket or waits for real time,
 * but for `smtpStage`, which plays scenarios through a real MTA.
 *
 * ```ts
 * const host = await testPlugin(greylist({ wait: '5m' }))
 * const first = await host.deliver({ from: 'a@example.net' })
 * assert.equal(first.verdict.kind, 'tempfail')
 * ```
 */
import type { Config } from './host/config/config.ts'
import type { FilterEntry } from './host/config/entry.ts'
import { TestHost, type TestOptions } from './testing/host.ts'

export type { Edit } from './host/message/edit.ts'
export type { HostEvent } from './host/observe/event.ts'
export type { Verdict } from './host/verdict.ts'
export { type FakeClock, fakeClock } from './testing/clock.ts'
export type { Conversation, TestClient } from './testing/conversation.ts'
export type { DeliveredMessage, Delivery, TestReply, TraceStep } from './testing/delivery.ts'
export { type DnsFailure, type FakeDns, type FakeRecords, type FakeZone, fakeDns, zoneDns } from './testing/dns.ts'
export type { LogLine, TestHost, TestMail, TestOptions } from './testing/host.ts'
export type { TestMessage } from './testing/message.ts'
export type { Scenario, ScenarioResult, ScenarioStage } from './testing/scenario/scenario.ts'
export { readScenarios, runScenario } from './testing/scenario/scenarios.ts'
export { type SmtpStageOptions, smtpStage } from './testing/scenario/smtp-stage.ts'

/**
 * Starts one plugin, or several as a chain. Rejects, with the error a postmaster would see, when options or hooks are
 * wrong.
 * @example const host = await testPlugin([spf(), greylist()], { dns: fakeDns({ … }) })
 */
export const testPlugin = (
  entries: FilterEntry | readonly FilterEntry[],
  options: TestOptions = {},
): Promise<TestHost> =>
  TestHost.start({ filters: Array.isArray(entries) ? entries : [entries as FilterEntry] }, options)

/** Starts a whole configuration, as a configuration file exports it. Nothing listens. */
export const testConfig = (config: Config, options: TestOptions = {}): Promise<TestHost> =>
  TestHost.start(config, options)
