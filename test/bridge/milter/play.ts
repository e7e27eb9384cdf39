/**
 * What the tests of the milter side share: an external milter of the configuration with one session, events made from
 * short values, and a record of what the session told the host.
 */
import { onTestFinished } from 'vitest'
import { type SocketOptions, socket } from '../../../src/bridge/milter/entry.ts'
import type { SocketFilter } from '../../../src/bridge/milter/socket-filter.ts'
import type { FilterEnvironment } from '../../../src/host/config/entry.ts'
import type { Path, Stage } from '../../../src/host/events.ts'
import type { FilterContext, FilterSession, Interest, MessageAnswer } from '../../../src/host/filter.ts'
import { type MacroStage, MacroStore } from '../../../src/host/macros.ts'
import { memoryBody } from '../../../src/host/message/body.ts'
import type { Edit } from '../../../src/host/message/edit.ts'
import type { Body, BodyWriter, MessageSnapshot } from '../../../src/host/message/snapshot.ts'
import { ALL_INTERESTS } from '../../../src/host/mta.ts'
import { silent } from '../../../src/host/observe/logger.ts'
import { ResultStore } from '../../../src/host/results.ts'
import { systemClock } from '../../../src/host/time/clock.ts'
import type { Verdict } from '../../../src/host/verdict.ts'

export const EVERYTHING: ReadonlySet<Interest> = new Set(ALL_INTERESTS)

export interface FilterSetup extends SocketOptions {
  /** Seconds. */
  connectTimeout?: number
  limits?: { body: number; edits: number }
  /** What outlives the filter, and who is told what happens to it. */
  around?: Pick<FilterEnvironment, 'kept' | 'observe'>
}

/** An external milter of the configuration; closed at the end of the test. */
export function filterAt(
  address: string,
  { connectTimeout = 10, limits, around, ...options }: FilterSetup = {},
): SocketFilter {
  const filter = socket('ext', address, options).create({
    policy: {
      name: 'ext',
      onFailure: 'tempfail',
      mode: 'enforce',
      timeouts: { connect: connectTimeout * 1000, command: 30_000, end: 300_000 },
      enabled: true,
    },
    clock: systemClock,
    log: silent,
    services: undefined as never,
    ...(limits === undefined ? {} : { limits }),
    ...around,
  }) as SocketFilter
  onTestFinished(() => filter.close())
  return filter
}

export interface Message {
  from?: string
  to?: string[]
  /** Name and exact value after the colon. */
  headers?: [string, string][]
  body?: string | Body
}

/** The answers to a whole message, until one ended it. */
export interface Played {
  mail: Verdict
  rcpt: Verdict[]
  data?: Verdict
  message?: MessageAnswer
}

/** One SMTP connection with one filter. */
export class Play {
  readonly macros: MacroStore = new MacroStore()
  readonly refused: [stage: Stage, detail: string][] = []
  readonly session: FilterSession
  /** Replacement bodies that were begun and not finished or discarded. */
  openBodies = 0
  /** Aborting it is the host's word that the answer is not awaited. */
  controller: AbortController = new AbortController()

  constructor(filter: SocketFilter, asked: ReadonlySet<Interest> = EVERYTHING) {
    const context: FilterContext = {
      sessionId: 's1',
      log: silent,
      asked,
      results: new ResultStore(),
      authentication: { authservId: null, results: () => [], add: () => true },
      newBody: () => this.#newBody(),
      refused: (stage, detail) => {
        this.refused.push([stage, detail])
      },
      hold: () => Promise.resolve('refused'),
      unread: null,
      progress: () => {},
    }
    this.session = filter.open(context)
    onTestFinished(() => this.session.close())
  }

  tell(stage: MacroStage, values: Record<string, string>): void {
    this.macros.set(stage, new Map(Object.entries(values)))
  }

  async connect(address = '192.0.2.7', hostname = 'client.example'): Promise<Verdict> {
    const family = address.includes(':') ? 'inet6' : 'inet'
    const client = { family, address, port: 4711, hostname } as const
    return this.session.connect({ macros: this.macros, client }, this.controller.signal)
  }

  async helo(name = 'helo.example'): Promise<Verdict> {
    return this.session.helo({ macros: this.macros, name }, this.controller.signal)
  }

  async mail(from = '<alice@a.example>', ...args: string[]): Promise<Verdict> {
    const sender: Path = { raw: from, args }
    return this.session.mail({ macros: this.macros, messageId: 'm1', sender }, this.controller.signal)
  }

  async rcpt(to = '<bob@b.example>', refused: { code: string; text: string } | null = null): Promise<Verdict> {
    const recipient: Path = { raw: to, args: [] }
    return this.session.rcpt({ macros: this.macros, recipient, refused }, this.controller.signal)
  }

  async data(): Promise<Verdict> {
    return this.session.data({ macros: this.macros, recipients: [] }, this.controller.signal)
  }

  async unknown(command = 'FOO bar'): Promise<Verdict> {
    return this.session.unknown({ macros: this.macros, command }, this.controller.signal)
  }

  async message({ headers, body = 'Hello\r\n', from, to }: Message = {}): Promise<MessageAnswer> {
    const message: MessageSnapshot = {
      id: 'm1',
      sender: { raw: from ?? '<alice@a.example>', args: [] },
      recipients: (to ?? ['<bob@b.example>']).map(raw => ({ raw, args: [] })),
      headers: (headers ?? [['Subject', ' hi']]).map(([name, value], id) => ({ id, name, value })),
      body: typeof body === 'string' ? memoryBody([Buffer.from(body, 'latin1')]) : body,
    }
    return this.session.message({ macros: this.macros, message }, this.controller.signal)
  }

  /** Connect and HELO, both answered "continue". */
  async greet(): Promise<this> {
    await this.connect()
    await this.helo()
    return this
  }

  /** A whole message, for as long as the milter says nothing that ends it. */
  async send(message: Message = {}): Promise<Played> {
    const played: Played = { mail: await this.mail(message.from), rcpt: [] }
    if (played.mail.kind !== 'continue') return played
    for (const to of message.to ?? ['<bob@b.example>']) played.rcpt.push(await this.rcpt(to))
    if (!played.rcpt.some(verdict => verdict.kind === 'continue')) return played
    played.data = await this.data()
    if (played.data.kind !== 'continue') return played
    played.message = await this.message(message)
    return played
  }

  #newBody(): BodyWriter {
    const pieces: Buffer[] = []
    this.openBodies++
    return {
      write(chunk) {
        pieces.push(Buffer.from(chunk))
      },
      finish: () => {
        this.openBodies--
        return memoryBody(pieces)
      },
      discard: () => {
        this.openBodies--
      },
    }
  }
}

/** A session with a milter that is met for the first time. */
export const playAt = (address: string, setup: FilterSetup = {}): Play => new Play(filterAt(address, setup))

/** Edits with the replacement body as text. */
export const readable = (edits: readonly Edit[]): unknown[] =>
  edits.map(edit => (edit.kind === 'replaceBody' ? { kind: edit.kind, body: textOf(edit.body) } : edit))

const textOf = (body: Body): string => Buffer.concat([...(body.memory ?? [])]).toString('latin1')

/** The code of the error a promise rejects with. */
export async function codeOf(answer: Promise<unknown>): Promise<string> {
  try {
    await answer
  } catch (error) {
    return String((error as { code?: unknown }).code ?? error)
  }
  return 'no error'
}
