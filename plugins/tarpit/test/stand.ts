// The plugin in a host of the testing kit, with a clock that stands still, and clients in all the ways they come and go.

import { definePlugin, type FilterEntry, serviceKey } from 'milterhost/plugin'
import {
  type FakeClock,
  type FakeZone,
  fakeClock,
  fakeDns,
  type TestClient,
  type TestHost,
  testConfig,
  type Verdict,
} from 'milterhost/testing'
import { onTestFinished } from 'vitest'
import tarpit, { TARPIT, type TarpitOptions, type TarpitResult } from '../src/index.ts'

/** No name leads to it. */
export const SUSPECT: TestClient = { address: '203.0.113.9', hostname: null }
export const SERVER: TestClient = { address: '198.51.100.25', hostname: 'mx.example.org' }

export interface StandOptions {
  readonly zone?: FakeZone
  readonly mta?: 'postfix' | 'sendmail'
  readonly mode?: 'enforce' | 'observe'
  readonly holds?: { max?: number; perClient?: number }
  /** Filters after the tarpit. */
  readonly after?: readonly FilterEntry[]
  readonly clock?: FakeClock
  readonly rehearsal?: boolean
}

export class Stand {
  readonly host: TestHost
  readonly clock: FakeClock
  /** What was published, by message. */
  readonly results: (TarpitResult | undefined)[]

  private constructor(host: TestHost, clock: FakeClock, results: (TarpitResult | undefined)[]) {
    this.host = host
    this.clock = clock
    this.results = results
  }

  static async start(options: TarpitOptions = {}, more: StandOptions = {}): Promise<Stand> {
    const clock = more.clock ?? fakeClock()
    const results: (TarpitResult | undefined)[] = []
    const reader = definePlugin({
      name: 'reader',
      setup: () => ({
        data(event) {
          results.push(event.result(TARPIT))
        },
      }),
    })
    const entry = tarpit({ store: 'memory', ...options }, { mode: more.mode ?? 'enforce' })
    const host = await testConfig(
      { filters: [entry, ...(more.after ?? []), reader()], ...(more.holds === undefined ? {} : { holds: more.holds }) },
      { clock, dns: fakeDns(more.zone ?? {}), mta: more.mta ?? 'postfix', rehearsal: more.rehearsal ?? false },
    )
    onTestFinished(() => host.close())
    return new Stand(host, clock, results)
  }

  /** Sends a message, waiting as long as it is made to; the last answer, and for how long it was held. */
  async send(
    client: TestClient = SUSPECT,
    to = 'bob@example.com',
    from = 'alice@example.net',
  ): Promise<{ kind: Verdict['kind']; held: number; verdict: Verdict }> {
    const began = this.clock.now()
    const done = this.host.deliver({ client, to, from })
    const verdict = (await this.patiently(done)).verdict
    return { kind: verdict.kind, held: Math.round((this.clock.now() - began) / 1000), verdict }
  }

  /** Moves the clock on, a second at a time, until the promise settles. */
  async patiently<T>(promise: Promise<T>): Promise<T> {
    let settled = false
    const done = promise.finally(() => {
      settled = true
    })
    for (let seconds = 0; !settled && seconds < 600; seconds++) await this.clock.advance(seconds === 0 ? '1ms' : 1)
    return done
  }

  /** Comes as far as RCPT and leaves after so many seconds of the hold. */
  async leave(client: TestClient = SUSPECT, seconds = 5): Promise<void> {
    const talk = this.host.open(client)
    await talk.mail('alice@example.net')
    const pending = talk.rcpt('bob@example.com')
    await this.clock.advance(seconds)
    talk.disconnect()
    await pending
    await this.clock.advance('1ms')
  }

  /** What was decided, in order. */
  get decisions(): string[] {
    return this.host.logs.flatMap(({ message, fields }) => (message === 'tarpit' ? [String(fields.decision)] : []))
  }

  counter(name: string): Record<string, number> {
    const found = this.host.counters().find(counter => counter.name === `milterhost_tarpit_${name}`)
    return Object.fromEntries(
      (found?.samples ?? []).map(({ labels: { filter, ...labels }, value }) => [
        Object.values(labels)[0] ?? filter,
        value,
      ]),
    )
  }
}

interface Who {
  readonly client: { readonly address: string }
  readonly helo: string | null
  readonly sender: string
  readonly recipient: string
}

export interface FakeLadder {
  standing: 'unknown' | 'pending' | 'passed' | 'known' | Error
  pass: boolean
  readonly calls: [method: string, who: string, by?: string][]
  readonly entry: FilterEntry
}

/** Stands for the greylist: provides its service, and writes down what it is asked. */
export function fakeLadder(): FakeLadder {
  const calls: FakeLadder['calls'] = []
  const told = ({ client, helo, sender, recipient }: Who): string =>
    `${client.address} ${helo} <${sender}> <${recipient}>`
  const greylist = definePlugin({
    name: 'greylist',
    setup(host) {
      host.provide(serviceKey<object>('greylist.ladder'), {
        standing: async (who: Who) => {
          calls.push(['standing', told(who)])
          if (ladder.standing instanceof Error) throw ladder.standing
          return ladder.standing
        },
        credit: async (who: Who, by: string) => void calls.push(['credit', told(who), by]),
        greylist: async (who: Who) => {
          calls.push(['greylist', told(who)])
          return { pass: ladder.pass, retryAfter: ladder.pass ? 0 : 300 }
        },
      })
      return {}
    },
  })
  const ladder: FakeLadder = { standing: 'unknown', pass: false, calls, entry: greylist() }
  return ladder
}
