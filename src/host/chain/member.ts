/**
 * One filter's part in one SMTP connection, as the chain keeps it.
 *
 * A member holds what the filter has been told and whether it still takes part, and makes the calls. A filter that failed is out for
 * the rest of the message only: its `FilterSession` is closed and a fresh one, told connect and helo again, joins at the
 * next MAIL. In observe mode everything happens but nothing counts.
 */
import type { EntryPolicy } from '../config/entry.ts'
import type { ConnectEvent, HeloEvent, Stage } from '../events.ts'
import type {
  AbortReason,
  Filter,
  FilterContext,
  FilterSession,
  HoldOutcome,
  MaybePromise,
  Outcome,
} from '../filter.ts'
import type { OnFailure } from '../observe/event.ts'
import type { Objection } from '../policy/facts.ts'
import type { Gate } from '../policy/gate.ts'
import type { Participation } from '../policy/participation.ts'
import type { Alarm } from '../time/alarm.ts'
import type { Clock } from '../time/clock.ts'
import { CONTINUE, isFinal, type Verdict } from '../verdict.ts'
import type { Deadline } from './budget.ts'
import { type BeginHold, Call, type CallLimits } from './call.ts'
import { type Failure, failureVerdict } from './failure.ts'

/** A filter of the configuration with what the configuration says of it. */
export interface ChainFilter {
  readonly filter: Filter
  readonly policy: EntryPolicy
  /** Says for which mail it is; none: for all. */
  readonly gate?: Gate | null
}

/**
 * `idle` between messages, `waiting` for its condition, `in` the message, `done` with it by its own verdict, `failed` in it, or `off` for the rest of the
 * connection (it accepted at connect or helo).
 */
type Standing = 'idle' | 'waiting' | 'in' | 'done' | 'failed' | 'off'

export interface Ask<T> {
  readonly stage: Stage
  readonly deadline: Deadline
  invoke(session: FilterSession, signal: AbortSignal): MaybePromise<T>
}

/** A filter that is being waited for. */
export interface Wait {
  readonly filter: string
  readonly stage: string
  /** It makes the client wait on purpose. */
  readonly held: boolean
  /** Monotonic milliseconds of when it was asked. */
  readonly since: number
}

type Said = Record<'connection' | 'message' | 'recipient' | 'recipients', Objection | null>

const UNSAID: Said = { connection: null, message: null, recipient: null, recipients: null }

export class Member {
  readonly filter: Filter
  readonly policy: EntryPolicy
  readonly gate: Gate | null
  /** `null` for a filter that is for all mail. */
  part: Participation | null = null
  /** What it refused the whole connection with, when it joined after the MTA could have been told so. */
  refusal: Verdict | null = null
  readonly #clock: Clock
  /** For the limits of its calls; shared with the other members of its chain, of which one is asked at a time. */
  readonly #alarm: Alarm
  readonly #open: (member: Member) => FilterContext
  #session: FilterSession | null = null
  #controller = new AbortController()
  #call: Call<unknown> | null = null
  #toldConnect = false
  #toldHelo = false
  #sawMail = false
  /** It failed or was interrupted: a late answer must find nobody, so it is closed once it has heard how the message ended. */
  #spoiled = false
  #standing: Standing = 'idle'
  /** Its worst words; `null` while it has said nothing but consent, as nearly always. */
  #said: Said | null = null
  /** The verdict of a failure that the MTA has not been told yet, or that holds for the rest of the message. */
  #failure: Verdict | null = null
  /** Recipients this filter did not refuse: fewer than the chain's only in observe mode. */
  recipients = 0
  /** It was told of the recipient that is being asked, and did not refuse it. */
  offered = false
  /** Milliseconds spent on this message. */
  spent = 0

  constructor(entry: ChainFilter, clock: Clock, alarm: Alarm, open: (member: Member) => FilterContext) {
    this.filter = entry.filter
    this.policy = entry.policy
    this.gate = entry.gate ?? null
    this.#clock = clock
    this.#alarm = alarm
    this.#open = open
  }

  get name(): string {
    return this.policy.name
  }

  get observed(): boolean {
    return this.policy.mode === 'observe'
  }

  get onFailure(): OnFailure {
    return this.policy.onFailure
  }

  /** Takes part in the current message and has to be asked. */
  get inMessage(): boolean {
    return this.#standing === 'in'
  }

  /** Takes no part in the current message as long as its condition is not decided. */
  get isWaiting(): boolean {
    return this.#standing === 'waiting'
  }

  /** Takes no more part in this connection. */
  get isOff(): boolean {
    return this.#standing === 'off'
  }

  /** Has a session that can be told something. */
  get isOpen(): boolean {
    return this.#session !== null && !this.#spoiled
  }

  /** The verdict a failure left for the rest of the message. */
  get failure(): Verdict | null {
    return this.#failure
  }

  /** How it is being waited for now; for people. */
  get wait(): Wait | null {
    const call = this.#call
    return call === null ? null : { filter: this.name, stage: call.limits.stage, held: call.holds, since: call.began }
  }

  /** What it is being asked now, and how long it may take. */
  get asked(): CallLimits | null {
    return this.#call?.limits ?? null
  }

  hold(begin: BeginHold): Promise<HoldOutcome> {
    return this.#call === null ? Promise.resolve('refused') : this.#call.hold(begin)
  }

  /** The filter says that it is still at work on the answer. */
  progress(): void {
    this.#call?.progress()
  }

