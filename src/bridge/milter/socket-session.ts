/**
 * One external milter's part in one SMTP connection: the `FilterSession` of a socket.
 *
 * It connects at the first event the milter is known to want, and tells it then what came before (connect, helo). It sends only
 * what libmilter answers in the state it is in, since libmilter leaves everything else without any reply: no content
 * or DATA without a recipient, no unknown command between the last recipient and the content, nothing after an answer that
 * ends the milter's part, ABORT only for what was begun. There is no reconnecting within a message: a failure rejects
 * and the chain decides. Between messages a connection that went away is opened anew.
 */
import { hostError } from '../../host/errors.ts'
import type {
  ConnectEvent,
  DataEvent,
  HeloEvent,
  MailEvent,
  MessageEvent,
  RcptEvent,
  UnknownEvent,
} from '../../host/events.ts'
import type {
  AbortReason,
  FilterContext,
  FilterSession,
  Interest,
  MaybePromise,
  MessageAnswer,
  Needs,
} from '../../host/filter.ts'
import type { MacroStage, Macros } from '../../host/macros.ts'
import { CONTINUE, type Verdict } from '../../host/verdict.ts'
import { type Command, encodeCommand, PacketWriter, type Reply, writeCommand } from '../wire/index.ts'
import type { Channel } from './channel.ts'
import { ContentMachine, converse } from './content.ts'
import { EditCollector } from './edit-collector.ts'
import type { Keeper } from './health/keeper.ts'
import type { Places, Resting } from './health/places.ts'
import { KEPT_AWAY } from './health/poison.ts'
import type { MacroChoice } from './macro-choice.ts'
import { verdictOf } from './reply-verdict.ts'
import { stageOnWire, type Terms } from './terms.ts'

/** A connection that was negotiated. */
export interface Met {
  readonly channel: Channel
  readonly terms: Terms
}

/** What a session needs of its filter. */
export interface Milter {
  readonly name: string
  readonly choice: MacroChoice
  /** It takes packets of the content before it has answered those before them. */
  readonly pipelining: boolean
  /** Most edits of one message. */
  readonly editLimit: number
  readonly keeper: Keeper
  /** Where connections are limited in number. */
  readonly places: Places | null
  needs(): Needs | null
  /** Connects and negotiates. */
  meet(signal: AbortSignal): Promise<Met>
  /** Lends a writer whose buffer has grown to the size of body packets. */
  withWriter<T>(use: (writer: PacketWriter) => Promise<T>): Promise<T>
}

/** The message in progress, as the milter has been told of it. */
interface Told {
  /** Anything at all: an ABORT is owed if the message ends here. */
  anything: boolean
  /** Recipients it was told of and did not refuse. */
  recipients: number
  data: boolean
  /** It said what ends its part. */
  over: boolean
}

/** Events that a milter which asks for them must not miss. EOH says nothing by itself, DATA can be made up for. */
const MUST_SEE: readonly Interest[] = ['connect', 'helo', 'mail', 'rcpt', 'header', 'body']

const ABORT = encodeCommand({ kind: 'abort' })
const QUIT = encodeCommand({ kind: 'quit' })

export class SocketSession implements FilterSession, Resting {
  readonly #milter: Milter
  readonly #context: FilterContext
  #channel: Channel | null = null
  #terms: Terms | null = null
  #connectEvent: ConnectEvent | null = null
  #heloEvent: HeloEvent | null = null
  /** What the milter said of the whole connection, at connect or helo: it holds until the end. */
  #standing: Verdict | null = null
  #message: Told | null = null
  #closed = false
  /** The stage of the call that is not answered yet. */
  #running: string | null = null
  #heeded: AbortSignal | null = null

  constructor(milter: Milter, context: FilterContext) {
    this.#milter = milter
    this.#context = context
  }

  connect(event: ConnectEvent, signal: AbortSignal): MaybePromise<Verdict> {
    this.#connectEvent = event
    return this.#expects('connect') ? this.#ask('connect', signal, () => this.#connect(event)) : CONTINUE
  }

