/**
 * One SMTP connection: what the MTA says, turned into events for the chain, and the chain's decisions, turned into what
 * the MTA is told.
 *
 * It keeps the envelope, stores the message while it comes in, and at the end gives one batch of edits with the verdict, so
 * that no edit reaches the MTA before the whole chain has decided. It knows no wire and no socket: the bridge calls it
 * with one command at a time (`abort`, `interrupt` and `close` may come at any moment) and writes what it returns.
 * No method throws or rejects for a filter's sake.
 */
import { Authentication } from './authentication/authentication.ts'
import type { ByteString } from './bytes.ts'
import { Chain, type ChainReport, type Decision } from './chain/chain.ts'
import type { Failure } from './chain/failure.ts'
import { type HoldPlace, holdClient } from './chain/hold.ts'
import { type ChainFilter, Member, type Wait } from './chain/member.ts'
import { Collector, type Overflow } from './collector.ts'
import { DEFAULT_AUTHENTICATION, type OnClientLeft, type Settings } from './config/settings.ts'
import { described } from './errors.ts'
import type { Client, Path, RcptEvent, Stage } from './events.ts'
import type { AbortReason, FilterContext, HoldOutcome, Outcome } from './filter.ts'
import { MacroStore } from './macros.ts'
import { planBatch } from './message/batch.ts'
import type { Edit } from './message/edit.ts'
import { type BodyWriter, type MessageSnapshot, receivedMessage } from './message/snapshot.ts'
import type { MessageStore, Spool } from './message/spool.ts'
import { type MtaFacts, UNKNOWN_MTA } from './mta.ts'
import type { Observer } from './observe/event.ts'
import type { Logger } from './observe/logger.ts'
import { ResultStore } from './results.ts'
import { Alarm } from './time/alarm.ts'
import type { Clock } from './time/clock.ts'
import type { HoldKeeper } from './time/holds.ts'
import { Presence, smtpConnection } from './time/presence.ts'
import type { Watch } from './time/watch.ts'
import { ACCEPT, CONTINUE, DISCARD, tempfailWith, type Verdict } from './verdict.ts'

/** What the MTA is told at the end of a message: `edits` in the order they are to be written, none unless it is kept. */
export interface Settlement {
  readonly verdict: Verdict
  readonly edits: readonly Edit[]
}

export interface SessionOptions {
  readonly id: string
  readonly filters: readonly ChainFilter[]
  readonly settings: Pick<Settings, 'budget' | 'limits' | 'onClientLeft' | 'mtaAddresses'> &
    Partial<Pick<Settings, 'authentication'>>
  /** Over the clients of all sessions; `null` looks after none. */
  readonly watch: Watch | null
  readonly clock: Clock
  readonly spool: Spool
  readonly holds: HoldKeeper
  /** Somebody beside the filters wants the content of every message. @default false */
  readonly wantsContent?: boolean
  readonly observe: Observer
  readonly log: Logger
}

/** A live session as the postmaster sees it. */
export interface SessionFacts {
  readonly id: string
  readonly client: Client | null
  readonly helo: ByteString | null
  readonly mta: MtaFacts['kind']
  /** How far it has come; `idle` between messages. */
  readonly stage: 'new' | 'connect' | 'idle' | 'mail' | 'rcpt' | 'content' | 'ended'
  /** Whom it waits for. */
  readonly wait: Wait | null
  readonly queueId: ByteString | null
  readonly messages: number
  /** Monotonic milliseconds of when it began. */
  readonly began: number
}

interface Transaction {
  readonly id: string
  readonly sender: Path
  readonly recipients: Path[]
  readonly began: number
  readonly store: MessageStore
  collector: Collector | null
  /** A recipient's refusal, a temporary one if there was any: what a message without any recipient came to. */
  refusal: Decision | null
  discarded: boolean
}