  /** Asks the filter; the answer or why there is none. */
  ask<T>({ stage, deadline, invoke }: Ask<T>): MaybePromise<T | Failure> {
    const session = this.#session
    if (session === null) throw new Error(`${this.name}: asked at ${stage} without a session`)
    const { timeouts } = this.policy
    const limits = {
      filter: this.name,
      stage,
      own: stage === 'message' ? timeouts.end : timeouts.command,
      deadline,
    }
    if (stage === 'mail') this.#sawMail = true
    const call = new Call<T>(this.#clock, this.#alarm, limits, this.#controller)
    this.#call = call as Call<unknown>
    const done = (result: T | Failure): T | Failure => {
      this.#call = null
      this.spent += this.#clock.monotonic() - call.began
      return result
    }
    const result = call.run(signal => invoke(session, signal))
    return result instanceof Promise ? result.then(done) : done(result)
  }

  /** Opens a session for the filter if it has none it can use. */
  open(): void {
    if (this.#spoiled) this.#drop()
    this.#session ??= this.filter.open(this.#open(this))
  }

  /** What this filter's session has not been told yet, oldest first. */
  *untold(connect: ConnectEvent | null, helo: HeloEvent | null): Generator<Omit<Ask<Verdict>, 'deadline'>> {
    if (!this.#toldConnect && connect !== null) {
      this.#toldConnect = true
      const event = this.part?.shown(connect) ?? connect
      yield { stage: 'connect', invoke: (session, signal) => session.connect(event, signal) }
    }
    if (!this.#toldHelo && helo !== null) {
      this.#toldHelo = true
      const event = this.part?.shown(helo) ?? helo
      yield { stage: 'helo', invoke: (session, signal) => session.helo(event, signal) }
    }
  }

  /** A new HELO has to be told even where an old one was. */
  forgetHelo(): void {
    this.#toldHelo = false
  }

  beginMessage(): void {
    this.spent = 0
    this.recipients = 0
    this.offered = false
    if (this.#said !== null) this.#said = { ...UNSAID, connection: this.#said.connection }
    if (this.#standing === 'idle') this.#standing = this.gate === null ? 'in' : 'waiting'
  }

  /** Its condition holds. */
  join(): void {
    if (this.#standing === 'waiting') this.#standing = 'in'
  }

  /** Whether it has taken the recipient that was asked; asks once. */
  takeOffer(): boolean {
    const offered = this.offered
    this.offered = false
    return offered
  }

  /** The next recipient is asked. */
  beginRecipient(): void {
    this.offered = false
    if (this.#said !== null) this.#said.recipient = null
  }

  /** Its worst word so far; at RCPT that of the recipient in question, else that of any recipient too. */
  said(atRecipient: boolean): Objection | null {
    if (this.#said === null) return null
    const { connection, message, recipient, recipients } = this.#said
    return worst(connection, worst(message, atRecipient ? recipient : recipients))
  }

  /** Remembers what it says, in observe mode too, for the conditions of filters after it. */
  heard(stage: Stage, { kind }: Verdict): void {
    if (kind === 'continue' || kind === 'accept') return
    this.#said ??= { ...UNSAID }
    const said = this.#said
    if (stage === 'connect' || stage === 'helo') said.connection = worst(said.connection, kind)
    else if (stage === 'rcpt') {
      said.recipient = kind
      said.recipients = worst(said.recipients, kind)
    } else if (stage !== 'unknown') said.message = worst(said.message, kind)
  }

  /** The filter's own verdict ended its part: in the connection when it came at connect or helo, else in the message. */
  finish(stage: Stage, verdict: Verdict): void {
    if (stage === 'connect' || stage === 'helo') {
      if (verdict.kind === 'accept') this.close()
    } else if (verdict.kind === 'accept' || (isFinal(verdict) && stage !== 'rcpt')) {
      this.#standing = 'done'
    }
  }

  /** Out for the rest of the message; what the policy says holds until the message is over. */
  fail(): Verdict {
    this.#standing = 'failed'
    this.#spoiled = true
    this.#failure = this.observed ? CONTINUE : failureVerdict(this.onFailure, this.name)
    return this.#failure
  }

  /** Ends a running call. */
  interrupt(reason: AbortReason): void {
    if (this.#call === null) return
    this.#call.interrupt(reason)
    this.#spoiled = true
    if (this.#standing !== 'off') this.#standing = 'failed'
  }

  /** The message is over for the whole chain. `reachedEnd`: this filter was given the whole message and answered. */
  endMessage(outcome: Outcome, reachedEnd: boolean): void {
    if (this.#session !== null && this.#sawMail) {
      if (!reachedEnd) this.#session.abort()
      this.#session.settled?.(outcome)
    }
    this.#sawMail = false
    this.#failure = null
    if (this.#spoiled) this.#drop()
    if (this.#standing !== 'off') this.#standing = 'idle'
  }

  /** No more part in this connection. */
  close(): void {
    this.#standing = 'off'
    this.#drop()
  }

  #drop(): void {
    this.#session?.close()
    this.#session = null
    this.#spoiled = false
    this.#sawMail = false
    this.#toldConnect = false
    this.#toldHelo = false
    if (this.#controller.signal.aborted) this.#controller = new AbortController()
  }
}

const WORSE: readonly (Objection | null)[] = [null, 'quarantine', 'tempfail', 'reject', 'discard']

const worst = (one: Objection | null, other: Objection | null): Objection | null =>
  WORSE.indexOf(one) >= WORSE.indexOf(other) ? one : other
