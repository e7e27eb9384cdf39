/**
 * The events as an author sees them, one type a hook, and the hooks themselves.
 *
 * Types only; `event.ts` has what stands behind them. `C` is the plugin's state for the SMTP connection, `M` its state for
 * the message. An event may be used until its hook has answered; what comes later has no effect and is told in the log.
 */
import type { Readable } from 'node:stream'
import type { AuthResult } from '../authentication/result.ts'
import type { HoldOutcome, MaybePromise, Outcome } from '../filter.ts'
import type { Logger } from '../observe/logger.ts'
import type { ResultKey } from '../results.ts'
import type { Verdict } from '../verdict.ts'
import type { Address } from './address.ts'
import type { Edits } from './edits.ts'
import type { HeaderField } from './header.ts'

/** The SMTP client. */
export interface Client {
  /** IPv4 or IPv6 address as text; the path of a UNIX socket; empty if the MTA does not know it. */
  readonly address: string
  /** 0 for mail that did not come over TCP. */
  readonly port: number
  /** The client's name by its PTR record, `null` when it has none. */
  readonly hostname: string | null
  /** The name leads back to the address: nobody forged the PTR record. */
  readonly verified: boolean
}

/** The SMTP authentication (SASL) of the client. */
export interface Auth {
  readonly user: string
  /** E.g. `PLAIN`; empty when the MTA did not say. */
  readonly mechanism: string
}

/** The client's TLS session. */
export interface Tls {
  /** E.g. `TLSv1.3`. */
  readonly version: string
  /** Empty when the MTA did not say. */
  readonly cipher: string
}

/** What every event has. */
export interface AnyEvent<C> {
  /** The host's id: of the message from `mail` on, of the connection before. In every log line. */
  readonly id: string
  readonly client: Client
  /** `null` unless the client logged in; known from `mail` on. */
  readonly auth: Auth | null
  /** `null` without TLS; known from `helo` on. */
  readonly tls: Tls | null
  /** The plugin's own state for this SMTP connection, made by `connection()`. */
  readonly connection: C
  /** Logs with filter, session and message on every line. */
  readonly log: Logger
  /** A macro of the MTA, with or without braces. @example event.macro('daemon_port') */
  macro(name: string): string | undefined
  /** What a filter before this one published. */
  result<T>(key: ResultKey<T>): T | undefined
  /** The name under which this host writes authentication results; `null` when neither configuration nor MTA gave one. */
  readonly authservId: string | null
  /** The authentication results that the filters of this chain have contributed so far, in the order of the chain. */
  authResults(): readonly AuthResult[]
}

/** What an event has that is asked for an answer. */
export interface AskedEvent<C> extends AnyEvent<C> {
  /**
   * Aborted when the answer is no longer awaited; `signal.reason` is an `AbortReason` with the kinds `timeout`,
   * `client-left`, `mta-abort` and `shutdown`. Hand it to whatever you wait for.
   */
  readonly signal: AbortSignal
  /** Gives later filters a typed result: for the message, or at `connect` and `helo` for the connection. */
  publish<T>(key: ResultKey<T>, value: T): void
  /**
   * Contributes to the one Authentication-Results field of the chain (RFC 8601), which the host writes on top of the
   * message: for the message, or at `connect` and `helo` for each message of the connection. Values are made safe. The
   * definition must say `authResults: true`.
   * @example event.authResult({ method: 'spf', result: 'pass', properties: { 'smtp.mailfrom': 'example.org' } })
   */
  authResult(result: AuthResult): void
  /**
   * Makes the client wait; the hook's own time limit stands still meanwhile, and the host keeps the MTA patient. `'refused'`
   * when the MTA or the client would not bear it, when too many wait, and later when room is needed or the host ends;
   * `'client-left'` when the client has gone. In observe mode nobody waits: `'waited'` at once. Throws for anything
   * but a number of 0 or more.
   * @param seconds seconds, fractions allowed
   * @example if ((await event.hold(30)) === 'client-left') return
   */
  hold(seconds: number): Promise<HoldOutcome>
}

export interface ConnectEvent<C = undefined> extends AskedEvent<C> {
  /**
   * Whether the client has spoken before its turn (RFC 5321 §4.3.1: it waits for the greeting, which the MTA sends after `connect`).
   * `true` once a look of `liveness` found bytes that the MTA has not read; `null` when no look could tell. Looks come while clients wait,
   * about every second and within 100 ms of a hold's begin: read it after an `event.hold` of a few seconds. `liveness: 'off'`, observe
   * mode, or a client out of sight (behind a proxy): `null`. `false` is no proof of manners: Postfix (3.7) reads what came with the connection
   * before it asks its milters, so that only what comes later is seen.
   * @example if ((await event.hold(5)) === 'waited' && event.spokeEarly === true) event.publish(EARLY, true)
   */
  readonly spokeEarly: boolean | null
}

export interface HeloEvent<C = undefined> extends AskedEvent<C> {
  /** As the client said it; trust nothing in it. */
  readonly name: string
}

