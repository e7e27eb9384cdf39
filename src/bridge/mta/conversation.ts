/**
 * The milter's part of one connection: packets in, calls of the session, answers out. No socket and no stream; time only as
 * the clock it is passed.
 *
 * What holds: one command at a time (`take` returns a promise while it is not answered, and is not called again before).
 * Every command that an MTA could wait for is answered, whatever its order; nothing is answered that it does not wait
 * for. A message that was refused or torn by disorder is never accepted afterwards. What is wrong with a packet is
 * answered with a temporary failure; at connect and helo, where that would stick, it is told at MAIL.
 */
import { HostError, hostError } from '../../host/errors.ts'
import type { AbortReason, MaybePromise } from '../../host/filter.ts'
import type { MtaKind } from '../../host/mta.ts'
import type { Settlement } from '../../host/session.ts'
import { Alarm } from '../../host/time/alarm.ts'
import type { Clock } from '../../host/time/clock.ts'
import { CONTINUE, tempfailWith, type Verdict } from '../../host/verdict.ts'
import {
  type Command,
  commandByte,
  commandKind,
  commandName,
  decodeCommand,
  encodeReply,
  headerFromWire,
  WireError,
} from '../wire/index.ts'
import { answerTo, isRefusal, PROGRESS } from './answer.ts'
import { Attachment } from './attachment.ts'
import { type Outlet, writeBatch } from './batch.ts'
import { levelClient, levelPath } from './level.ts'
import type { Negotiator } from './negotiate.ts'
import { CommandOrder, type OrderedCommand } from './order.ts'
import { refusedBefore } from './refused.ts'
import type { HostSession, SessionSource } from './source.ts'
import { progressEvery, sendProgress } from './waiting.ts'

/** What a conversation needs of the connection it is held over. */
export interface Line extends Outlet {
  /** The MTA said goodbye: close when all is written. */
  end(): void
  /** The stream makes no sense any more: close at once. */
  drop(error: HostError): void
  complain(error: HostError): void
}

export interface ConversationOptions {
  readonly source: SessionSource
  readonly clock: Clock
  readonly line: Line
  readonly negotiator: Negotiator
  /** Set when the postmaster says which MTA it is. */
  readonly mta: MtaKind | null
}

const GOING_DOWN = tempfailWith(421, '4.3.2', 'Service shutting down, try again later')
const FAULT = tempfailWith(451, '4.3.0', 'Mail filter error, try again later')
const DISORDER = tempfailWith(451, '4.3.0', 'Commands out of order, try again later')

const QUIT: AbortReason = { kind: 'client-left', detail: 'QUIT' }
const ABORT: AbortReason = { kind: 'mta-abort', detail: 'ABORT' }
const OUT_OF_ORDER: AbortReason = { kind: 'mta-abort', detail: 'a command out of order' }

/** Stands for the client of an MTA that names none. */
const NOBODY = { family: 'unknown', address: '', port: 0, hostname: 'unknown' } as const

export class Conversation {
  readonly #options: ConversationOptions
  readonly #line: Line
  readonly #patience: Alarm
  #attached: Attachment | null = null
  #order = new CommandOrder()
  /** What everything of the present message is answered: it was refused, or torn. */
  #spoiled: Verdict | null = null
  #draining = false
  #closed = false

  constructor(options: ConversationOptions) {
    this.#options = options
    this.#line = options.line
    this.#patience = new Alarm(options.clock)
  }

  get negotiated(): boolean {
    return this.#attached !== null
  }

  /** From the negotiation, or the first command after QUIT_NC, to the end of the SMTP connection. */
  get inSession(): boolean {
    return this.#attached !== null && !this.#attached.between
  }

  /** A message has begun and the MTA has not got its answer. */
  get inMessage(): boolean {
    return this.#order.inMessage
  }

