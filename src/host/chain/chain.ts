/**
 * The ordered chain of one SMTP connection: whom to ask, in which order, and what the answers come to.
 *
 * Filters run in the order written. The first negative verdict ends the command and later filters do not see it; `accept` ends one
 * filter's interest and never another's; each filter is given the message as those before it left it. A failure is its
 * filter's `onFailure` and nobody else's. The chain never asks what stands behind a filter.
 *
 * `Session` calls it, one command at a time; only `interrupt` and `close` come in between.
 */
import type { BudgetSettings } from '../config/settings.ts'
import { hostError } from '../errors.ts'
import type {
  ConnectEvent,
  DataEvent,
  HeloEvent,
  MailEvent,
  MessageEvent,
  Path,
  RcptEvent,
  Stage,
  UnknownEvent,
} from '../events.ts'
import type { AbortReason, FilterSession, MaybePromise, MessageAnswer, Outcome } from '../filter.ts'
import type { Macros } from '../macros.ts'
import { applyEdits } from '../message/apply.ts'
import type { Edit } from '../message/edit.ts'
import type { MessageSnapshot } from '../message/snapshot.ts'
import type { MtaKind } from '../mta.ts'
import type { Decided } from '../policy/evaluate.ts'
import { recipientOf } from '../policy/facts.ts'
import { Participation } from '../policy/participation.ts'
import type { ResultStore } from '../results.ts'
import type { Clock } from '../time/clock.ts'
import { CONTINUE, tempfailWith, type Verdict } from '../verdict.ts'
import { type Deadline, deadlineFor } from './budget.ts'
import { Failure } from './failure.ts'
import { Joining } from './joining.ts'
import type { Member, Wait } from './member.ts'

/** What the chain says, and the filter that decided it; `null` when none objected. */
export interface Decision {
  readonly verdict: Verdict
  readonly by: string | null
}

/** The decision on a whole message, and the message as the chain leaves it. */
export interface MessageDecision extends Decision {
  readonly message: MessageSnapshot
  readonly quarantine: string | null
}

/** Tells what the members did; the session adds who and where. */
export interface ChainReport {
  answered(member: Member, stage: Stage, verdict: Verdict, edits: readonly Edit[], milliseconds: number): void
  failed(member: Member, stage: Stage, failure: Failure, milliseconds: number): void
  refused(member: Member, stage: Stage, detail: string): void
  /** It is known whether the member takes part; `recipient` is `null` where that does not depend on one. */
  decided(member: Member, stage: Stage, recipient: Path | null, finding: Decided): void
  /** A condition failed; `used` is the answer the configuration gives for that case, if it does. */
  undecided(member: Member, condition: string, detail: string, used: boolean | null): void
}

/** Who cares that the client waits. */
export interface Waiting {
  begin(): void
  end(): void
}

export interface ChainOptions {
  readonly members: readonly Member[]
  readonly clock: Clock
  readonly budget: BudgetSettings
  readonly editLimit: number
  readonly report: ChainReport
  /** What conditions look at. */
  readonly macros: Macros
  readonly results: ResultStore
  /** Told around every answer that is not there at once. */
  readonly waiting: Waiting | null
  mta(): MtaKind
}

const NO_OBJECTION: Decision = { verdict: CONTINUE, by: null }
const SHUTTING_DOWN = tempfailWith(451, '4.3.2', 'Service shutting down - try again later')
const UNAVAILABLE = tempfailWith(451, '4.7.1', 'Service unavailable - try again later')

export class Chain {
  readonly #options: ChainOptions
  readonly #members: readonly Member[]
  #connect: ConnectEvent | null = null
  #helo: HeloEvent | null = null
  #running: Member | null = null
  #interruption: Verdict | null = null
  #quarantine: string | null = null
  /** Filters that were given the whole message and answered; `null` for none. */
  #reachedEnd: Set<Member> | null = null
  /** `null` when every filter is for all mail. */
  readonly #joining: Joining | null

  constructor(options: ChainOptions) {
    this.#options = options
    this.#members = options.members
    this.#joining = this.#members.some(({ gate }) => gate !== null) ? this.#choosing() : null
  }

  /** Somebody still wants the content of this message. */
  get wantsContent(): boolean {
    if (this.#quarantine !== null || this.#joining?.isPending === true) return true
    return this.#members.some(
      member =>
        this.#hasRecipients(member) || (member.part?.open.length ?? 0) > 0 || isNegative(this.#failureOf(member)),
    )
  }

