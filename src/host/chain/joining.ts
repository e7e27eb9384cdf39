/**
 * Filters that conditions choose: when each joins the conversation, what it is told then, and for whom its verdicts count.
 *
 * A filter is not contacted before its condition is decided. One that joins late is told what it has missed, in order: connect, helo,
 * mail, each recipient that wants it, data. What it refuses of that is spoken at the command that made it join. Its verdict
 * on the whole message counts as the entry's `mixed` says when only some of the recipients wanted it. The chain makes one of
 * these only if an entry has a condition.
 */
import { hostError } from '../errors.ts'
import type { ConnectEvent, DataEvent, MailEvent, Path, RcptEvent, Stage } from '../events.ts'
import type { AbortReason } from '../filter.ts'
import { bare, type Macros } from '../macros.ts'
import type { MessageSnapshot } from '../message/snapshot.ts'
import type { Decided, Finding } from '../policy/evaluate.ts'
import { type FactStage, KnownFacts, type Objection, type Recipient } from '../policy/facts.ts'
import type { Occasion } from '../policy/participation.ts'
import type { ResultStore } from '../results.ts'
import { DISCARD, tempfailWith, type Verdict } from '../verdict.ts'
import type { Deadline } from './budget.ts'
import type { Decision } from './chain.ts'
import { Failure, failureVerdict } from './failure.ts'
import type { Ask, Member, Wait } from './member.ts'

/** What joining needs of the chain. */
export interface JoiningChain {
  readonly members: readonly Member[]
  /** Asks, reports, and gives the decision when the answer ends the command. */
  ask(member: Member, ask: Ask<Verdict>): Promise<Decision | null>
  /** Opens the member's session and tells it connect and helo. */
  introduce(member: Member, deadline: Deadline, at: Stage): Promise<Decision | null>
  /** Reports a failure; `whole`: it is one for the rest of the message, or to be told at MAIL. */
  failed(member: Member, stage: Stage, failure: Failure, whole: boolean): void
  /** The verdict that ends what is going on, after an interruption. */
  decided(member: Member, stage: Stage, recipient: Path | null, finding: Decided): void
  /** What an earlier failure of the member means now. */
  standing(member: Member): Decision | null
  interruption(): Verdict | null
  quarantine(reason: string): void
  /** Monotonic milliseconds. */
  now(): number
}

interface Accepted {
  readonly recipient: Recipient
  readonly event: RcptEvent
}

/** In other words than a limit's, so that a log tells them apart. */
const APART = tempfailWith(451, '4.5.3', 'This recipient needs a message of its own, please send it separately')

export class Joining {
  readonly #chain: JoiningChain
  readonly #known: KnownFacts
  readonly #accepted: Accepted[] = []
  readonly #dropped = new Set<Recipient>()
  #mail: MailEvent | null = null
  #data: DataEvent | null = null
  #deciding: AbortController | null = null
  /** What a member that joined late said to connect, helo or mail: for every recipient that wants it. */
  readonly #refusals = new Map<Member, Decision>()
  /** Members whose condition failed before there was a recipient: that was told, or let pass, for the whole message. */
  readonly #undecidable = new Set<Member>()
  /** The member whose condition is being found out. */
  wait: Wait | null = null
  #lastDrop: Decision | null = null
  readonly #holds = new Map<Member, string>()
  /** Recipients, and whether DATA, each member has been told of. */
  readonly #told = new Map<Member, { readonly recipients: Set<Recipient>; data: boolean }>()

  constructor(chain: JoiningChain, macros: Macros, results: ResultStore) {
    this.#chain = chain
    this.#known = new KnownFacts(macros, results)
  }

  get known(): KnownFacts {
    return this.#known
  }

  /** Something is to be done to the message at its end: recipients taken off, or a quarantine that is not settled. */
  get isPending(): boolean {
    return this.#dropped.size > 0 || this.#holds.size > 0
  }

  connect({ client }: ConnectEvent): void {
    this.#known.connect(client)
    this.#renew('connect')
  }

  helo(name: string): void {
    this.#known.helo = name
    this.#renew('helo')
  }

