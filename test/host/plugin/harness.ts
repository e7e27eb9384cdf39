/**
 * A plugin as a filter, met directly through the contract of the chain: no session, no chain, a clock that stands still.
 */
import type { EntryPolicy, FilterEntry } from '../../../src/host/config/entry.ts'
import type { Path } from '../../../src/host/events.ts'
import type { Filter, FilterContext, FilterSession, MaybePromise } from '../../../src/host/filter.ts'
import { MacroStore } from '../../../src/host/macros.ts'
import { memoryBody } from '../../../src/host/message/body.ts'
import type { Body, MessageSnapshot } from '../../../src/host/message/snapshot.ts'
import { receivedMessage } from '../../../src/host/message/snapshot.ts'
import { ALL_INTERESTS } from '../../../src/host/mta.ts'
import { type Logger, silent } from '../../../src/host/observe/logger.ts'
import { MetricsRegistry } from '../../../src/host/plugin/metrics.ts'
import { ResultStore } from '../../../src/host/results.ts'
import { definePlugin, type Hooks, type Plugin } from '../../../src/plugin.ts'
import { fakeClock } from '../../../src/testing/clock.ts'
import { fakeDns } from '../../../src/testing/dns.ts'
import { memorySpool } from '../../../src/testing/spool.ts'

export const policy = (name: string): EntryPolicy => ({
  name,
  onFailure: 'tempfail',
  mode: 'enforce',
  timeouts: { connect: 10_000, command: 30_000, end: 300_000 },
  enabled: true,
})

export const create = async (entry: FilterEntry, log: Logger = silent): Promise<Filter> =>
  entry.create({
    policy: policy(entry.defaultName),
    clock: fakeClock(),
    log,
    services: { dns: fakeDns(), metrics: new MetricsRegistry() },
  })

/** A plugin called `probe` with these hooks and no state. */
export const withHooks = (hooks: Hooks): Plugin => definePlugin({ name: 'probe', setup: () => hooks })

export const path = (raw: string, ...args: string[]): Path => ({ raw, args })

export interface MessageOptions {
  readonly fields?: readonly (readonly [name: string, value: string])[]
  readonly body?: readonly string[] | Body
}

export function snapshot({ fields = [], body = [] }: MessageOptions = {}): MessageSnapshot {
  return receivedMessage({
    id: 'm1',
    sender: path('<sender@example.net>'),
    recipients: [path('<one@example.com>'), path('<two@example.com>')],
    fields: fields.map(([name, value]) => ({ name, value })),
    body: 'chunks' in body ? body : memoryBody(body.map(piece => Buffer.from(piece, 'latin1'))),
  })
}

export class Conversation {
  readonly session: FilterSession
  readonly macros: MacroStore = new MacroStore()
  readonly results: ResultStore = new ResultStore()
  readonly refused: string[] = []
  controller: AbortController = new AbortController()

  constructor(filter: Filter, context: Partial<FilterContext> = {}) {
    const store = memorySpool(Number.POSITIVE_INFINITY).message()
    this.session = filter.open({
      sessionId: 's1',
      log: silent,
      asked: new Set(ALL_INTERESTS),
      results: this.results,
      authentication: { authservId: null, results: () => [], add: () => true },
      newBody: () => store.writer(),
      refused: (stage, detail) => this.refused.push(`${stage}: ${detail}`),
      hold: async () => 'waited',
      unread: null,
      progress: () => {},
      ...context,
    })
  }

  get signal(): AbortSignal {
    return this.controller.signal
  }

  connect(): ReturnType<FilterSession['connect']> {
    const client = { family: 'inet', address: '192.0.2.1', port: 4000, hostname: 'mx.example.net' } as const
    return this.session.connect({ client, macros: this.macros }, this.signal)
  }

  helo(): ReturnType<FilterSession['helo']> {
    return this.session.helo({ name: 'mx.example.net', macros: this.macros }, this.signal)
  }

  mail(sender: Path = path('<sender@example.net>'), messageId = 'm1'): ReturnType<FilterSession['mail']> {
    this.results.beginMessage()
    return this.session.mail({ messageId, sender, macros: this.macros }, this.signal)
  }

  rcpt(recipient: Path = path('<one@example.com>')): ReturnType<FilterSession['rcpt']> {
    return this.session.rcpt({ recipient, refused: null, macros: this.macros }, this.signal)
  }

  data(): ReturnType<FilterSession['data']> {
    return this.session.data({ recipients: [path('<one@example.com>')], macros: this.macros }, this.signal)
  }

  message(message: MessageSnapshot = snapshot()): ReturnType<FilterSession['message']> {
    return this.session.message({ message, macros: this.macros }, this.signal)
  }

  /** The conversation up to the message, which it returns. */
  async deliver(message?: MessageSnapshot): Promise<Awaited<ReturnType<FilterSession['message']>>> {
    await this.connect()
    await this.helo()
    await this.mail()
    await this.rcpt()
    await this.data()
    return this.message(message)
  }
}

export const converse = async (plugin: Plugin | FilterEntry, context?: Partial<FilterContext>): Promise<Conversation> =>
  new Conversation(await create(typeof plugin === 'function' ? plugin() : plugin), context)

/** What a call failed with, whether it threw or rejected; `null` when it did not. */
export async function failureOf(call: () => MaybePromise<unknown>): Promise<(Error & { code?: string }) | null> {
  try {
    await call()
    return null
  } catch (error) {
    return error as Error & { code?: string }
  }
}