  connect(event: ConnectEvent): Promise<Decision> {
    this.#connect = event
    this.#joining?.connect(event)
    return this.#greet('connect')
  }

  helo(event: HeloEvent): Promise<Decision> {
    this.#helo = event
    this.#joining?.helo(event.name)
    for (const member of this.#members) member.forgetHelo()
    return this.#greet('helo')
  }

  async mail(event: MailEvent): Promise<Decision> {
    const deadline = this.#deadline('mail')
    this.#quarantine = null
    this.#reachedEnd = null
    this.#joining?.mail(event)
    for (const member of this.#members) member.beginMessage()
    for (const member of this.#members) {
      const failure = this.#standingFailure(member)
      if (failure !== null) return failure
      if (member.isOff || member.failure !== null) continue
      if (member.part !== null) {
        const admitted = await this.#joining!.admits(member, 'mail', deadline)
        const refusal = typeof admitted === 'boolean' ? this.#standingFailure(member) : admitted
        if (refusal !== null) return refusal
        if (!admitted) continue
        if (member.refusal !== null) return { verdict: member.refusal, by: member.name }
      }
      const told = member.part?.shown(event) ?? event
      const decision =
        (await this.#introduce(member, deadline, 'mail')) ??
        (member.inMessage
          ? await this.#ask(member, 'mail', deadline, (session, signal) => session.mail(told, signal))
          : null)
      if (decision !== null) return decision
    }
    return NO_OBJECTION
  }

  async rcpt(event: RcptEvent): Promise<Decision> {
    if (event.refused !== null) return this.#tellRefusedRecipient(event)
    const deadline = this.#deadline('rcpt')
    const recipient = this.#joining === null ? null : recipientOf(event.recipient)
    for (const member of this.#members) member.beginRecipient()
    for (const member of this.#members) {
      const decision =
        member.part === null
          ? (this.#standingFailure(member) ??
            (member.inMessage
              ? await this.#ask(member, 'rcpt', deadline, (session, signal) => session.rcpt(event, signal))
              : null))
          : await this.#joining!.rcpt(member, recipient!, event, deadline)
      if (decision !== null) return decision
    }
    for (const member of this.#members) if (member.takeOffer()) member.recipients++
    if (recipient !== null) this.#joining!.accept(recipient, event)
    return NO_OBJECTION
  }

  async data(event: DataEvent): Promise<Decision> {
    const deadline = this.#deadline('data')
    this.#joining?.data(event)
    for (const member of this.#members) {
      const decision =
        member.part === null
          ? (this.#standingFailure(member) ??
            (this.#hasRecipients(member)
              ? await this.#ask(member, 'data', deadline, (session, signal) => session.data(event, signal))
              : null))
          : await this.#dataOf(member, deadline)
      if (decision !== null) return decision
    }
    return NO_OBJECTION
  }

  async message(snapshot: MessageSnapshot, event: Omit<MessageEvent, 'message'>): Promise<MessageDecision> {
    const deadline = this.#deadline('message')
    let message = snapshot
    const decided = (decision: Decision): MessageDecision => ({ ...decision, message, quarantine: this.#quarantine })
    for (const member of this.#members) {
      if (this.#joining !== null) message = this.#joining.withoutDropped(message)
      if (member.part !== null) {
        this.#joining!.content(message)
        const refusal = await this.#joining!.catchUp(member, 'message', deadline)
        if (refusal !== null) return decided(refusal)
      }
      const failure = this.#concernedFailure(member)
      if (failure !== null) return decided(failure)
      if (!this.#hasRecipients(member)) continue
      const shown = this.#joining?.shownTo(member, message) ?? message
      const told = member.part?.shown(event) ?? event
      let edits: readonly Edit[] = []
      const decision = await this.#ask(
        member,
        'message',
        deadline,
        async (session, signal) => {
          const answer = await session.message({ ...told, message: shown }, signal)
          edits = this.#checkEdits(member, answer)
          return answer.verdict
        },
        () => edits,
      )
      const objection = this.#concerning(member, decision)
      if (objection !== null) return decided(objection)
      if (decision !== null || member.failure !== null) continue
      if (member.observed || edits.length === 0) continue
      const applied = applyEdits(message, edits, member.filter.headerRules)
      message = applied.message
      if (applied.quarantine !== null) this.#hold(member, 'message', applied.quarantine)
    }
    this.#joining?.settleHolds()
    const nobody = this.#joining?.nobodyLeft() ?? null
    if (nobody !== null) return decided(nobody)
    if (this.#joining !== null) message = this.#joining.withoutDropped(message)
    return decided(NO_OBJECTION)
  }

  async unknown(event: UnknownEvent): Promise<Decision> {
    const deadline = this.#deadline('unknown')
    for (const member of this.#members) {
      if (!member.isOpen) continue
      const decision = await this.#ask(member, 'unknown', deadline, (session, signal) => session.unknown(event, signal))
      if (decision !== null) return decision
    }
    return NO_OBJECTION
  }

  /** Tells every filter that saw the message how it ended. */
  endMessage(outcome: Outcome): void {
    for (const member of this.#members) member.endMessage(outcome, this.#reachedEnd?.has(member) ?? false)
    this.#reachedEnd = null
  }

  /** The filter that is being waited for. */
  get awaited(): string | null {
    return this.#running?.name ?? null
  }

  /** The filter that is being waited for, or whose condition is, and since when. */
  get wait(): Wait | null {
    return this.#running?.wait ?? this.#joining?.wait ?? null
  }

  /** Ends what runs now; the pending promise gives this verdict. */
  interrupt(reason: AbortReason, verdict: Verdict = reason.kind === 'shutdown' ? SHUTTING_DOWN : UNAVAILABLE): void {
    this.#interruption = verdict
    this.#running?.interrupt(reason)
    this.#joining?.interrupt(reason)
  }

  close(): void {
    for (const member of this.#members) member.close()
  }

  async #greet(stage: 'connect' | 'helo'): Promise<Decision> {
    const deadline = this.#deadline(stage)
    for (const member of this.#members) {
      if (member.isOff || member.failure !== null) continue
      if (member.part !== null) {
        const admitted = await this.#joining!.admits(member, stage, deadline)
        if (typeof admitted !== 'boolean') return admitted
        if (!admitted) continue
      }
      const decision = await this.#introduce(member, deadline, stage)
      if (decision !== null) return decision
    }
    return NO_OBJECTION
  }

  /** Opens the member's session and tells it what it has not heard of the connection. */
  async #introduce(member: Member, deadline: Deadline, at: Stage): Promise<Decision | null> {
    member.open()
    for (const { stage, invoke } of member.untold(this.#connect, this.#helo)) {
      const decision = await this.#ask(member, stage, deadline, invoke)
      if (decision !== null) return decision
      // At connect and helo a failure waits for MAIL; of a filter that joins later it is told now.
      if (member.failure !== null) return at === 'connect' || at === 'helo' ? null : this.#standingFailure(member)
      if (member.isOff) return null
    }
    return null
  }

  async #tellRefusedRecipient(event: RcptEvent): Promise<Decision> {
    const deadline = this.#deadline('rcpt')
    for (const member of this.#members) {
      if (!member.inMessage || member.filter.needs()?.refusedRecipients !== true) continue
      await this.#ask(member, 'rcpt', deadline, async (session, signal) => {
        await session.rcpt(event, signal)
        return CONTINUE
      })
    }
    return NO_OBJECTION
  }

  async #ask(
    member: Member,
    stage: Stage,
    deadline: Deadline,
    invoke: (session: FilterSession, signal: AbortSignal) => MaybePromise<Verdict>,
    edits: () => readonly Edit[] = () => [],
  ): Promise<Decision | null> {
    if (this.#interruption !== null) return { verdict: this.#interruption, by: null }
    const before = member.spent
    this.#running = member
    const asked = member.ask({ stage, deadline, invoke })
    let result: Verdict | Failure
    if (asked instanceof Promise) {
      // Never rejects.
      this.#options.waiting?.begin()
      result = await asked
      this.#options.waiting?.end()
    } else result = asked
    this.#running = null
    const milliseconds = member.spent - before
    if (result instanceof Failure) return this.#onFailure(member, stage, result, milliseconds)
    return this.#onVerdict(member, stage, result, edits(), milliseconds)
  }

  #onFailure(member: Member, stage: Stage, failure: Failure, milliseconds: number): Decision | null {
    if (failure.interrupted) return this.#interruption === null ? null : { verdict: this.#interruption, by: null }
    this.#options.report.failed(member, stage, failure, milliseconds)
    member.fail()
    return stage === 'connect' || stage === 'helo' || stage === 'unknown' ? null : this.#standingFailure(member)
  }

  #onVerdict(
    member: Member,
    stage: Stage,
    verdict: Verdict,
    edits: readonly Edit[],
    milliseconds: number,
  ): Decision | null {
    this.#options.report.answered(member, stage, verdict, edits, milliseconds)
    member.finish(stage, verdict)
    if (stage === 'message') {
      this.#reachedEnd ??= new Set()
      this.#reachedEnd.add(member)
    }
    const refused = verdict.kind === 'reject' || verdict.kind === 'tempfail'
    member.heard(stage, verdict)
    if (stage === 'rcpt' && !refused) member.offered = true
    if (refused && (stage === 'connect' || stage === 'helo') && !member.observed) member.refusal = verdict
    if (member.observed || verdict.kind === 'continue' || verdict.kind === 'accept') return null
    if (refused) return { verdict, by: member.name }
    if (stage === 'connect' || stage === 'helo' || stage === 'unknown') {
      this.#options.report.refused(member, stage, `${verdict.kind} means nothing outside a message`)
      return null
    }
    if (verdict.kind === 'discard') return { verdict, by: member.name }
    this.#hold(member, stage, verdict.reason)
    return null
  }

  /** Quarantine of the whole message, unless it is for some recipients only and they are dropped instead. */
  #hold(member: Member, stage: Stage, reason: string): void {
    if (member.part === null) this.#quarantine = reason
    else this.#joining!.hold(member, stage, reason)
  }

  /** DATA for a filter with a condition: it may join only now. */
  async #dataOf(member: Member, deadline: Deadline): Promise<Decision | null> {
    const joining = this.#joining!
    const refusal = (await joining.catchUp(member, 'data', deadline)) ?? this.#concernedFailure(member)
    if (refusal !== null || !this.#hasRecipients(member) || member.part!.open.length > 0) return refusal
    return this.#concerning(member, await joining.tellData(member, deadline))
  }

  /** What a member's decision about the whole message comes to when it is not there for all of its recipients. */
  #concerning(member: Member, decision: Decision | null): Decision | null {
    if (decision === null || member.part === null) return decision
    return this.#joining!.concerning(member, decision, this.#joining!.concernedBy(member))
  }

  /** An earlier failure of a member, where it matters to a recipient. */
  #concernedFailure(member: Member): Decision | null {
    return this.#failureOf(member) === null ? null : this.#concerning(member, this.#standingFailure(member))
  }

  #failureOf(member: Member): Verdict | null {
    const matters = member.part === null || this.#joining!.concernedBy(member).length > 0
    return matters ? member.failure : null
  }

  #choosing(): Joining {
    const { clock, report, macros, results } = this.#options
    const joining = new Joining(
      {
        members: this.#members,
        ask: (member, { stage, deadline, invoke }) => this.#ask(member, stage, deadline, invoke),
        introduce: (member, deadline, at) => this.#introduce(member, deadline, at),
        standing: member => this.#standingFailure(member),
        failed: (member, stage, failure, whole) => {
          report.failed(member, stage, failure, 0)
          if (whole) member.fail()
        },
        decided: (member, stage, recipient, finding) => report.decided(member, stage, recipient, finding),
        interruption: () => this.#interruption,
        quarantine: reason => {
          this.#quarantine = reason
        },
        now: () => clock.monotonic(),
      },
      macros,
      results,
    )
    for (const member of this.#members) {
      if (member.gate === null) continue
      member.part = new Participation(member.gate, joining.known, clock, (condition, detail, used) =>
        report.undecided(member, condition, detail, used),
      )
    }
    return joining
  }

  /** What an earlier failure of this member means now. */
  #standingFailure(member: Member): Decision | null {
    const verdict = member.failure
    if (verdict === null) return null
    if (verdict.kind === 'quarantine') this.#quarantine = verdict.reason
    return isNegative(verdict) ? { verdict, by: member.name } : null
  }

  #hasRecipients(member: Member): boolean {
    return member.inMessage && member.recipients > 0
  }

  #checkEdits(member: Member, answer: MessageAnswer): readonly Edit[] {
    if (answer.edits.length > this.#options.editLimit)
      throw hostError('LIMIT_EDITS', member.name, this.#options.editLimit)
    return answer.edits
  }

  #deadline(stage: Stage): Deadline {
    this.#interruption = null
    return deadlineFor(this.#options.clock, this.#options.budget, this.#options.mta(), stage)
  }
}

const isNegative = (verdict: Verdict | null): boolean => verdict?.kind === 'reject' || verdict?.kind === 'tempfail'