  helo(event: HeloEvent, signal: AbortSignal): MaybePromise<Verdict> {
    this.abort()
    this.#heloEvent = event
    if (this.#standing !== null) return this.#standing
    return this.#expects('helo') ? this.#ask('helo', signal, () => this.#helo(event)) : CONTINUE
  }

  mail(event: MailEvent, signal: AbortSignal): MaybePromise<Verdict> {
    this.abort()
    const told: Told = { anything: false, recipients: 0, data: false, over: false }
    this.#message = told
    if (this.#standing !== null) return this.#standing
    if (!this.#expects('mail')) return CONTINUE
    return this.#ask('mail', signal, () => {
      const { raw: path, args: parameters } = event.sender
      return this.#tell('mail', { kind: 'mail', path, parameters }, event.macros, verdict => {
        told.over = verdict.kind !== 'continue'
      })
    })
  }

  rcpt(event: RcptEvent, signal: AbortSignal): MaybePromise<Verdict> {
    if (this.#standing !== null) return event.refused === null ? this.#standing : CONTINUE
    const told = this.#told()
    if (told.over || !this.#expects('rcpt')) return CONTINUE
    if (event.refused !== null && !this.#expectsRefused()) return CONTINUE
    return this.#ask('rcpt', signal, () => {
      if (event.refused !== null && !this.#terms!.refusedRecipients) return CONTINUE
      const { raw: path, args: parameters } = event.recipient
      const verdict = this.#tell('rcpt', { kind: 'rcpt', path, parameters }, event.macros, answer => {
        told.over = answer.kind === 'accept'
        if (answer.kind === 'continue') told.recipients++
      })
      if (event.refused === null) return verdict
      return verdict instanceof Promise ? verdict.then(() => CONTINUE) : CONTINUE
    })
  }

  data(event: DataEvent, signal: AbortSignal): MaybePromise<Verdict> {
    if (this.#standing !== null) return this.#standing
    const told = this.#told()
    if (told.over || !this.#expects('data')) return CONTINUE
    return this.#ask('data', signal, () => {
      // DATA straight after MAIL is one of the things libmilter never answers.
      if (this.#terms!.wants('rcpt') && told.recipients === 0) return CONTINUE
      told.data = true
      return this.#tell('data', { kind: 'data' }, event.macros, verdict => {
        told.over = verdict.kind !== 'continue'
      })
    })
  }

  unknown(event: UnknownEvent, signal: AbortSignal): MaybePromise<Verdict> {
    if (this.#standing !== null || !this.#expects('unknown')) return CONTINUE
    const told = this.#message
    if (told !== null && !this.#mayTellUnknown(told)) return CONTINUE
    return this.#ask('unknown', signal, () => {
      return this.#tell('unknown', { kind: 'unknown', line: event.command }, null, verdict => {
        if (told !== null && verdict.kind === 'accept') told.over = true
      })
    })
  }

  async message(event: MessageEvent, signal: AbortSignal): Promise<MessageAnswer> {
    if (this.#standing !== null) return { verdict: this.#standing, edits: [] }
    const told = this.#told()
    if (told.over) return { verdict: CONTINUE, edits: [] }
    return this.#guarded('message', signal, async () => {
      if (this.#milter.keeper.isPoison(event.message)) {
        throw hostError('MILTER_POISON', this.#milter.name, KEPT_AWAY / 60_000)
      }
      await this.#join('message', signal)
      if (this.#standing !== null) return { verdict: this.#standing, edits: [] }
      return this.#content(event, told)
    })
  }

  abort(): void {
    const told = this.#message
    const channel = this.#channel
    this.#message = null
    if (told === null || channel === null) return
    if (this.#running !== null) this.#breakOff('the message was given up')
    else {
      if (told.anything && !told.over) channel.post(ABORT)
      this.#rest()
    }
  }

  close(): void {
    this.#closed = true
    this.#milter.places?.wake(this)
    if (this.#running !== null) this.#breakOff('the connection is over')
    else this.#leave()
  }

  /** Somebody waits for the connection, and nothing is under way on it. */
  letGo(): void {
    this.#leave()
  }

  /** Whether this event is a reason to speak to the milter; before it was ever met, every event is. */
  #expects(interest: Interest): boolean {
    return this.#channel?.usable ? this.#terms!.wants(interest) : (this.#milter.needs()?.events.has(interest) ?? true)
  }

  #expectsRefused(): boolean {
    return this.#terms?.refusedRecipients ?? this.#milter.needs()?.refusedRecipients ?? true
  }

  #told(): Told {
    if (this.#message === null) throw new Error(`${this.#milter.name}: an event of a message before its MAIL`)
    return this.#message
  }

  /**
   * After U libmilter takes R and T but no content: never between the last R and the content of a milter that gets no T.
   * Before the first R one R is sure to come.
   */
  #mayTellUnknown(told: Told): boolean {
    const terms = this.#terms
    // In a message it is no reason to connect: the milter would have missed the MAIL.
    if (terms === null || this.#channel === null || told.over || told.data) return false
    return terms.wants('data') || (terms.wants('rcpt') && told.recipients === 0)
  }

  /** Joins if need be and asks, unless the milter has spoken for the whole connection. */
  #ask(stage: Interest, signal: AbortSignal, ask: () => MaybePromise<Verdict>): MaybePromise<Verdict> {
    const joined = (): MaybePromise<Verdict> => {
      if (this.#standing !== null) return this.#standing
      return this.#terms!.wants(stage) ? ask() : CONTINUE
    }
    return this.#guarded(stage, signal, () => {
      const joining = this.#join(stage, signal)
      return joining === undefined ? joined() : joining.then(joined)
    })
  }

  /** Closes the connection as soon as nobody waits for the answer any more: the milter may be at work on it for long. */
  #guarded<T>(stage: string, signal: AbortSignal, run: () => MaybePromise<T>): MaybePromise<T> {
    const { keeper, places } = this.#milter
    this.#running = stage
    places?.wake(this)
    this.#heed(signal)
    const failed = (error: unknown): never => {
      this.#running = null
      keeper.failed(error, signal)
      this.#channel?.fail(hostError('MILTER_CLOSED', this.#milter.name, stage, 'given up after a failure'))
      throw error
    }
    try {
      const answer = run()
      if (answer instanceof Promise) {
        keeper.begin()
        return answer.then(
          value => {
            keeper.end()
            this.#running = null
            if (places !== null) this.#rest()
            return value
          },
          error => {
            keeper.end()
            return failed(error)
          },
        )
      }
      this.#running = null
      if (places !== null) this.#rest()
      return answer
    } catch (error) {
      return failed(error)
    }
  }

  /** Between two messages the connection is there for others. */
  #rest(): void {
    if (this.#channel?.usable && (this.#message === null || this.#message.over)) this.#milter.places?.rest(this)
  }

  /** One signal serves many calls, and to listen to it costs more than most of what a call does. */
  #heed(signal: AbortSignal): void {
    if (signal.aborted) this.#givenUp(signal)
    if (signal.aborted || this.#heeded === signal) return
    this.#heeded = signal
    const onAbort = (): void => {
      if (this.#heeded === signal && this.#running !== null) this.#givenUp(signal)
    }
    signal.addEventListener('abort', onAbort, { once: true })
  }

  #givenUp(signal: AbortSignal): void {
    const { detail, kind } = (signal.reason ?? {}) as Partial<AbortReason>
    this.#breakOff(detail || kind || 'aborted')
  }

  #breakOff(why: string): void {
    this.#channel?.fail(hostError('INTERRUPTED', this.#milter.name, this.#running ?? 'idle', why))
  }

  #join(stage: Interest | 'message', signal: AbortSignal): void | Promise<void> {
    const channel = this.#channel
    if (channel?.usable) {
      const shut = this.#milter.keeper.shut(this.#milter.name)
      if (shut !== null) throw shut
      return
    }
    if (channel !== null && this.#message?.anything) {
      channel.quiet()
      throw hostError('MILTER_CLOSED', this.#milter.name, stage)
    }
    this.#leave()
    return this.#open(stage, signal)
  }

  async #open(stage: Interest | 'message', signal: AbortSignal): Promise<void> {
    const message = this.#message
    const { channel, terms } = await this.#milter.meet(signal)
    if (this.#closed || signal.aborted || this.#message !== message) {
      channel.leave(QUIT)
      throw hostError('INTERRUPTED', this.#milter.name, stage, 'the session ended while it was connecting')
    }
    this.#channel = channel
    this.#terms = terms
    const progress = (): void => this.#context.progress()
    channel.onProgress = progress
    this.#refuseToMiss(stage, terms)
    if (stage === 'connect') return
    if (this.#connectEvent !== null && terms.wants('connect')) await this.#connect(this.#connectEvent)
    if (stage === 'helo' || this.#standing !== null) return
    if (this.#heloEvent !== null && terms.wants('helo')) await this.#helo(this.#heloEvent)
  }

  /** A milter that was started anew may want more than before; passing mail by what it did not see would be a lie. */
  #refuseToMiss(stage: Interest | 'message', terms: Terms): void {
    const missed = MUST_SEE.filter(interest => terms.wants(interest) && !this.#context.asked.has(interest))
    const late: readonly Interest[] =
      stage === 'rcpt' ? ['mail'] : stage === 'data' || stage === 'message' ? ['mail', 'rcpt'] : []
    missed.push(...late.filter(interest => terms.wants(interest) && !missed.includes(interest)))
    if (missed.length > 0) throw hostError('MILTER_WANTS_MORE', this.#milter.name, missed.join(', '))
  }

  #connect({ client, macros }: ConnectEvent): MaybePromise<Verdict> {
    const { hostname: host, family, port, address } = client
    return this.#tell('connect', { kind: 'connect', host, family, port, address }, macros, this.#stand)
  }

  #helo({ name, macros }: HeloEvent): MaybePromise<Verdict> {
    return this.#tell('helo', { kind: 'helo', name }, macros, this.#stand)
  }

  readonly #stand = (verdict: Verdict): void => {
    if (verdict.kind === 'continue') return
    this.#standing = verdict
    this.#leave()
  }

  /** One command and its reply. */
  #tell(
    stage: Exclude<Interest, 'header' | 'eoh' | 'body'>,
    command: Command,
    macros: Macros | null,
    settle: (verdict: Verdict) => void,
  ): MaybePromise<Verdict> {
    const channel = this.#channel!
    const terms = this.#terms!
    channel.stage = stage
    if (this.#message !== null && stage !== 'unknown' && stage !== 'connect' && stage !== 'helo') {
      this.#message.anything = true
    }
    const writer = new PacketWriter()
    if (macros !== null) this.#macros(writer, stage as MacroStage, macros, terms)
    const answered = (reply: Reply): Verdict => {
      channel.quiet()
      const verdict = verdictOf(reply, this.#milter.name, stage, detail => this.#context.refused(stage, detail))
      if (verdict.kind !== 'continue') this.#milter.keeper.worked()
      settle(verdict)
      return verdict
    }
    const sent = (): MaybePromise<Verdict> => {
      if (!terms.answers(stage)) {
        settle(CONTINUE)
        return CONTINUE
      }
      const reply = channel.receive()
      return reply instanceof Promise ? reply.then(answered) : answered(reply)
    }
    const room = channel.send(writeCommand(writer, command).take())
    return room === undefined ? sent() : room.then(sent)
  }

  #macros(writer: PacketWriter, stage: MacroStage, macros: Macros, terms: Terms): void {
    const chosen = this.#milter.choice.of(stage, macros, terms)
    if (chosen.length > 0) writeCommand(writer, { kind: 'macros', for: stageOnWire[stage].letter, macros: chosen })
  }

  async #content(event: MessageEvent, told: Told): Promise<MessageAnswer> {
    const terms = this.#terms!
    const { name: filter, choice, editLimit: limit, keeper, pipelining } = this.#milter
    if (terms.wants('rcpt') && told.recipients === 0) throw new Error(`${filter}: a message without a recipient`)
    const refused = (detail: string): void => this.#context.refused('message', detail)
    const edits = new EditCollector({ filter, terms, limit, newBody: () => this.#context.newBody(), refused })
    try {
      const machine = new ContentMachine({
        filter,
        terms,
        message: event.message,
        macros: event.macros,
        choice,
        edits,
        dataOwed: terms.wants('data') && !told.data,
        pipelining,
        refused,
      })
      told.anything = true
      const verdict = await this.#milter.withWriter(writer =>
        converse(this.#channel!, machine, event.message.body, writer),
      )
      told.over = true
      this.#message = null
      if (machine.torn) this.#leave()
      keeper.passed(event.message)
      const keeps = verdict.kind === 'continue' || verdict.kind === 'accept'
      return { verdict, edits: keeps ? await edits.finish() : [] }
    } catch (error) {
      if ((error as { readonly code?: unknown }).code === 'MILTER_CLOSED') keeper.lost(event.message)
      throw error
    } finally {
      edits.discard()
    }
  }

  #leave(): void {
    this.#channel?.leave(QUIT)
    this.#channel = null
  }
}