  /** Takes one packet; the payload is only valid until it returns. A promise while the command is not yet answered. */
  take(letter: number, payload: Buffer): void | Promise<void> {
    if (this.#closed) return
    const attached = this.#attached
    if (attached === null) return this.#negotiate(letter, payload)
    switch (letter) {
      case commandByte.OPTNEG:
        // Once only, and without an answer, as libmilter.
        return
      case commandByte.MACRO:
        return this.#takeMacros(attached, payload)
      case commandByte.ABORT:
        return this.#abort(attached)
      case commandByte.QUIT:
        this.leave(QUIT)
        return this.#line.end()
      case commandByte.QUIT_NC:
        this.#order.restart()
        this.#spoiled = null
        return attached.startOver(QUIT)
    }
    const kind = commandKind(letter) as OrderedCommand | undefined
    if (kind === undefined) return this.#line.drop(hostError('MTA_PROTOCOL', `unknown command ${commandName(letter)}`))
    try {
      return this.#run(attached, kind, letter, payload)
    } catch (error) {
      this.#fault(attached, kind, error)
    }
  }

  /** The MTA is gone, or must be: what runs is aborted, nothing more is written. */
  leave(reason: AbortReason): void {
    if (this.#closed) return
    this.#closed = true
    this.#patience.close()
    this.#attached?.close(reason)
  }

  /** From now on CONNECT, HELO and MAIL are answered with 421, on which both MTAs end the SMTP connection. */
  drain(): void {
    this.#draining = true
  }

  /** Ends what is running with a spoken temporary failure. */
  interrupt(reason: AbortReason): void {
    this.#attached?.session?.interrupt(reason)
  }

  #negotiate(letter: number, payload: Buffer): void {
    try {
      if (letter !== commandByte.OPTNEG) throw hostError('MTA_JUNK', `${commandName(letter)} came first`)
      const offer = decodeCommand(letter, payload)
      if (offer.kind !== 'negotiate') return
      const attached = new Attachment(this.#options.source, offer, this.#options.mta, this.#options.negotiator)
      this.#attached = attached
      this.#order = new CommandOrder(attached.terms.unsent)
      this.#line.write(encodeReply({ kind: 'negotiate', ...attached.terms.answer }))
    } catch (error) {
      this.#line.drop(error instanceof WireError ? hostError('MTA_JUNK', error.message) : internal('OPTNEG', error))
    }
  }

  #takeMacros(attached: Attachment, payload: Buffer): void {
    try {
      attached.ready()
      attached.takeMacros(payload)
    } catch (error) {
      // Without its macros a command still has its meaning.
      this.#complain('MACRO', error)
    }
  }

  #abort({ session, macros }: Attachment): void {
    this.#order.endMessage()
    this.#spoiled = null
    session?.abort(ABORT)
    macros.endMessage()
  }

  #run(attached: Attachment, kind: OrderedCommand, letter: number, payload: Buffer): void | Promise<void> {
    attached.ready()
    const { run, ends } = this.#order.take(kind)
    if (ends) {
      this.#spoiled = DISORDER
      attached.session?.abort(OUT_OF_ORDER)
    }
    if (!run) return this.#ignore(attached, kind)
    const command = decodeCommand(letter, payload)
    attached.macros.arrive(kind)
    if (kind === 'connect' || kind === 'helo' || kind === 'mail') {
      this.#spoiled = null
      attached.macros.endMessage()
    }
    if (kind === 'connect') attached.connected()
    if (this.#draining && (kind === 'connect' || kind === 'helo' || kind === 'mail'))
      return this.#answered(kind, GOING_DOWN)
    if (kind === 'mail' && attached.refusal !== null) return this.#answered('mail', attached.refusal)
    if (attached.session === null) return this.#answered(kind, CONTINUE)
    if ((kind === 'helo' || kind === 'mail') && !attached.greeted)
      return this.#greet(attached, attached.session, command, kind)
    return this.#pass(attached, attached.session, command)
  }