export class Session {
  /** What a filter sees of its session. A class, since thousands wait at once and an object of closures each is dear. */
  static readonly #Context = class implements FilterContext, HoldPlace {
    readonly authentication: FilterContext['authentication']
    #log: Logger | null = null
    readonly #session: Session
    readonly #member: Member
    constructor(session: Session, member: Member) {
      this.#session = session
      this.#member = member
      this.authentication = session.#authentication.contributor(member.name, !member.observed)
    }
    get log(): Logger {
      this.#log ??= this.#session.#options.log.child({ filter: this.#member.name, session: this.#session.id })
      return this.#log
    }
    get sessionId(): string {
      return this.#session.id
    }
    get results(): ResultStore {
      return this.#session.#results
    }
    get asked(): FilterContext['asked'] {
      return this.#session.#mta.asked
    }
    get mta(): MtaFacts['kind'] {
      return this.#session.#mta.kind
    }
    get client(): Client | null {
      return this.#session.#client
    }
    get keeper(): HoldKeeper {
      return this.#session.#options.holds
    }
    newBody(): BodyWriter {
      const transaction = this.#session.#transaction
      if (transaction === null) throw new Error(`${this.#member.name}: a body was asked for outside a message`)
      return transaction.store.writer()
    }
    refused(stage: Stage, detail: string): void {
      this.#session.#options.observe({
        type: 'answer-refused',
        session: this.#session.id,
        message: this.#session.#transaction?.id ?? null,
        filter: this.#member.name,
        stage,
        detail,
      })
    }
    notHeld(why: Omit<Overflow, 'verdict'>): void {
      this.#session.#overflowed(why)
    }
    get unread(): boolean | null {
      return this.#session.#presence.unread
    }
    hold(seconds: number): Promise<HoldOutcome> {
      if (!this.#member.observed) this.#session.#options.watch?.hurry(this.#session.#presence)
      return holdClient(this.#member, seconds, this)
    }
    progress(): void {
      this.#member.progress()
    }
  }

  /** What the chain tells of its filters, with who and where. */
  static readonly #Report = class implements ChainReport {
    readonly #session: Session
    constructor(session: Session) {
      this.#session = session
    }
    answered(member: Member, stage: Stage, verdict: Verdict, edits: readonly Edit[], milliseconds: number): void {
      const { name: filter, observed } = member
      const said = { filter, stage, verdict, edits, milliseconds, observed }
      this.#session.#options.observe({ type: 'filter-answered', ...this.#where(), ...said })
    }
    failed(member: Member, stage: Stage, { code, detail }: Failure, milliseconds: number): void {
      const { name: filter, observed, onFailure } = member
      this.#session.#authentication.forget(filter)
      const what = { filter, stage, code, detail, onFailure, milliseconds, observed }
      this.#session.#options.observe({ type: 'filter-failed', ...this.#where(), ...what })
    }
    decided(...[member, stage, recipient, { value, by, ...found }]: Parameters<ChainReport['decided']>): void {
      const what = {
        filter: member.name,
        stage,
        recipient: recipient?.raw ?? null,
        takesPart: value === true,
        by: by.map(({ describe }) => describe),
        found: 'found' in found ? (found.found ?? []) : [],
      }
      this.#session.#options.observe({ type: 'condition-decided', ...this.#where(), ...what })
    }
    undecided(member: Member, condition: string, detail: string, used: boolean | null): void {
      const what = { filter: member.name, condition, detail, used }
      this.#session.#options.observe({ type: 'condition-failed', ...this.#where(), ...what })
    }
    refused(member: Member, stage: Stage, detail: string): void {
      this.#session.#options.observe({ type: 'answer-refused', ...this.#where(), filter: member.name, stage, detail })
    }
    #where(): { session: string; message: string | null } {
      return { session: this.#session.id, message: this.#session.#transaction?.id ?? null }
    }
  }

  readonly id: string
  readonly macros: MacroStore = new MacroStore()
  readonly #options: SessionOptions
  readonly #members: readonly Member[]
  /** For the limits of all calls. */
  readonly #alarm: Alarm
  readonly #chain: Chain
  readonly #presence: Presence
  readonly #results = new ResultStore()
  readonly #authentication: Authentication
  readonly #began: number
  #mta: MtaFacts = UNKNOWN_MTA
  #client: Client | null = null
  #helo: ByteString | null = null
  #transaction: Transaction | null = null
  /**
   * The answer to content that no MAIL announced. Postfix sends such content after another milter's quarantine, and
   * then there is nothing to decide; after a refusal of ours it must not turn into an acceptance.
   */
  #withoutEnvelope: Verdict = CONTINUE
  /** Holds the replacement body until the MTA has it, which it has when it says anything more. */
  #written: MessageStore | null = null
  #messages = 0
  #refusal: Decision | null = null
  /** What everything is answered since the client has gone, or since the postmaster ended the session. */
  #left: Verdict | null = null
  #closed = false

  constructor(options: SessionOptions) {
    this.#options = options
    this.id = options.id
    this.#began = options.clock.monotonic()
    const { authentication = DEFAULT_AUTHENTICATION } = options.settings
    this.#authentication = new Authentication(authentication, options.filters, () => this.macros.get('j'))
    this.#alarm = new Alarm(options.clock)
    const contextOf = (member: Member): FilterContext => new Session.#Context(this, member)
    this.#members = options.filters.map(entry => new Member(entry, options.clock, this.#alarm, contextOf))
    const { watch } = options
    const addresses = options.settings.mtaAddresses
    const presence = new Presence(
      () => smtpConnection(this.#client, this.macros, addresses),
      () => this.#clientLeft(),
    )
    this.#presence = presence
    this.#chain = new Chain({
      waiting: watch === null ? null : { begin: () => watch.begin(presence), end: () => watch.end(presence) },
      members: this.#members,
      clock: options.clock,
      budget: options.settings.budget,
      editLimit: options.settings.limits.edits,
      report: new Session.#Report(this),
      macros: this.macros,
      results: this.#results,
      mta: () => this.#mta.kind,
    })
  }

  /** Read from what is there anyway: nothing is kept for it. */
  get facts(): SessionFacts {
    const transaction = this.#transaction
    return {
      id: this.id,
      client: this.#client,
      helo: this.#helo,
      mta: this.#mta.kind,
      stage: this.#stage(),
      wait: this.#chain.wait,
      queueId: transaction === null ? null : (this.macros.get('i') ?? null),
      messages: this.#messages,
      began: this.#began,
    }
  }

  setMta(facts: MtaFacts): void {
    this.#mta = facts
  }

  async connect(client: Client): Promise<Verdict> {
    this.#client = client
    this.#options.observe({ type: 'session-opened', session: this.id, message: null, client, mta: this.#mta.kind })
    return this.#remember(await this.#chain.connect({ client, macros: this.macros }))
  }

  async helo(name: ByteString): Promise<Verdict> {
    this.abort()
    this.#helo = name
    this.#authentication.beginHelo()
    if (this.#left !== null) return this.#left
    if (this.#refusal !== null) return this.#refusal.verdict
    return this.#remember(await this.#chain.helo({ name, macros: this.macros }))
  }

  /** Begins a message; an unfinished one is aborted first. */
  async mail(sender: Path): Promise<Verdict> {
    this.abort()
    this.#release()
    if (this.#left !== null) return this.#left
    this.#withoutEnvelope = CONTINUE
    const transaction: Transaction = {
      id: `${this.id}.${++this.#messages}`,
      sender,
      recipients: [],
      began: this.#options.clock.monotonic(),
      store: this.#options.spool.message(),
      collector: null,
      refusal: null,
      discarded: false,
    }
    this.#transaction = transaction
    this.#results.beginMessage()
    this.#authentication.beginMessage()
    const decision =
      this.#refusal ?? (await this.#chain.mail({ messageId: transaction.id, sender, macros: this.macros }))
    return this.#applyTo(transaction, decision)
  }

  async rcpt(recipient: Path, refused: RcptEvent['refused'] = null): Promise<Verdict> {
    const transaction = this.#transaction
    if (transaction === null || transaction.discarded) return this.#left ?? CONTINUE
    const limit = this.#options.settings.limits.recipients
    if (refused === null && transaction.recipients.length >= limit) {
      this.#overflowed(described('LIMIT_RECIPIENTS', limit))
      return tempfailWith(452, '4.5.3', 'Too many recipients')
    }
    const decision = await this.#chain.rcpt({ recipient, refused, macros: this.macros })
    const verdict = this.#left ?? decision.verdict
    if (this.#transaction !== transaction || refused !== null) return verdict
    if (verdict.kind === 'continue') transaction.recipients.push(recipient)
    else if (verdict.kind === 'discard') this.#discard(transaction, decision)
    else if (transaction.refusal === null || verdict.kind === 'tempfail') transaction.refusal = decision
    return verdict
  }

  /** `accept`: nobody wants the content, the MTA need not send it. */
  async data(): Promise<Verdict> {
    const transaction = this.#transaction
    if (transaction === null || transaction.discarded) return this.#left ?? CONTINUE
    const decision = await this.#chain.data({ recipients: [...transaction.recipients], macros: this.macros })
    const verdict = this.#applyTo(transaction, decision)
    if (this.#transaction !== transaction || verdict.kind !== 'continue') return verdict
    if (this.#options.wantsContent || this.#chain.wantsContent || this.#authentication.inUse) return verdict
    this.#settle(transaction, NOBODY, 'accept', null)
    return ACCEPT
  }

  /** `value` is all that follows the colon, leading space included. */
  header(name: ByteString, value: ByteString): void {
    this.#collector()?.header(name, value)
  }

  endOfHeaders(): void {
    this.#collector()
  }

  /** Copies the bytes. A promise when the spool must catch up: wait for it before the next call. */
  body(chunk: Uint8Array): void | Promise<void> {
    return this.#collector()?.body(chunk)
  }

  async endOfMessage(): Promise<Settlement> {
    const transaction = this.#transaction
    const collector = this.#collector()
    if (transaction === null || collector === null)
      return { verdict: transaction === null ? (this.#left ?? this.#withoutEnvelope) : DISCARD, edits: [] }
    const body = await collector.finish()
    if (this.#transaction !== transaction) return { verdict: INTERRUPTED, edits: [] }
    if (body === null || collector.overflow !== null) {
      const overflow = collector.overflow ?? NO_BODY
      this.#overflowed(overflow)
      this.#settle(transaction, { verdict: overflow.verdict, by: null }, outcomeOf(overflow.verdict, null), null)
      return { verdict: overflow.verdict, edits: [] }
    }
    const { id, sender, recipients } = transaction
    const received = receivedMessage({ id, sender, recipients, fields: collector.fields, body })
    const decision = await this.#chain.message(this.#authentication.cleaned(received), { macros: this.macros })
    if (this.#transaction !== transaction) return { verdict: this.#left ?? decision.verdict, edits: [] }
    return this.#conclude(transaction, received, decision)
  }

  async unknown(command: ByteString): Promise<Verdict> {
    if (this.#left !== null) return this.#left
    const { verdict } = await this.#chain.unknown({ command, macros: this.macros })
    return this.#left ?? verdict
  }

  /** RSET, or whatever else ends a message before its end. Harmless outside one. */
  abort(reason: AbortReason = ABORTED): void {
    const transaction = this.#transaction
    if (transaction === null) return
    this.#chain.interrupt(reason)
    const { recipients, refusal } = transaction
    if (recipients.length === 0 && refusal !== null)
      this.#settle(transaction, refusal, outcomeOf(refusal.verdict, null), null)
    else this.#settle(transaction, NOBODY, reason.kind === 'client-left' ? 'client-left' : 'aborted', null)
  }

  /** Ends what is running now; its promise gives a temporary failure that can still be spoken. */
  interrupt(reason: AbortReason): void {
    this.#chain.interrupt(reason)
  }

  /**
   * The postmaster wants it gone: what runs is ended with 421, and so is whatever comes. Both MTAs then drop the SMTP connection.
   * Nothing can be said to a client that is not waiting for an answer, so an idle session ends at its next command.
   */
  kill(): 'now' | 'at-next-command' {
    const answering = this.#chain.wait !== null
    if (this.#closed || this.#left !== null) return answering ? 'now' : 'at-next-command'
    const transaction = this.#transaction
    this.#left = KILLED
    this.#chain.interrupt(KILL, KILLED)
    if (transaction !== null) this.#settle(transaction, { verdict: KILLED, by: null }, 'tempfail', null)
    return answering ? 'now' : 'at-next-command'
  }

  close(reason: AbortReason): void {
    if (this.#closed) return
    this.#closed = true
    this.#chain.interrupt(reason)
    this.abort(reason)
    this.#chain.close()
    this.#alarm.close()
    this.#release()
    this.#options.observe({
      type: 'session-closed',
      session: this.id,
      message: null,
      messages: this.#messages,
      milliseconds: this.#options.clock.monotonic() - this.#began,
    })
  }

  #stage(): SessionFacts['stage'] {
    if (this.#left !== null) return 'ended'
    const transaction = this.#transaction
    if (transaction === null)
      return this.#helo !== null || this.#messages > 0 ? 'idle' : this.#client === null ? 'new' : 'connect'
    if (transaction.collector !== null) return 'content'
    return transaction.recipients.length > 0 ? 'rcpt' : 'mail'
  }

  /** From the watch. What runs is ended, the message is over, and so is every later one of this connection. */
  #clientLeft(): void {
    if (this.#closed || this.#left !== null) return
    const { clock, observe, settings } = this.#options
    const transaction = this.#transaction
    const verdict = LEFT_ANSWERS[settings.onClientLeft]
    this.#left = verdict
    observe({
      type: 'client-left',
      session: this.id,
      message: transaction?.id ?? null,
      client: this.#client,
      awaited: this.#chain.awaited,
      milliseconds: clock.monotonic() - this.#presence.since,
    })
    this.#chain.interrupt(CLIENT_LEFT, verdict)
    if (transaction !== null) this.#settle(transaction, { verdict, by: null }, 'client-left', null)
  }

  /** A connection refused at connect or helo stays refused, should the MTA go on all the same. */
  #remember(decision: Decision): Verdict {
    if (this.#left !== null) return this.#left
    if (decision.verdict.kind !== 'continue' && decision.by !== null) this.#refusal = decision
    return decision.verdict
  }

  #applyTo(transaction: Transaction, decision: Decision): Verdict {
    const verdict = this.#left ?? decision.verdict
    if (this.#transaction !== transaction || verdict.kind === 'continue') return verdict
    if (verdict.kind === 'discard') this.#discard(transaction, decision)
    else this.#settle(transaction, decision, outcomeOf(verdict, null), null)
    return verdict
  }

  /** The MTA goes on as if all were well; no filter hears more of it. */
  #discard(transaction: Transaction, decision: Decision): void {
    this.#settle(transaction, decision, 'discard', null)
    this.#transaction = { ...transaction, discarded: true }
  }

  #collector(): Collector | null {
    const transaction = this.#transaction
    if (transaction === null || transaction.discarded) return null
    transaction.collector ??= new Collector(this.#options.settings.limits, transaction.store.writer())
    return transaction.collector
  }

  #conclude(
    transaction: Transaction,
    received: MessageSnapshot,
    decision: Decision & { readonly message: MessageSnapshot; readonly quarantine: string | null },
  ): Settlement {
    const { verdict, quarantine } = decision
    const kept = verdict.kind === 'continue'
    const message = kept ? this.#authentication.stamped(decision.message) : decision.message
    const outcome = outcomeOf(verdict, quarantine)
    const batch = kept ? planBatch(received, message, this.#mta.kind, this.#mta.edits) : null
    const edits = batch === null ? [] : [...batch.edits]
    if (kept && quarantine !== null) edits.push({ kind: 'quarantine', reason: quarantine })
    for (const detail of batch?.dropped ?? [])
      this.#options.observe({
        type: 'answer-refused',
        session: this.id,
        message: transaction.id,
        filter: this.#mta.kind,
        stage: 'message',
        detail,
      })
    if (edits.some(edit => edit.kind === 'replaceBody')) this.#written = transaction.store
    this.#settle(transaction, decision, outcome, kept ? message : null)
    return { verdict, edits }
  }

  #settle(transaction: Transaction, decision: Decision, outcome: Outcome, result: MessageSnapshot | null): void {
    this.#transaction = null
    if (transaction.discarded) return
    this.#chain.endMessage(outcome)
    const timings = new Map<string, number>()
    for (const member of this.#members) if (member.spent > 0) timings.set(member.name, member.spent)
    this.#options.observe({
      type: 'message-settled',
      session: this.id,
      message: transaction.id,
      client: this.#client,
      helo: this.#helo,
      queueId: this.macros.get('i') ?? null,
      sender: transaction.sender.raw,
      recipients: transaction.recipients.map(path => path.raw),
      size: transaction.collector?.size ?? 0,
      outcome,
      verdict: decision.verdict,
      decidedBy: decision.by,
      result,
      timings,
      milliseconds: this.#options.clock.monotonic() - transaction.began,
    })
    this.#results.endMessage()
    if (outcome === 'reject' || outcome === 'tempfail') this.#withoutEnvelope = INTERRUPTED
    if (this.#written !== transaction.store) transaction.store.dispose()
  }

  #release(): void {
    this.#written?.dispose()
    this.#written = null
  }

  #overflowed({ code, detail }: Omit<Overflow, 'verdict'>): void {
    this.#options.observe({
      type: 'limit-reached',
      session: this.id,
      message: this.#transaction?.id ?? null,
      code,
      detail,
    })
  }
}

const CLIENT_LEFT: AbortReason = { kind: 'client-left', detail: 'the client has left' }
const KILL: AbortReason = { kind: 'shutdown', detail: 'the postmaster ended the session' }
const KILLED = tempfailWith(421, '4.3.2', 'Connection ended by the postmaster, try again later')
/** 421 because Postfix then drops the session; after any other failure it goes on with the commands it holds already. */
const LEFT_ANSWERS: Readonly<Record<OnClientLeft, Verdict>> = {
  '421': tempfailWith(421, '4.4.2', 'Client left - closing connection'),
  tempfail: tempfailWith(451, '4.4.2', 'Client left - try again later'),
  accept: CONTINUE,
  discard: DISCARD,
}
const NOBODY: Decision = { verdict: CONTINUE, by: null }
const ABORTED: AbortReason = { kind: 'mta-abort', detail: 'the MTA ended the transaction' }
const INTERRUPTED = tempfailWith(451, '4.7.1', 'Service unavailable - try again later')
const NO_BODY: Overflow = { verdict: INTERRUPTED, ...described('SPOOL_GONE') }

const outcomeOf = (verdict: Verdict, quarantine: string | null): Outcome =>
  verdict.kind === 'continue' || verdict.kind === 'accept'
    ? quarantine === null
      ? 'accept'
      : 'quarantine'
    : verdict.kind
