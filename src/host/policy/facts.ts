/**
 * What a condition may look at, and from which stage on it is known.
 *
 * A view is made for one look of one condition at one stage. It remembers the latest fact that was read, because an answer is good for
 * as long as the facts behind it: an answer about the client for the connection, one about the sender for the message, one about the
 * recipient for that recipient. A fact that is read before its stage throws `NOT_YET`; the condition is asked again when it is
 * known. `evaluate.ts` makes the views, conditions of every kind read them.
 */
import { decodeText } from '../bytes.ts'
import type { Client as HostClient, Path } from '../events.ts'
import type { MaybePromise } from '../filter.ts'
import { bare, type Macros } from '../macros.ts'
import type { MessageSnapshot } from '../message/snapshot.ts'
import { type Address, EnvelopeAddress } from '../plugin/address.ts'
import { argsOf, authOf, clientOf, NO_CLIENT, tlsOf } from '../plugin/client.ts'
import type { Auth, Client, Tls } from '../plugin/events.ts'
import type { HeaderField } from '../plugin/header.ts'
import { map } from '../plugin/maybe.ts'
import { ShownMessage } from '../plugin/message.ts'
import type { Dns } from '../plugin/services.ts'
import type { ResultKey } from '../results.ts'
import type { Verdict } from '../verdict.ts'
import type { Found, Lookup, LookupEntry } from './lookup.ts'
import type { OpenedLookups } from './opened.ts'
import { findFirst } from './recipient-keys.ts'

/** The stages at which conditions are decided, in order. At `rcpt` each recipient is decided for itself. */
export const FACT_STAGES = ['connect', 'helo', 'mail', 'rcpt', 'data', 'message'] as const
export type FactStage = (typeof FACT_STAGES)[number]

export const rank = (stage: FactStage): number => FACT_STAGES.indexOf(stage)

/** Thrown by a fact that is not known yet. Not an error: it has no stack and means "ask again". */
export const NOT_YET: { readonly notYet: true } = Object.freeze({ notYet: true })

/** How busy this host is. */
export interface Load {
  /** SMTP connections open at this host now. */
  readonly sessions: number
  /** SMTP sessions that Postfix on this machine can have at once; `null` where there is none. */
  readonly limit: number | null
  /** The machine's load average over one minute, divided by its processors. */
  readonly perProcessor: number
}

/** What a condition may look at. Reading a fact decides when the condition can be decided, and for how long the answer is good. */
export interface Facts {
  /** Known from `connect` on. */
  readonly client: Client
  /** Known from `helo` on: as the client said it, empty when it said none. */
  readonly helo: string
  /** Known from `helo` on (the HELO after STARTTLS): `null` without TLS. */
  readonly tls: Tls | null
  /** Known from `mail` on: `null` unless the client logged in. */
  readonly auth: Auth | null
  /** Known from `mail` on. */
  readonly sender: Address
  /** ESMTP parameters of MAIL, names in upper case. Known from `mail` on. */
  readonly args: ReadonlyMap<string, string>
  /** Known from `rcpt` on; makes the condition one that is decided for each recipient. */
  readonly recipient: Address
  /** The accepted recipients. Known from `data` on. */
  readonly recipients: readonly Address[]
  /** As the filters before left them. Known from `message` on. */
  readonly headers: readonly HeaderField[]
  /** Bytes of the whole message. Known from `message` on. */
  readonly size: number
  /** The first header field of that name, in any case. Known from `message` on. */
  header(name: string): HeaderField | undefined
  /**
   * A macro of the MTA, with or without braces. It counts as absent if it was not told by the stage `at`.
   * @param at the stage at which MTAs tell it, by default; `mail` for names of no known stage
   */
  macro(name: string, at?: FactStage): string | undefined
  /** What a filter before this one published; absent if nothing was by the stage `at`. @param at default `rcpt` */
  result<T>(key: ResultKey<T>, at?: FactStage): T | undefined
  /**
   * What a filter before this one said, the worst so far, at `rcpt` of this recipient; `null` if it had no objection by the stage `at`.
   * A filter in observe mode counts as if it were not. @param at default `rcpt`
   */
  verdict(filter: string, at?: FactStage): Objection | null
  /**
   * What a look-up of `milterhost/lookups` has for a key, or for the first of several keys that it has anything for.
   * @example (await facts.lookup(partners, facts.sender.domain)).value !== null
   */
  lookup<T>(entry: LookupEntry<T>, keys: string | readonly string[]): MaybePromise<Found<T>>
  /** Milliseconds since 1970. */
  readonly now: number
  readonly load: Load
  /** Hand it `signal`. */
  readonly dns: Dns
  /** Aborted when the answer is no longer awaited. */
  readonly signal: AbortSignal
}

/** A verdict that is more than "go on". */
export type Objection = Exclude<Verdict['kind'], 'continue' | 'accept'>

/** One accepted or asked recipient of a message; the same object for all who ask about it. */
export interface Recipient {
  readonly path: Path
  readonly address: Address
}

export const recipientOf = (path: Path): Recipient => ({ path, address: new EnvelopeAddress(path.raw) })

interface ResultSource {
  get<T>(key: ResultKey<T>): T | undefined
}

/** What is known of an SMTP connection and its message: filled by the chain, or by `explain`, as it comes. */
export class KnownFacts {
  readonly macros: Macros
  readonly results: ResultSource
  helo = ''
  client: Client = NO_CLIENT
  sender: Address = NOBODY
  args: readonly string[] = []
  /** Those accepted, in order. */
  recipients: readonly Recipient[] = []
  message: ShownMessage | null = null

