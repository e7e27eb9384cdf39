/**
 * The events that hooks are handed: thin views on what the chain told, decoded only when asked for.
 *
 * A view lives as long as its hook runs. Afterwards what it could still do is refused and reported, so that a late answer finds
 * nobody: not this message, and never the next one on the same connection.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Contributor } from '../authentication/authentication.ts'
import type { AuthResult } from '../authentication/result.ts'
import { type ByteString, byteString, decodeText } from '../bytes.ts'
import { hostError } from '../errors.ts'
import type { HoldOutcome, Outcome } from '../filter.ts'
import type { Macros } from '../macros.ts'
import type { Logger } from '../observe/logger.ts'
import type { ResultKey } from '../results.ts'
import { type Address, EnvelopeAddress } from './address.ts'
import { argsOf, authOf, tlsOf } from './client.ts'
import type { EditRecorder } from './edits.ts'
import type { Auth, Client, HookName, Tls } from './events.ts'
import type { HeaderField } from './header.ts'
import type { ShownMessage } from './message.ts'
import { explainAbsent } from './too-early.ts'

/** What a view needs of the session behind it. */
export interface Surroundings {
  readonly plugin: string
  readonly sessionId: string
  readonly client: Client
  readonly connection: unknown
  readonly log: Logger
  result<T>(key: ResultKey<T>): T | undefined
  publish<T>(key: ResultKey<T>, value: T): void
  hold(seconds: number): Promise<HoldOutcome>
  readonly unread: boolean | null
  readonly authentication: Contributor
  authResult(hook: HookName, result: AuthResult): void
  /** Reports a call that came when its event was over. */
  late(hook: HookName, call: string): void
}

/** The message a hook is told of, from `mail` on. */
export interface Envelope {
  readonly id: string
  readonly sender: Address
  readonly state: unknown
  /** Options that came with recipients, by path; `null` while there are none, as in nearly every message. */
  options: Map<ByteString, GivenOptions> | null
}

type GivenOptions = Readonly<Record<string, unknown>>

export class EventView {
  readonly #around: Surroundings
  readonly #hook: HookName
  readonly #macros: Macros
  #open = true
  #log: Logger | null = null

  constructor(around: Surroundings, hook: HookName, macros: Macros) {
    this.#around = around
    this.#hook = hook
    this.#macros = macros
  }

  get id(): string {
    return this.#around.sessionId
  }

  get client(): Client {
    return this.#around.client
  }

