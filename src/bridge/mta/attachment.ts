/**
 * The session behind a connection, and what is known of the MTA in front of it: opened when the MTA negotiates, given its
 * macros, told which MTA asks, and after QUIT_NC replaced by a new one on the same terms.
 *
 * There may be none (over the limit, going down, or the agreed terms no longer fit): then `refusal` says what MAIL is answered.
 */
import type { AbortReason } from '../../host/filter.ts'
import type { MtaKind } from '../../host/mta.ts'
import { tempfailWith, type Verdict } from '../../host/verdict.ts'
import type { Negotiation } from '../wire/index.ts'
import { MacroIntake } from './macro-intake.ts'
import { covers, type Negotiator, NO_NEEDS, type Terms } from './negotiate.ts'
import { type Identity, recogniseOffer, recogniseVersion } from './recognise.ts'
import type { HostSession, SessionSource } from './source.ts'

const BUSY = tempfailWith(451, '4.3.2', 'Too many mail sessions, try again later')
const OUTGROWN: AbortReason = { kind: 'mta-abort', detail: 'the connection was negotiated for filters that want less' }

export class Attachment {
  readonly macros: MacroIntake = new MacroIntake()
  readonly terms: Terms
  /** Milliseconds between two PROGRESS before the end of a message. */
  readonly progress: number
  session: HostSession | null = null
  /** The session knows of its client. */
  greeted = false
  /** Set when no message can be taken on this connection. */
  refusal: Verdict | null = null
  readonly #source: SessionSource
  readonly #override: MtaKind | null
  #identity: Identity
  #messages = 0
  #between = false

  /** Throws WireError if the MTA's offer cannot be answered; no session is left open then. */
  constructor(source: SessionSource, offer: Negotiation, override: MtaKind | null, negotiator: Negotiator) {
    negotiator.agree(offer, NO_NEEDS)
    const opened = source.open()
    this.#source = source
    this.#override = override
    this.#identity = recogniseOffer(offer)
    this.terms = negotiator.agree(offer, opened?.needs ?? NO_NEEDS)
    this.progress = opened?.progress ?? 10_000
    this.#begin(opened?.session ?? null)
  }

  /** After QUIT_NC, until the next SMTP connection begins. */
  get between(): boolean {
    return this.#between
  }

  get mta(): MtaKind {
    return this.#override ?? this.#identity.kind
  }

  /** Throws WireError if the macros cannot be read. */
  takeMacros(payload: Buffer): void {
    const kind = this.macros.receive(payload)
    const onlyPostfix = kind === 'header' || kind === 'body' || kind === 'unknown'
    if (onlyPostfix && this.#identity.kind === 'unknown') this.#recognised({ ...this.#identity, kind: 'postfix' })
  }

  /** The macros of CONNECT are there. */
  connected(): void {
    this.greeted = true
    this.#recognised(recogniseVersion(this.#identity, this.macros.store.get('v')))
  }

  /** The host's own queue id, until the MTA tells one. */
  beginMessage(session: HostSession): void {
    this.macros.standIn(`${session.id}.${++this.#messages}`)
  }

  close(reason: AbortReason): void {
    this.session?.close(reason)
    this.session = null
  }

  /** QUIT_NC: the next packet begins another SMTP connection. */
  startOver(reason: AbortReason): void {
    this.close(reason)
    this.#begin(null)
    this.#between = true
  }

  /** To be called before any packet that a session must hear of. */
  ready(): void {
    if (!this.#between) return
    const opened = this.#source.open()
    const able = opened === null || covers(this.terms, opened.needs)
    if (!able) opened.session.close(OUTGROWN)
    this.#begin(able && opened !== null ? opened.session : null)
  }

  #begin(session: HostSession | null): void {
    this.session = session
    this.refusal = session === null ? BUSY : null
    this.greeted = false
    this.#between = false
    this.#messages = 0
    this.macros.begin(session?.macros)
    this.#recognised(this.#identity)
  }

  #recognised(identity: Identity): void {
    this.#identity = identity
    const { edits, asked } = this.terms
    this.session?.setMta({ kind: this.mta, version: identity.version, edits, asked })
  }
}