  constructor(macros: Macros, results: ResultSource) {
    this.macros = macros
    this.results = results
  }

  connect(client: HostClient): void {
    this.client = clientOf(client, this.macros)
  }

  mail(sender: Path): void {
    this.sender = new EnvelopeAddress(sender.raw)
    this.args = sender.args
    this.recipients = []
    this.message = null
  }

  content(snapshot: MessageSnapshot): void {
    this.message = new ShownMessage(snapshot)
  }
}

const NOBODY: Address = new EnvelopeAddress('<>')

/** What stands around the conditions of one generation. */
export interface FactServices {
  readonly now: () => number
  readonly load: () => Load
  readonly dns: Dns
  readonly lookups: OpenedLookups
  /** Those the configuration names, ready, so that an answer at hand costs no tick. */
  readonly opened: ReadonlyMap<LookupEntry, Lookup>
}

/** Where a view looks from. */
export interface Standpoint {
  readonly known: KnownFacts
  readonly stage: FactStage
  readonly recipient: Recipient | null
  readonly services: FactServices
  /** What a filter before this one said so far. */
  verdictOf(filter: string): Objection | null
}

export class FactView implements Facts {
  readonly #from: Standpoint
  readonly #stage: number
  readonly #signal: () => AbortSignal
  /** The latest stage that something was read of. */
  latest = 0
  perRecipient = false
  /** What look-ups answered. */
  readonly found: Found<unknown>[] = []

  constructor(from: Standpoint, signal: () => AbortSignal) {
    this.#from = from
    this.#stage = rank(from.stage)
    this.#signal = signal
  }

  get client(): Client {
    return this.#from.known.client
  }

  get helo(): string {
    this.#read(HELO)
    return this.#from.known.helo
  }

  get tls(): Tls | null {
    this.#read(HELO)
    return tlsOf(this.#from.known.macros)
  }

  get auth(): Auth | null {
    this.#read(MAIL)
    return authOf(this.#from.known.macros)
  }

  get sender(): Address {
    this.#read(MAIL)
    return this.#from.known.sender
  }

  get args(): ReadonlyMap<string, string> {
    this.#read(MAIL)
    return argsOf(this.#from.known.args)
  }

  get recipient(): Address {
    this.#read(RCPT)
    return this.#from.recipient!.address
  }

  get recipients(): readonly Address[] {
    this.#read(DATA)
    return this.#from.known.recipients.map(({ address }) => address)
  }

  get headers(): readonly HeaderField[] {
    return this.#message.headers.fields
  }

  get size(): number {
    return this.#message.size
  }

  header(name: string): HeaderField | undefined {
    return this.#message.headers.first(name)
  }

  macro(name: string, at: FactStage = macroStageOf(bare(name))): string | undefined {
    const value = this.#from.known.macros.get(name)
    this.#read(value === undefined ? rank(at) : Math.min(rank(at), this.#stage))
    return value === undefined ? undefined : decodeText(value)
  }

  result<T>(key: ResultKey<T>, at: FactStage = 'rcpt'): T | undefined {
    const value = this.#from.known.results.get(key)
    if (value === undefined) this.#read(rank(at))
    // It may be published anew for the next recipient or the next message.
    else this.latest = Math.max(this.latest, this.#stage)
    this.perRecipient ||= this.latest === RCPT
    return value
  }

  verdict(filter: string, at: FactStage = 'rcpt'): Objection | null {
    const said = this.#from.verdictOf(filter)
    if (said === null) this.#read(rank(at))
    else this.latest = Math.max(this.latest, this.#stage)
    this.perRecipient ||= this.latest === RCPT
    return said
  }

  lookup<T>(entry: LookupEntry<T>, keys: string | readonly string[]): MaybePromise<Found<T>> {
    const { opened, lookups } = this.#from.services
    const ready = opened.get(entry) as Lookup<T> | undefined
    const list = typeof keys === 'string' ? [keys] : keys
    const answer =
      ready === undefined
        ? lookups.open(entry).then(lookup => findFirst(lookup, list, this.signal))
        : findFirst(ready, list, this.signal)
    return map(answer, found => {
      this.found.push(found)
      return found
    })
  }

  get now(): number {
    return this.#from.services.now()
  }

  get load(): Load {
    return this.#from.services.load()
  }

  get dns(): Dns {
    return this.#from.services.dns
  }

  get signal(): AbortSignal {
    return this.#signal()
  }

  get #message(): ShownMessage {
    this.#read(MESSAGE)
    return this.#from.known.message!
  }

  #read(stage: number): void {
    if (stage > this.#stage) throw NOT_YET
    if (stage > this.latest) this.latest = stage
    if (stage === RCPT) this.perRecipient = true
  }
}

const [, HELO, MAIL, RCPT, DATA, MESSAGE] = FACT_STAGES.map((_, index) => index) as [
  number,
  number,
  number,
  number,
  number,
  number,
]

const MACRO_STAGES_BY_NAME: readonly (readonly [RegExp, FactStage])[] = [
  [/^(?:[j_v]|daemon_\w+|if_\w+|client_\w+)$/, 'connect'],
  [/^(?:tls_version|cipher|cipher_bits|cert_\w+)$/, 'helo'],
  [/^rcpt_\w+$/, 'rcpt'],
  [/^i$/, 'data'],
  [/^msg_id$/, 'message'],
]

/** At which stage Postfix and Sendmail tell a macro; `mail` for those that neither tells by itself. */
export const macroStageOf = (name: string): FactStage =>
  MACRO_STAGES_BY_NAME.find(([pattern]) => pattern.test(name))?.[1] ?? 'mail'