  /** An MTA that sends no CONNECT: filters are told of a connection all the same, before anything else. */
  #greet(attached: Attachment, session: HostSession, command: Command, kind: OrderedCommand): void | Promise<void> {
    attached.connected()
    const greeting = session.connect(NOBODY)
    return this.#when(kind, greeting, () => (this.#closed ? undefined : this.#pass(attached, session, command)))
  }

  #pass(attached: Attachment, session: HostSession, command: Command): void | Promise<void> {
    switch (command.kind) {
      case 'connect':
        return this.#ask('connect', session.connect(levelClient(command)))
      case 'helo':
        return this.#ask('helo', session.helo(command.name))
      case 'mail':
        attached.beginMessage(session)
        return this.#ask('mail', session.mail(levelPath(command)))
      case 'rcpt': {
        const refused = attached.terms.refusedRecipients ? refusedBefore(session.macros) : null
        return this.#ask('rcpt', session.rcpt(levelPath(command), refused))
      }
      case 'data':
        return this.#ask('data', session.data())
      case 'header':
        session.header(command.name, headerFromWire(command.value, attached.terms.leadingSpace))
        return this.#answered('header', CONTINUE)
      case 'eoh':
        session.endOfHeaders()
        return this.#answered('eoh', CONTINUE)
      case 'body': {
        const stored = session.body(command.chunk)
        return this.#when('body', stored, () => this.#answered('body', CONTINUE))
      }
      case 'eom': {
        const stored = command.chunk.length > 0 ? session.body(command.chunk) : undefined
        return this.#when('eom', stored, () => this.#conclude(attached, session))
      }
      case 'unknown':
        return this.#ask('unknown', session.unknown(command.line))
    }
  }

  /** A command that means nothing where it stands. libmilter would leave the MTA waiting for its timeout. */
  #ignore({ refusal }: Attachment, kind: OrderedCommand): void {
    if ((kind === 'rcpt' || kind === 'data') && this.#spoiled === null) this.#spoiled = DISORDER
    // Content without an envelope comes from Postfix when another milter's failure put the mail on hold.
    this.#write(kind, kind === 'connect' ? CONTINUE : (this.#spoiled ?? refusal ?? CONTINUE))
  }

  #ask(kind: OrderedCommand, answer: MaybePromise<Verdict>): void | Promise<void> {
    if (answer instanceof Promise) this.#bePatient(kind)
    return this.#when(kind, answer, verdict => this.#answered(kind, verdict))
  }

  /** Goes on when the answer is there, in the same turn if it is there already. Rejects never: what goes wrong is answered. */
  #when<T>(
    kind: OrderedCommand,
    answer: MaybePromise<T>,
    goOn: (value: T) => void | Promise<void>,
  ): void | Promise<void> {
    if (!(answer instanceof Promise)) return goOn(answer)
    const fault = (error: unknown): void => this.#fault(this.#attached!, kind, error)
    return answer.then(value => {
      this.#patience.clear()
      try {
        return goOn(value)
      } catch (error) {
        return fault(error)
      }
    }, fault)
  }

  #answered(kind: OrderedCommand, verdict: Verdict): void {
    const whole = kind === 'mail' || kind === 'data'
    if (isRefusal(verdict) && (whole || (kind === 'rcpt' && verdict.kind === 'discard'))) {
      this.#order.endMessage()
      this.#spoiled = verdict
    } else if (kind === 'data' && verdict.kind === 'accept') this.#order.endMessage()
    this.#write(kind, verdict)
  }

  #conclude(attached: Attachment, session: HostSession): void | Promise<void> {
    const settlement = session.endOfMessage()
    if (settlement instanceof Promise) this.#bePatient('eom')
    return this.#when('eom', settlement, end => this.#settle(attached, end))
  }

  #settle(attached: Attachment, settlement: Settlement): void | Promise<void> {
    if (this.#closed) return
    attached.macros.endMessage()
    this.#spoiled = isRefusal(settlement.verdict) ? DISORDER : null
    const written = writeBatch(this.#line, settlement, attached.terms)
    return written?.catch(error => this.#fault(attached, 'eom', error))
  }

  /** Until the answer is there. */
  #bePatient(kind: OrderedCommand): void {
    const { mta, terms, progress } = this.#attached!
    const every = terms.silent.has(kind) ? null : progressEvery(kind, mta, progress)
    if (every === null) return
    sendProgress(every, this.#patience, () => {
      if (!this.#closed) this.#line.write(PROGRESS)
    })
  }

  #write(kind: OrderedCommand, verdict: Verdict): void {
    if (!this.#closed && !this.#attached!.terms.silent.has(kind)) this.#line.write(answerTo(kind, verdict))
  }

  /** Something in a command, or in us, that does not work. It is said in the protocol, and its message is not accepted. */
  #fault(attached: Attachment, kind: OrderedCommand, error: unknown): void {
    this.#patience.clear()
    if (this.#closed) return
    this.#complain(kind, error)
    const early = kind === 'connect' || kind === 'helo'
    this.#order.endMessage()
    attached.session?.abort(OUT_OF_ORDER)
    if (early) attached.refusal ??= FAULT
    else this.#spoiled = FAULT
    this.#write(kind, early || kind === 'unknown' ? CONTINUE : FAULT)
  }

  #complain(stage: string, error: unknown): void {
    this.#line.complain(error instanceof WireError ? hostError('MTA_PROTOCOL', error.message) : internal(stage, error))
  }
}

const internal = (stage: string, error: unknown): HostError =>
  error instanceof HostError
    ? error
    : hostError('MTA_INTERNAL', stage, error instanceof Error ? error.message : String(error))
