/**
 * The stage in this process: the real chain, sessions and filters, with a clock that WAIT moves and DNS from the scenario.
 *
 * With a chain that holds `socket(…)` entries the same stage speaks to external milters over the wire; time is real then, because
 * what stands behind a socket does not know of the clock. Made by `scenarios.ts`.
 */
import { decodeText } from '../../host/bytes.ts'
import type { Verdict } from '../../host/verdict.ts'
import { type FakeClock, fakeClock } from '../clock.ts'
import type { Conversation, TestClient } from '../conversation.ts'
import type { Delivery } from '../delivery.ts'
import { zoneDns } from '../dns.ts'
import type { TestHost, TestOptions } from '../host.ts'
import type { Answer, Content, Scenario, ScenarioStage, Seen, StageConnection } from './scenario.ts'

/** Makes the host under test; `options` hold the scenario's clock, DNS and MTA and belong into `testPlugin` or `testConfig`. */
export type StartHost = (options: TestOptions) => Promise<TestHost>

/** `real`: time passes by itself, for chains with external milters. */
export async function inProcess(
  scenario: Scenario,
  start: StartHost,
  real: TestOptions['clock'] | null = null,
): Promise<ScenarioStage> {
  const clock = fakeClock(scenario.clock ?? undefined)
  const host = await start({
    clock: real ?? clock,
    ...(scenario.dns === null ? {} : { dns: zoneDns(scenario.dns) }),
    ...(scenario.mta === null ? {} : { mta: scenario.mta }),
  })
  return new HostStage(host, real === null ? clock : null)
}

class HostStage implements ScenarioStage {
  readonly #host: TestHost
  readonly #clock: FakeClock | null

  constructor(host: TestHost, clock: FakeClock | null) {
    this.#host = host
    this.#clock = clock
  }

  get still(): boolean {
    return this.#clock !== null
  }

  refuses(): null {
    return null
  }

  async open(client: TestClient): Promise<StageConnection> {
    return new HostConnection(this.#host.open(client))
  }

  async wait(milliseconds: number): Promise<void> {
    if (this.#clock === null) await new Promise(resolve => setTimeout(resolve, milliseconds))
    else await this.#clock.advance(milliseconds / 1_000)
  }

  close(): Promise<void> {
    return this.#host.close()
  }
}

class HostConnection implements StageConnection {
  readonly #conversation: Conversation
  #delivery: Delivery | null = null

  constructor(conversation: Conversation) {
    this.#conversation = conversation
  }

  async connect(): Promise<Answer> {
    return answerOf(await this.#conversation.connect())
  }

  async helo(name: string): Promise<Answer> {
    return answerOf(await this.#conversation.helo(name))
  }

  async mail(address: string, args: readonly string[]): Promise<Answer> {
    this.#delivery = null
    return answerOf(await this.#conversation.mail(address, ...args))
  }

  async rcpt(address: string, args: readonly string[]): Promise<Answer> {
    return answerOf(await this.#conversation.rcpt(address, ...args))
  }

  async data(): Promise<Answer> {
    return answerOf(await this.#conversation.data())
  }

  async message({ headers, body }: Content): Promise<Answer> {
    this.#delivery = await this.#conversation.message({ headers, body })
    return answerOf(this.#delivery.verdict)
  }

  macros(...[stage, values]: Parameters<NonNullable<StageConnection['macros']>>): void {
    this.#conversation.tell(stage, values)
  }

  async reset(): Promise<void> {
    this.#conversation.reset()
  }

  async quit(): Promise<void> {
    this.#conversation.quit()
  }

  async disconnect(): Promise<void> {
    this.#conversation.disconnect()
    // What the client's leaving sets going: aborted hooks, their filters' sessions closed.
    await new Promise(resolve => setImmediate(resolve))
  }

  async seen(): Promise<Seen> {
    if (this.#delivery === null) return { ...this.#conversation.soFar(), message: null }
    const { outcome, decidedBy, quarantine, trace, message } = this.#delivery
    return { outcome, decidedBy, quarantine, trace, message }
  }
}

function answerOf(verdict: Verdict): Answer {
  const reply = 'reply' in verdict ? verdict.reply : null
  return {
    kind: verdict.kind,
    reply: reply === null ? null : { code: reply.code, enhanced: reply.enhanced, lines: reply.lines.map(decodeText) },
  }
}
