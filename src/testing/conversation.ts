/**
 * One SMTP connection of a test, in the part of the MTA.
 *
 * Steps that were left out are taken with defaults, so that a test says only what it is about. It speaks to the same `Session`
 * that the bridge speaks to, with the macros that Postfix or Sendmail would give.
 */
import { encodeText } from '../host/bytes.ts'
import type { AbortReason } from '../host/filter.ts'
import type { MacroStage } from '../host/macros.ts'
import { memoryBody } from '../host/message/body.ts'
import { EDIT_KINDS } from '../host/message/edit.ts'
import { receivedMessage } from '../host/message/snapshot.ts'
import { ALL_INTERESTS, type MtaKind } from '../host/mta.ts'
import type { HostEvent } from '../host/observe/event.ts'
import type { Session } from '../host/session.ts'
import { CONTINUE, isFinal, type Verdict } from '../host/verdict.ts'
import { type Delivery, deliveredMessage, type TestReply, traceOf } from './delivery.ts'
import { type MessageParts, messageParts, type TestMessage } from './message.ts'

/** The client of a test. */
export interface TestClient {
  /** @default '192.0.2.1' */
  readonly address?: string
  /** @default 40000 */
  readonly port?: number
  /** `null`: no name could be verified. @default 'client.example.net' */
  readonly hostname?: string | null
  /** Logged in by SMTP AUTH. */
  readonly auth?: { readonly user: string; readonly mechanism?: string }
  readonly tls?: { readonly version?: string; readonly cipher?: string }
  /** Further macros, told at connect. */
  readonly macros?: Readonly<Record<string, string>>
  /**
   * Watches this client while it waits: `event.spokeEarly` becomes this with the first look. For `open` and `deliver`. @default nobody looks, and
   * it stays `null`
   */
  readonly spokeEarly?: boolean
}

type SettledHostEvent = Extract<HostEvent, { type: 'message-settled' }>

const LEFT: AbortReason = { kind: 'client-left', detail: 'the client has gone' }
const RESET: AbortReason = { kind: 'mta-abort', detail: 'the MTA ended the transaction' }
const QUIT: AbortReason = { kind: 'mta-abort', detail: 'the MTA closed the connection' }

/** One SMTP connection. Steps resolve to the verdict for that command; those left out are taken with defaults. */
export class Conversation {
  readonly #session: Session
  readonly #mta: Exclude<MtaKind, 'unknown'>
  readonly #client: TestClient
  readonly #events: HostEvent[]
  #replies: TestReply[] = []
  #from = 0
  #step: 'new' | 'connected' | 'greeted' | 'mail' | 'data' | 'closed' = 'new'
  #sender = ''
  #recipients: string[] = []
  #messages = 0
  readonly #told = new Map<MacroStage, Readonly<Record<string, string>>>()
  #refused: Verdict | null = null

  /** @internal Made by `TestHost.open`. `events`: what this session reports. */
  constructor(session: Session, mta: Exclude<MtaKind, 'unknown'>, client: TestClient, events: HostEvent[]) {
    this.#session = session
    this.#mta = mta
    this.#client = client
    this.#events = events
    const version = mta === 'postfix' ? '3.7.11' : '8.17.1.9'
    session.setMta({ kind: mta, version, edits: new Set(EDIT_KINDS), asked: new Set(ALL_INTERESTS) })
  }

  /** What this MTA tells at a stage from now on, beside and before what it would by itself. */
  tell(stage: MacroStage, values: Readonly<Record<string, string>>): void {
    this.#told.set(stage, values)
    this.#macros(stage, {})
  }