  get auth(): Auth | null {
    return authOf(this.#macros)
  }

  get tls(): Tls | null {
    return tlsOf(this.#macros)
  }

  get connection(): unknown {
    return this.#around.connection
  }

  get log(): Logger {
    this.#log ??= this.#around.log.child({ ...(this.id === this.#around.sessionId ? {} : { message: this.id }) })
    return this.#log
  }

  macro(name: string): string | undefined {
    const value = this.#macros.get(name)
    return value === undefined ? undefined : decodeText(value)
  }

  result<T>(key: ResultKey<T>): T | undefined {
    return this.#around.result(key)
  }

  get authservId(): string | null {
    return this.#around.authentication.authservId
  }

  authResults(): readonly AuthResult[] {
    return this.#around.authentication.results()
  }

  /** @internal */
  static hookOf(view: EventView): HookName {
    return view.#hook
  }

  /** @internal Ends the view; the session calls it when the hook has answered or is given up. */
  static close(view: EventView): void {
    view.#open = false
  }

  /** @internal The session behind a view that may still act, else `null`. */
  static acting(view: EventView, call: string): Surroundings | null {
    if (!view.#open) view.#around.late(view.#hook, call)
    return view.#open ? view.#around : null
  }
}

explainAbsent(EventView.prototype, event => EventView.hookOf(event as EventView))

/** An event that is asked for an answer. */
export class AskedView extends EventView {
  readonly signal: AbortSignal

  constructor(around: Surroundings, hook: HookName, macros: Macros, signal: AbortSignal) {
    super(around, hook, macros)
    this.signal = signal
  }

  publish<T>(key: ResultKey<T>, value: T): void {
    if (!this.signal.aborted) EventView.acting(this, 'publish')?.publish(key, value)
  }

  authResult(result: AuthResult): void {
    if (!this.signal.aborted) EventView.acting(this, 'authResult')?.authResult(EventView.hookOf(this), result)
  }

  hold(seconds: number): Promise<HoldOutcome> {
    const around = EventView.acting(this, 'hold')
    if (around === null) return Promise.resolve('refused')
    if (typeof seconds === 'number' && seconds >= 0 && seconds < Number.POSITIVE_INFINITY) return around.hold(seconds)
    const what = 'it takes a number of seconds, 0 or more'
    return Promise.reject(hostError('PLUGIN_ARGUMENT', around.plugin, 'hold', what))
  }
}

export class ConnectView extends AskedView {
  constructor(around: Surroundings, macros: Macros, signal: AbortSignal) {
    super(around, 'connect', macros, signal)
  }

  get spokeEarly(): boolean | null {
    return EventView.acting(this, 'spokeEarly')?.unread ?? null
  }
}

export class HeloView extends AskedView {
  readonly name: string

  constructor(around: Surroundings, macros: Macros, signal: AbortSignal, name: string) {
    super(around, 'helo', macros, signal)
    this.name = name
  }
}

/** An event of a message that is asked for an answer. */
export class MessageView extends AskedView {
  readonly #envelope: Envelope
  readonly #macros: Macros

  constructor(around: Surroundings, hook: HookName, macros: Macros, signal: AbortSignal, envelope: Envelope) {
    super(around, hook, macros, signal)
    this.#envelope = envelope
    this.#macros = macros
  }

  override get id(): string {
    return this.#envelope.id
  }

  get message(): unknown {
    return this.#envelope.state
  }

  get sender(): Address {
    return this.#envelope.sender
  }

  get queueId(): string | null {
    return queueIdOf(this.#macros)
  }
}

export class MailView extends MessageView {
  readonly #args: readonly string[]

  constructor(around: Surroundings, macros: Macros, signal: AbortSignal, envelope: Envelope, args: readonly string[]) {
    super(around, 'mail', macros, signal, envelope)
    this.#args = args
  }

  get args(): ReadonlyMap<string, string> {
    return argsOf(this.#args)
  }
}

export class RcptView extends MessageView {
  readonly recipient: Address
  readonly options: GivenOptions | null
  readonly #args: readonly string[]

  constructor(
    around: Surroundings,
    macros: Macros,
    signal: AbortSignal,
    envelope: Envelope,
    recipient: { readonly raw: string; readonly args: readonly string[] },
    options: GivenOptions | null,
  ) {
    super(around, 'rcpt', macros, signal, envelope)
    this.options = options
    this.recipient = new EnvelopeAddress(recipient.raw)
    this.#args = recipient.args
  }

  get args(): ReadonlyMap<string, string> {
    return argsOf(this.#args)
  }
}

/** An event on all recipients of a message. */
abstract class EnvelopeView extends MessageView {
  readonly #envelope: Envelope

  constructor(around: Surroundings, hook: HookName, macros: Macros, signal: AbortSignal, envelope: Envelope) {
    super(around, hook, macros, signal, envelope)
    this.#envelope = envelope
  }

  abstract get recipients(): readonly Address[]

  get options(): GivenOptions | null {
    if (this.#envelope.options === null) return null
    const [first = null, ...others] = this.recipients.map(recipient => this.optionsOf(recipient))
    return others.every(other => isDeepStrictEqual(other, first)) ? first : null
  }

  optionsOf(recipient: Address): GivenOptions | null {
    return this.#envelope.options?.get(byteString(recipient.raw)) ?? null
  }
}

export class RecipientsView extends EnvelopeView {
  readonly #paths: readonly { readonly raw: string }[]

  constructor(
    around: Surroundings,
    macros: Macros,
    signal: AbortSignal,
    envelope: Envelope,
    recipients: readonly { readonly raw: string }[],
  ) {
    super(around, 'data', macros, signal, envelope)
    this.#paths = recipients
  }

  get recipients(): readonly Address[] {
    return this.#paths.map(path => new EnvelopeAddress(path.raw))
  }
}

/** An event on the whole stored message. */
export class ContentView extends EnvelopeView {
  readonly #shown: ShownMessage

  constructor(
    around: Surroundings,
    hook: HookName,
    macros: Macros,
    signal: AbortSignal,
    envelope: Envelope,
    shown: ShownMessage,
  ) {
    super(around, hook, macros, signal, envelope)
    this.#shown = shown
  }

  get recipients(): readonly Address[] {
    return this.#shown.recipients
  }

  get headers(): readonly HeaderField[] {
    return this.#shown.headers.fields
  }

  header(name: string): HeaderField | undefined {
    return this.#shown.headers.first(name)
  }

  headerAll(name: string): readonly HeaderField[] {
    return this.#shown.headers.all(name)
  }
}

export class BodyView extends ContentView {
  readonly chunk: Uint8Array

  constructor(
    around: Surroundings,
    macros: Macros,
    signal: AbortSignal,
    envelope: Envelope,
    shown: ShownMessage,
    chunk: Uint8Array,
  ) {
    super(around, 'body', macros, signal, envelope, shown)
    this.chunk = chunk
  }
}

export class EndView extends ContentView {
  readonly edit: EditRecorder
  readonly #shown: ShownMessage

  constructor(
    around: Surroundings,
    macros: Macros,
    signal: AbortSignal,
    envelope: Envelope,
    shown: ShownMessage,
    edit: EditRecorder,
  ) {
    super(around, 'end', macros, signal, envelope, shown)
    this.edit = edit
    this.#shown = shown
  }

  get size(): number {
    return this.#shown.size
  }

  body({ reuse = false }: { readonly reuse?: boolean } = {}): AsyncIterable<Uint8Array> {
    return this.#shown.body(this.signal, reuse)
  }

  raw(): ReturnType<ShownMessage['raw']> {
    return this.#shown.raw(this.signal)
  }
}

export class SettledView extends EventView {
  readonly outcome: Outcome
  readonly #envelope: Envelope
  readonly #macros: Macros

  constructor(around: Surroundings, macros: Macros, envelope: Envelope, outcome: Outcome) {
    super(around, 'settled', macros)
    this.outcome = outcome
    this.#envelope = envelope
    this.#macros = macros
  }

  override get id(): string {
    return this.#envelope.id
  }

  get message(): unknown {
    return this.#envelope.state
  }

  get sender(): Address {
    return this.#envelope.sender
  }

  get queueId(): string | null {
    return queueIdOf(this.#macros)
  }
}

/** The MTA's own: the host's stand-in, given to external milters that need one, belongs to no stage. */
function queueIdOf(macros: Macros): string | null {
  for (const stage of QUEUE_ID_STAGES) {
    const id = macros.at(stage).get('i')
    if (id !== undefined) return decodeText(id)
  }
  return null
}

const QUEUE_ID_STAGES = ['eom', 'eoh', 'data', 'rcpt', 'mail'] as const