/** What every event of a message has. */
export interface AnyMessageEvent<C, M> extends AnyEvent<C> {
  /** The plugin's own state for this message, made by `message()`. */
  readonly message: M
  readonly sender: Address
  /** The MTA's queue id. `null` where it has none yet: Postfix tells one from `data` on, Sendmail from `mail`. */
  readonly queueId: string | null
}

export interface MailEvent<C = undefined, M = undefined> extends AskedEvent<C>, AnyMessageEvent<C, M> {
  /** ESMTP parameters, names in upper case: `SIZE` → `'1000'`, `SMTPUTF8` → `''`. */
  readonly args: ReadonlyMap<string, string>
}

export interface RcptEvent<C = undefined, M = undefined> extends AskedEvent<C>, AnyMessageEvent<C, M> {
  readonly recipient: Address
  /** ESMTP parameters of this recipient, names in upper case. */
  readonly args: ReadonlyMap<string, string>
  /**
   * What `users` or the central policy of the configuration say for this recipient and this filter beside yes, e.g. a row's options; `null` if
   * nothing. Written by the postmaster, not checked by the host.
   */
  readonly options: Readonly<Record<string, unknown>> | null
}

export interface DataEvent<C = undefined, M = undefined> extends AskedEvent<C>, AnyMessageEvent<C, M> {
  /** Those accepted, in order. */
  readonly recipients: readonly Address[]
  /**
   * `RcptEvent.options` of the recipients, where all of them have equal ones; `null` where they differ (see `optionsOf`) or have none. A
   * recipient that a filter before this one added has none.
   */
  readonly options: Readonly<Record<string, unknown>> | null
  /**
   * `RcptEvent.options` of one of the recipients, or `null`.
   * @example const limits = event.recipients.map(to => event.optionsOf(to)?.limit)
   */
  optionsOf(recipient: Address): Readonly<Record<string, unknown>> | null
}

export interface HeadersEvent<C = undefined, M = undefined> extends DataEvent<C, M> {
  /** All header fields, in order, as the filters before left them. */
  readonly headers: readonly HeaderField[]
  /** The first field of that name, in any case. @example event.header('subject')?.value */
  header(name: string): HeaderField | undefined
  /** All fields of that name, in order. */
  headerAll(name: string): readonly HeaderField[]
}

export interface BodyEvent<C = undefined, M = undefined> extends HeadersEvent<C, M> {
  /** The next piece of the body, at most 65,535 bytes, with CRLF line ends. Yours: nobody else sees changes to it. */
  readonly chunk: Uint8Array
}

export interface EndEvent<C = undefined, M = undefined> extends HeadersEvent<C, M> {
  /** Changes to the message. */
  readonly edit: Edits
  /** Bytes of the whole message, as `raw()` gives it. */
  readonly size: number
  /**
   * The body in pieces of at most 65,535 bytes, as often as you ask. Each piece is yours: keep it, change it. With `reuse` all
   * pieces of this reading lie in one block of memory, and a piece holds only until the next is asked for: for whoever looks at
   * each once, such as a hash, at half the cost.
   * @example for await (const piece of event.body({ reuse: true })) hash.update(piece)
   */
  body(options?: { readonly reuse?: boolean }): AsyncIterable<Uint8Array>
  /** The whole message (headers, blank line, body; CRLF line ends) as a stream of bytes, as often as you ask. */
  raw(): Readable
}

export interface SettledEvent<C = undefined, M = undefined> extends AnyMessageEvent<C, M> {
  /** How the message ended for the whole chain. */
  readonly outcome: Outcome
}

/** What a hook may answer: a verdict, or nothing to let the message go on. */
export type Answer = Verdict | undefined | void

/**
 * The hooks of a plugin, all optional. What the MTA is asked for follows from those that are there. Each may be async. For
 * one SMTP connection they never run side by side.
 */
export interface Hooks<C = undefined, M = undefined> {
  connect?(event: ConnectEvent<C>): MaybePromise<Answer>
  helo?(event: HeloEvent<C>): MaybePromise<Answer>
  mail?(event: MailEvent<C, M>): MaybePromise<Answer>
  /** Once a recipient; a refusal is for that recipient only. */
  rcpt?(event: RcptEvent<C, M>): MaybePromise<Answer>
  data?(event: DataEvent<C, M>): MaybePromise<Answer>
  headers?(event: HeadersEvent<C, M>): MaybePromise<Answer>
  /** Once a piece of the body; `'skip'` for no more of them. */
  body?(event: BodyEvent<C, M>): MaybePromise<Answer | 'skip'>
  /** The whole message is there; the only hook that can change it. */
  end?(event: EndEvent<C, M>): MaybePromise<Answer>
  /** Told once for each message, never asked: how it ended, also when it was aborted or the client left. */
  settled?(event: SettledEvent<C, M>): MaybePromise<void>
}

export type HookName = keyof Hooks

/** In the order of an SMTP conversation. */
export const HOOK_NAMES: readonly HookName[] = [
  'connect',
  'helo',
  'mail',
  'rcpt',
  'data',
  'headers',
  'body',
  'end',
  'settled',
]