  mail(event: MailEvent): void {
    this.#mail = event
    this.#data = null
    this.#accepted.length = 0
    this.#dropped.clear()
    this.#lastDrop = null
    this.#holds.clear()
    this.#refusals.clear()
    for (const member of this.#undecidable) if (member.failure === null) this.#undecidable.delete(member)
    this.#told.clear()
    this.#known.mail(event.sender)
    this.#renew('mail')
  }

  data(event: DataEvent): void {
    this.#data = event
  }

  content(message: MessageSnapshot): void {
    this.#known.content(message)
  }

  interrupt(reason: AbortReason): void {
    this.#deciding?.abort(reason)
  }

  /** At connect, helo and mail: `true` when the member is chosen and may be told. */
  async admits(member: Member, stage: 'connect' | 'helo' | 'mail', deadline: Deadline): Promise<boolean | Decision> {
    const found = await this.#decide(member, stage, null, deadline)
    if ('verdict' in found) return found
    if (found.value === 'failed') {
      this.#undecidable.add(member)
      this.#chain.failed(member, stage, conditionFailure(member, found.error), true)
    }
    if (found.value !== true) return false
    member.join()
    return true
  }

  /** One recipient of one member; the recipient is `current` until the chain has accepted it. */
  async rcpt(member: Member, recipient: Recipient, event: RcptEvent, deadline: Deadline): Promise<Decision | null> {
    const part = member.part!
    if (this.#undecidable.has(member)) return null
    const found = await this.#decide(member, 'rcpt', recipient, deadline)
    if ('verdict' in found) return found
    part.current = found
    if (found.value === 'failed') return this.#recipientFailed(member, found.error)
    if (part.differs(found)) return { verdict: APART, by: member.name }
    // Whether every recipient wants it is known when there are no more of them.
    if (found.value !== true || (part.gate.recipients === 'all' && part.settled === null)) return null
    if (member.failure !== null) return this.#chain.standing(member)
    const decision =
      (await this.#join(member, deadline, 'rcpt')) ?? (await this.#tellRecipient(member, recipient, event, deadline))
    if (decision?.verdict.kind !== 'discard' || part.gate.mixed === 'apply' || part.settled !== null) return decision
    // Said 250 and dropped, this recipient alone.
    part.current = REFUSED
    if (part.gate.mixed === 'quarantine') this.#chain.quarantine(mixedReason(member))
    else this.#drop([recipient], decision)
    return null
  }

  accept(recipient: Recipient, event: RcptEvent): void {
    this.#known.recipients = [...this.#known.recipients, recipient]
    this.#accepted.push({ recipient, event: recorded(event) })
    for (const { part } of this.#chain.members) part?.accept(recipient)
  }

  /** Before DATA and the message: decides what can be decided now and tells the member what it has missed. */
  async catchUp(member: Member, stage: 'data' | 'message', deadline: Deadline): Promise<Decision | null> {
    const part = member.part!
    if (member.isOff || member.failure !== null) return null
    for (const recipient of part.open) {
      const found = await this.#decide(member, stage, recipient, deadline)
      if ('verdict' in found) return found
      if (found.value === 'failed') {
        this.#chain.failed(member, stage, conditionFailure(member, found.error), true)
        return null
      }
      part.found.set(recipient, found)
    }
    // A member that may have to be told of another recipient must not have heard DATA.
    if (part.open.length > 0 || this.wantedBy(member).length === 0) return null
    await part.setMacros(this.#occasion(member, stage, null, deadline))
    return this.#tellMissed(member, stage, deadline)
  }

  /** Accepted recipients that want this member and are still recipients. */
  wantedBy(member: Member): readonly Recipient[] {
    return member.part!.wanted.filter(recipient => !this.#dropped.has(recipient))
  }

  /** Those for whom a failure of this member matters: they want it, or it is not known. */
  concernedBy(member: Member): readonly Recipient[] {
    const found = [...member.part!.found].flatMap(([recipient, { value }]) => (value === false ? [] : [recipient]))
    return found.filter(recipient => !this.#dropped.has(recipient))
  }

  /** The message as this member is to see it: without the recipients that do not want it. */
  shownTo(member: Member, message: MessageSnapshot): MessageSnapshot {
    if (member.part === null) return message
    const wanted = new Set(this.wantedBy(member).map(({ path }) => path.raw))
    const others = new Set(this.#remaining().flatMap(({ path: { raw } }) => (wanted.has(raw) ? [] : [raw])))
    if (others.size === 0) return message
    return { ...message, recipients: message.recipients.filter(({ raw }) => !others.has(raw)) }
  }

  /** The message without the recipients that were dropped. */
  withoutDropped(message: MessageSnapshot): MessageSnapshot {
    const dropped = new Set([...this.#dropped].map(({ path }) => path.raw))
    return { ...message, recipients: message.recipients.filter(({ raw }) => !dropped.has(raw)) }
  }

  /**
   * What a decision about the whole message comes to when only some recipients wanted the filter. A temporary failure always is for
   * all: there is nobody who would try again for one of them.
   */
  concerning(member: Member, decision: Decision, concerned: readonly Recipient[]): Decision | null {
    const mixed = member.part?.gate.mixed ?? 'apply'
    const { verdict } = decision
    if (this.#chain.interruption() !== null) return decision
    if (concerned.length === 0) return null
    if (mixed === 'apply' || verdict.kind === 'tempfail' || concerned.length >= this.#remaining().length)
      return decision
    if (mixed === 'quarantine') this.#chain.quarantine(mixedReason(member))
    else this.#drop(concerned, decision)
    return null
  }

  /** Every recipient was dropped, each by some filter: what the last of them said. */
  nobodyLeft(): Decision | null {
    return this.#accepted.length > 0 && this.#remaining().length === 0 ? this.#lastDrop : null
  }

  /** A quarantine, under the same rule: before the end nobody knows for how many of the recipients it is. */
  hold(member: Member, stage: Stage, reason: string): void {
    if (member.part!.gate.mixed !== 'drop-recipients') this.#chain.quarantine(reason)
    else if (stage === 'message') this.#settleHold(member, reason)
    else this.#holds.set(member, reason)
  }

  /** All recipients are known, and what became of them. */
  settleHolds(): void {
    for (const [member, reason] of this.#holds) this.#settleHold(member, reason)
  }

  #settleHold(member: Member, reason: string): void {
    this.#holds.delete(member)
    const concerned = this.wantedBy(member)
    if (concerned.length >= this.#remaining().length) this.#chain.quarantine(reason)
    else this.#drop(concerned, { verdict: DISCARD, by: member.name })
  }

  #drop(recipients: readonly Recipient[], decision: Decision): void {
    for (const recipient of recipients) this.#dropped.add(recipient)
    this.#lastDrop = decision
  }

  #remaining(): readonly Recipient[] {
    return this.#accepted.flatMap(({ recipient }) => (this.#dropped.has(recipient) ? [] : [recipient]))
  }

  #renew(stage: 'connect' | 'helo' | 'mail'): void {
    for (const { part } of this.#chain.members) part?.renew(stage)
  }

  /** Opens what is missing of the connection and the sender. */
  async #join(member: Member, deadline: Deadline, at: Stage): Promise<Decision | null> {
    const before = this.#refusals.get(member)
    if (before !== undefined) return before
    if (member.isOff || member.failure !== null || !member.isWaiting) return null
    if (member.refusal !== null) return { verdict: member.refusal, by: member.name }
    member.join()
    const decision = (await this.#chain.introduce(member, deadline, at)) ?? (await this.#tellMail(member, deadline))
    if (decision !== null) this.#refusals.set(member, decision)
    return decision
  }

  async #tellMail(member: Member, deadline: Deadline): Promise<Decision | null> {
    if (!member.inMessage) return null
    const event = member.part!.shown(this.#mail!)
    return this.#chain.ask(member, {
      stage: 'mail',
      deadline,
      invoke: (session, signal) => session.mail(event, signal),
    })
  }

  async #tellRecipient(
    member: Member,
    recipient: Recipient,
    event: RcptEvent,
    deadline: Deadline,
  ): Promise<Decision | null> {
    if (!member.inMessage) return null
    this.#toldOf(member).recipients.add(recipient)
    const options = member.part!.gate.options.get(recipient.address)
    const shown = member.part!.shown(options === undefined ? event : { ...event, options })
    member.takeOffer()
    const decision = await this.#chain.ask(member, {
      stage: 'rcpt',
      deadline,
      invoke: (session, signal) => session.rcpt(shown, signal),
    })
    // In observe mode a refusal keeps the filter from the recipient and not the recipient from the message.
    if (!member.offered && member.inMessage && decision === null) member.part!.current = REFUSED
    return decision
  }

  async #tellMissed(member: Member, stage: 'data' | 'message', deadline: Deadline): Promise<Decision | null> {
    const joined = await this.#join(member, deadline, stage)
    if (joined !== null) return this.concerning(member, joined, this.wantedBy(member))
    const refused: Recipient[] = []
    let last: Decision | null = null
    const wanted = new Set(this.wantedBy(member))
    for (const { recipient, event } of this.#accepted) {
      if (!wanted.has(recipient) || this.#toldOf(member).recipients.has(recipient)) continue
      const decision = await this.#tellRecipient(member, recipient, event, deadline)
      const { current } = member.part!
      member.part!.current = null
      if (current === REFUSED) member.part!.found.set(recipient, REFUSED)
      if (decision === null) {
        if (member.takeOffer()) member.recipients++
        if (!member.inMessage) break
        continue
      }
      if (decision.verdict.kind === 'tempfail' || this.#chain.interruption() !== null) return decision
      member.part!.found.set(recipient, REFUSED)
      refused.push(recipient)
      last = decision
    }
    if (last !== null) {
      const decision = this.concerning(member, last, refused)
      if (decision !== null) return decision
    }
    return stage === 'message' && this.#data !== null ? this.#tellData(member, deadline) : null
  }

  /** DATA, for those who were not ready for it at its time. */
  async #tellData(member: Member, deadline: Deadline): Promise<Decision | null> {
    if (!member.inMessage || member.recipients === 0 || this.#toldOf(member).data) return null
    const decision = await this.tellData(member, deadline)
    return decision === null ? null : this.concerning(member, decision, this.wantedBy(member))
  }

  tellData(member: Member, deadline: Deadline): Promise<Decision | null> {
    this.#toldOf(member).data = true
    const wanted = new Set(this.wantedBy(member).map(({ path }) => path))
    const recipients = this.#data!.recipients.filter(path => [...wanted].some(({ raw }) => raw === path.raw))
    const event = member.part!.shown({ ...this.#data!, recipients })
    return this.#chain.ask(member, {
      stage: 'data',
      deadline,
      invoke: (session, signal) => session.data(event, signal),
    })
  }

  /** The condition could not be decided for this recipient: `onFailure`, for it alone. */
  #recipientFailed(member: Member, error: string): Decision | null {
    this.#chain.failed(member, 'rcpt', conditionFailure(member, error), false)
    const verdict = member.observed ? null : failureVerdict(member.onFailure, member.name)
    if (verdict?.kind === 'quarantine') this.#chain.quarantine(verdict.reason)
    return verdict?.kind === 'tempfail' || verdict?.kind === 'reject' ? { verdict, by: member.name } : null
  }

  async #decide(
    member: Member,
    stage: FactStage,
    recipient: Recipient | null,
    deadline: Deadline,
  ): Promise<Finding | Decision> {
    const part = member.part!
    const occasion = this.#occasion(member, stage, recipient, deadline)
    const isNew = part.settled === null
    const decided = part.decide(occasion)
    if (decided instanceof Promise)
      this.wait = { filter: member.name, stage: `condition at ${stage}`, held: false, since: this.#chain.now() }
    const found = decided instanceof Promise ? await decided : decided
    this.wait = null
    if (isNew && found.value !== null)
      this.#chain.decided(member, stage, found.perRecipient ? (recipient?.path ?? null) : null, found)
    if (found.value === true && part.gate.rules.length > 0) await part.setMacros(occasion)
    this.#deciding = null
    const interruption = this.#chain.interruption()
    return interruption === null ? found : { verdict: interruption, by: null }
  }

  #occasion(member: Member, stage: FactStage, recipient: Recipient | null, deadline: Deadline): Occasion {
    this.#deciding = new AbortController()
    return {
      stage,
      recipient,
      signal: this.#deciding.signal,
      left: () => deadline.left(),
      verdictOf: filter => this.#verdictOf(member, filter, stage),
    }
  }

  /** What a filter before this one said; one after it has not spoken yet. */
  #verdictOf(member: Member, filter: string, stage: FactStage): Objection | null {
    for (const other of this.#chain.members) {
      if (other === member) return null
      if (other.name === filter) return other.said(stage === 'rcpt')
    }
    return null
  }

  #toldOf(member: Member): { readonly recipients: Set<Recipient>; data: boolean } {
    let told = this.#told.get(member)
    if (told === undefined) {
      told = { recipients: new Set(), data: false }
      this.#told.set(member, told)
    }
    return told
  }
}

const REFUSED: Finding = { value: false, since: 0, perRecipient: true, by: [] }

const mixedReason = (member: Member): string => `${member.name} refused it for some of its recipients`

function conditionFailure(member: Member, what: string): Failure {
  const { code, message } = hostError('CONDITION_FAILED', member.name, what)
  return new Failure(code, message)
}

/** The event with the macros of its time: the MTA's next recipient replaces them. */
function recorded(event: RcptEvent): RcptEvent {
  const { macros } = event
  const then = macros.at('rcpt')
  return {
    ...event,
    macros: {
      get: name => then.get(bare(name)) ?? macros.get(name),
      at: stage => (stage === 'rcpt' ? then : macros.at(stage)),
    },
  }
}