  async connect(client: TestClient = {}): Promise<Verdict> {
    const {
      address = '192.0.2.1',
      port = 40_000,
      hostname = 'client.example.net',
      macros = {},
    } = {
      ...this.#client,
      ...client,
    }
    const version = this.#mta === 'postfix' ? 'Postfix 3.7.11' : '8.17.1.9'
    // Where a watched client came in; without it nobody can tell which connection to look at.
    const watched = this.#client.spokeEarly === undefined ? {} : { daemon_port: '25' }
    this.#macros('connect', { j: 'mx.example.com', daemon_name: 'mx.example.com', v: version, ...watched, ...macros })
    this.#step = 'connected'
    return this.#answered(
      'connect',
      await this.#session.connect({
        family: address.includes(':') ? 'inet6' : 'inet',
        address: encodeText(address),
        port,
        hostname: encodeText(hostname ?? `[${address}]`),
      }),
    )
  }

  async helo(name = 'client.example.net'): Promise<Verdict> {
    if (this.#step === 'new') await this.connect()
    const { tls } = this.#client
    if (tls !== undefined)
      this.#macros('helo', { tls_version: tls.version ?? 'TLSv1.3', cipher: tls.cipher ?? 'TLS_AES_256_GCM_SHA384' })
    this.#step = 'greeted'
    return this.#answered('helo', await this.#session.helo(encodeText(name)))
  }

  /** `from` with or without angle brackets, empty for the null sender; `args` as typed: `'SIZE=100'`. */
  async mail(from = 'sender@example.net', ...args: string[]): Promise<Verdict> {
    if (this.#step === 'new' || this.#step === 'connected') await this.helo()
    if (this.#refused !== null) return this.#answered('mail', this.#refused)
    if (this.#step !== 'greeted') this.reset()
    this.#begin()
    this.#sender = from
    this.#session.macros.clearAfter('helo')
    const { auth } = this.#client
    this.#macros('mail', {
      ...(auth === undefined ? {} : { auth_type: auth.mechanism ?? 'PLAIN', auth_authen: auth.user }),
      ...(this.#mta === 'sendmail' ? { i: this.#queueId } : {}),
    })
    this.#step = 'mail'
    return this.#answered('mail', await this.#session.mail({ raw: path(from), args: args.map(encodeText) }))
  }

  async rcpt(to = 'recipient@example.com', ...args: string[]): Promise<Verdict> {
    if (this.#step !== 'mail') await this.mail()
    if (this.#refused !== null) return this.#answered('rcpt', this.#refused, to)
    this.#macros('rcpt', this.#mta === 'postfix' && this.#recipients.length > 0 ? { i: this.#queueId } : {})
    const verdict = await this.#session.rcpt({ raw: path(to), args: args.map(encodeText) }, null)
    if (verdict.kind === 'continue') this.#recipients.push(to)
    return this.#answered('rcpt', verdict, to)
  }

  async data(): Promise<Verdict> {
    await this.#envelope()
    if (this.#refused !== null) return this.#answered('data', this.#refused)
    this.#macros('data', { i: this.#queueId })
    this.#step = 'data'
    return this.#answered('data', await this.#session.data())
  }

  /** Sends the message, with whatever of the conversation is missing before it, and tells what became of it. */
  async message(message: TestMessage = 'Subject: test\r\n\r\nHello\r\n'): Promise<Delivery> {
    const parts = messageParts(message)
    if (this.#step !== 'data') await this.#envelope()
    // No MTA asks for content that nobody is to get.
    if (this.#refused !== null || (this.#recipients.length === 0 && this.#settledEvent() === null)) {
      this.reset()
      return this.#deliver(this.#replies.at(-1)!.verdict, parts, [])
    }
    const data = this.#step === 'data' ? this.#replies.at(-1)!.verdict : await this.data()
    // Settled before its content: refused, discarded, or of no interest to any filter.
    if (this.#settledEvent() !== null) return this.#deliver(data, parts, [])
    for (const { name, value } of parts.fields) this.#session.header(name, value)
    this.#session.endOfHeaders()
    for (let at = 0; at < parts.body.length; at += PIECE) await this.#session.body(parts.body.subarray(at, at + PIECE))
    this.#macros('eom', { i: this.#queueId })
    const { verdict, edits } = await this.#session.endOfMessage()
    this.#answered('message', verdict)
    return this.#deliver(verdict, parts, edits)
  }

  /** What has become of the message so far, for one that ended before its content. */
  delivery(): Delivery {
    return this.#deliver(this.#replies.at(-1)?.verdict ?? CONTINUE, messageParts(''), [])
  }

  /** What has become of the message so far, without an end to it. */
  soFar(): Pick<Delivery, 'outcome' | 'decidedBy' | 'trace'> | null {
    const settled = this.#settledEvent()
    const trace = traceOf(this.#events.slice(this.#from))
    if (settled === null && trace.length === 0) return null
    const last = trace.findLast(({ verdict, observed }) => verdict !== null && isFinal(verdict) && !observed)
    return { outcome: settled?.outcome ?? 'accept', decidedBy: settled?.decidedBy ?? last?.filter ?? null, trace }
  }

  /** The client says RSET: the message is aborted, and with it a hook that still runs. */
  reset(): void {
    this.#session.abort(RESET)
    if (this.#step === 'mail' || this.#step === 'data') this.#step = 'greeted'
  }

  /** The client is gone without a word; a hook that still runs is told by its signal. */
  disconnect(): void {
    this.#close(LEFT)
  }

  quit(): void {
    this.#close(QUIT)
  }

  /** A sender and a recipient, if the test named none. */
  async #envelope(): Promise<void> {
    if (this.#step !== 'mail' || !this.#replies.some(({ command }) => command === 'rcpt')) await this.rcpt()
  }

  get #queueId(): string {
    return `4TEST${this.#messages}`
  }

  #close(reason: AbortReason): void {
    this.#step = 'closed'
    this.#session.close(reason)
  }

  #begin(): void {
    this.#replies = this.#messages === 0 ? this.#replies : []
    this.#from = this.#messages === 0 ? 0 : this.#events.length
    this.#recipients = []
    this.#messages++
  }

  #answered(command: TestReply['command'], verdict: Verdict, recipient?: string): Verdict {
    this.#replies.push({ command, verdict, ...(recipient === undefined ? {} : { recipient }) })
    if (command === 'connect' || command === 'helo') this.#refused ??= isRefusal(verdict) ? verdict : null
    return verdict
  }

  #settledEvent(): SettledHostEvent | null {
    for (let at = this.#events.length - 1; at >= this.#from; at--) {
      const event = this.#events[at]!
      if (event.type === 'message-settled') return event
    }
    return null
  }

  #deliver(verdict: Verdict, parts: MessageParts, edits: Delivery['edits']): Delivery {
    const settled = this.#settledEvent()
    const events = this.#events.slice(this.#from)
    const kept = settled !== null && (settled.outcome === 'accept' || settled.outcome === 'quarantine')
    this.#step = this.#step === 'closed' ? 'closed' : 'greeted'
    const quarantine = edits.find(edit => edit.kind === 'quarantine')
    return {
      outcome: settled?.outcome ?? (goesOn(verdict) ? 'accept' : verdict.kind),
      verdict: goesOn(verdict) ? (settled === null || goesOn(settled.verdict) ? CONTINUE : settled.verdict) : verdict,
      decidedBy: settled?.decidedBy ?? null,
      replies: this.#replies,
      message: kept ? deliveredMessage(settled.result ?? this.#asSent(parts)) : null,
      quarantine: quarantine?.kind === 'quarantine' ? quarantine.reason : null,
      edits,
      trace: traceOf(events),
      refused: events.flatMap(event => (event.type === 'answer-refused' ? [event.detail] : [])),
    }
  }

  /** Nobody wanted the content: the MTA keeps what it has. */
  #asSent({ fields, body }: MessageParts): ReturnType<typeof receivedMessage> {
    return receivedMessage({
      id: '',
      sender: { raw: path(this.#sender), args: [] },
      recipients: this.#recipients.map(to => ({ raw: path(to), args: [] })),
      fields,
      body: memoryBody([body]),
    })
  }

  #macros(stage: MacroStage, own: Readonly<Record<string, string>>): void {
    const values = Object.entries({ ...own, ...this.#told.get(stage) })
    this.#session.macros.set(stage, new Map(values.map(([name, value]) => [name, encodeText(value)])))
  }
}

const PIECE = 65_535

const path = (address: string): string => {
  const bytes = encodeText(address)
  return bytes.startsWith('<') ? bytes : `<${bytes}>`
}

const goesOn = (verdict: Verdict): verdict is Extract<Verdict, { kind: 'continue' | 'accept' }> =>
  verdict.kind === 'continue' || verdict.kind === 'accept'

const isRefusal = (verdict: Verdict): boolean => verdict.kind === 'reject' || verdict.kind === 'tempfail'
