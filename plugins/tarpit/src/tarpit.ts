/**
 * The state machine: who is suspicious, who waits, who is asked to come again, and who has earned to be left alone.
 *
 * A connection is judged once, at the stage configured, and waits at most once. That it waited is proven only by the end of its
 * message (or what `proof` says): its next commands may have been sent in advance. Only the client's own departure is a failure: the
 * end of the MTA or of milterhost, a limit, another filter's refusal, an RSET say nothing about the client. In observe mode a
 * hold takes no time, and what took no time is never learned from.
 */
import type {
  AbortReason,
  Answer,
  Dns,
  EndEvent,
  HeloEvent,
  Hooks,
  Logger,
  RcptEvent,
  ResultKey,
  SettledEvent,
} from 'milterhost/plugin'
import { resultKey, tempfail } from 'milterhost/plugin'
import type { Standing, Who } from './ladder.ts'
import type { Attempt, Stage } from './options.ts'
import type { Patience } from './patience.ts'
import type { Options } from './read-options.ts'
import { bypassOf, type Connected, clientReasons, ownReason } from './suspicion.ts'

/** What is published under the key `tarpit`. */
export interface TarpitResult {
  /** `waited`: in full, though not proven yet; `known`: it had earned its place before; `deferred`: it is asked to come again. */
  readonly state: 'waited' | 'known' | 'deferred' | 'unheld'
  readonly reasons: readonly string[]
}

/** What became of this client; later filters read it. */
export const TARPIT: ResultKey<TarpitResult> = resultKey<TarpitResult>('tarpit')

/** Published as `true` for a connection whose client spoke before its turn; the greylist reads it. */
export const EARLY_TALKER: ResultKey<boolean> = resultKey<boolean>('early-talker')

/**
 * `new` until judged. `waited` in full; `put-off`: to be greylisted as soon as there is a recipient; `again`: it is to come again
 * whatever the greylist says; `clear`: nothing more to do.
 */
type Course = 'new' | 'waited' | 'put-off' | 'again' | 'clear'

export interface Connection {
  helo: string | null
  course: Course
  reasons: readonly string[] | null
  credited: boolean
}

export interface Message {
  recipient: string | null
  /** DATA was said. */
  data: boolean
  /** The proof that the client waited is there. */
  proven: boolean
  /** The answer to all recipients. */
  answer: { readonly verdict: Answer } | null
}

export const newConnection = (): Connection => ({ helo: null, course: 'new', reasons: null, credited: false })
export const newMessage = (): Message => ({ recipient: null, data: false, proven: false, answer: null })

export interface TarpitParts {
  readonly options: Options
  readonly standing: Standing
  /** `null` unless adaptive. */
  readonly patience: Patience | null
  keepPatience(text: string): void
  readonly dns: Pick<Dns, 'a'>
  now(): number
  count(what: 'decision' | 'hold' | 'credit', label: string): void
}

/** What all events have that are asked for an answer. */
interface AskedEvent extends Connected {
  readonly connection: Connection
  readonly signal: AbortSignal
  readonly log: Logger
  hold(seconds: number): Promise<'waited' | 'client-left' | 'refused'>
  publish<T>(key: ResultKey<T>, value: T): void
  /** At connect only. */
  readonly spokeEarly?: boolean | null
}

interface InMessage {
  readonly sender: { readonly address: string }
  readonly message: Message
}

/** A hold that was cut shorter than this share of its time was none. */
const REAL = 0.9

export class Tarpit {
  readonly #parts: TarpitParts
  readonly #underway = new Set<Promise<void>>()

  constructor(parts: TarpitParts) {
    this.#parts = parts
  }

  hooks(): Hooks<Connection, Message> {
    const { at, proof } = this.#parts.options
    const early = (stage: Stage) => at === stage
    return {
      ...(early('connect') ? { connect: event => this.#early(event) } : {}),
      helo: event => this.#helo(event),
      ...(early('mail') ? { mail: event => this.#early(event, event) } : {}),
      rcpt: event => this.#rcpt(event),
      data: event => {
        event.message.data = true
        if (proof === 'data') event.message.proven = true
        return at === 'data' ? this.#decided(event) : undefined
      },
      ...(proof === 'eoh'
        ? {
            headers: event => {
              event.message.proven = true
            },
          }
        : {}),
      end: event => this.#end(event),
      settled: event => this.#settled(event),
    }
  }

  /** Resolves when what was learned last is kept. */
  async idle(): Promise<void> {
    await Promise.all(this.#underway)
  }

  #helo(event: HeloEvent<Connection>): Promise<Answer> | undefined {
    event.connection.helo = event.name
    return this.#parts.options.at === 'helo' ? this.#early(event) : undefined
  }

  /** Before there is a recipient nobody can be greylisted: that waits for RCPT. */
  async #early(event: AskedEvent, inMessage?: InMessage): Promise<Answer> {
    if (event.connection.course === 'new') await this.#judge(event, attemptOf(event, inMessage))
    return undefined
  }

  #rcpt(event: RcptEvent<Connection, Message>): Promise<Answer> | Answer {
    const { message, connection, recipient } = event
    if (message.answer === null) message.recipient = recipient.address
    const { at } = this.#parts.options
    if (at === 'data' || at === 'eom') return undefined
    if (at === 'rcpt' || connection.course === 'put-off' || connection.course === 'again') return this.#decided(event)
    return undefined
  }

  async #end(event: EndEvent<Connection, Message>): Promise<Answer> {
    event.message.proven = true
    return this.#parts.options.at === 'eom' ? this.#decided(event) : undefined
  }

  /** One answer for all recipients of a message. */
  async #decided(event: AskedEvent & InMessage): Promise<Answer> {
    const { message, connection } = event
    if (message.answer !== null) return message.answer.verdict
    const attempt = attemptOf(event, event)
    if (connection.course === 'new') await this.#judge(event, attempt)
    // Not judged: a recipient for whom nobody waits. The next one may be another.
    if (connection.course === 'new') return undefined
    const verdict = await this.#answer(event, attempt)
    message.answer = { verdict }
    return verdict
  }

  async #judge(event: AskedEvent, attempt: Attempt): Promise<void> {
    const { options, standing, dns } = this.#parts
    const { connection, client, signal } = event
    const rule = await bypassOf(options.bypass, event, attempt)
    if (rule !== null) {
      event.log.debug({ rule }, 'not made to wait')
      // For this recipient only: the next one may not be on the list.
      if (rule !== 'recipient') connection.course = 'clear'
      return
    }
    connection.reasons ??= await clientReasons(options.suspect, client, dns, signal)
    const reasons = [...connection.reasons, ...(await ownReason(options.suspect, attempt))]
    if (reasons.length === 0) {
      if (attempt.recipient === null || options.suspect.when === undefined) connection.course = 'clear'
      return
    }
    const who = whoOf(attempt)
    if (await standing.isKnown(who, signal)) return this.#conclude(event, 'clear', 'known', reasons)
    if (options.mode === 'rgrey') return this.#conclude(event, 'put-off', 'greylist', reasons)
    if (options.mode === 'targrey' && standing.hasFailed(client))
      return this.#conclude(event, 'put-off', 'failed-before', reasons)
    if (options.mode === 'both' && attempt.recipient !== null && (await standing.greylist(who, signal)))
      return this.#conclude(event, 'clear', 'came-again', reasons)
    await this.#hold(event, attempt, reasons)
  }

  async #hold(event: AskedEvent, attempt: Attempt, reasons: readonly string[]): Promise<void> {
    const { options, standing, patience, now, count } = this.#parts
    const { client, signal } = event
    const { milliseconds, telling } = patience?.next() ?? { milliseconds: options.hold, telling: false }
    const began = now()
    const outcome = await event.hold(milliseconds / 1000)
    const took = now() - began
    count('hold', outcome)
    const early = options.earlyTalkers && outcome !== 'client-left' && event.spokeEarly === true
    if (early) event.publish(EARLY_TALKER, true)
    if (outcome === 'refused') {
      const course = options.overLimit === 'greylist' ? 'put-off' : 'clear'
      return this.#conclude(event, course, 'no-room', reasons, took)
    }
    if (outcome === 'client-left') {
      const left = (signal.reason as Partial<AbortReason> | undefined)?.kind === 'client-left'
      if (left) standing.fail(client)
      if (left && telling && patience !== null) {
        patience.departed(took)
        this.#parts.keepPatience(String(patience))
      }
      return this.#conclude(event, 'clear', left ? 'left' : 'aborted', reasons, took)
    }
    if (took < milliseconds * REAL) return this.#conclude(event, 'clear', 'observed', reasons, took)
    if (early) {
      const course = options.mode === 'starpit' ? 'clear' : 'put-off'
      return this.#conclude(event, course, 'early-talker', reasons, took)
    }
    // Where it could be greylisted it has been, before it was held.
    const both = attempt.recipient === null ? 'put-off' : 'again'
    this.#conclude(event, options.mode === 'both' ? both : 'waited', 'waited', reasons, took)
  }

  #conclude(event: AskedEvent, course: Course, decision: string, reasons: readonly string[], took = 0): void {
    event.connection.course = course
    const seconds = Math.round(took / 100) / 10
    this.#parts.count('decision', decision)
    event.log.info({ decision, reasons, ...(took > 0 ? { seconds } : {}) }, 'tarpit')
    const state =
      course === 'waited'
        ? 'waited'
        : course === 'put-off' || course === 'again'
          ? 'deferred'
          : decision === 'known'
            ? 'known'
            : 'unheld'
    event.publish(TARPIT, { state, reasons })
  }

  async #answer(event: AskedEvent & InMessage, attempt: Attempt): Promise<Answer> {
    const { options, standing, count } = this.#parts
    const { course } = event.connection
    if (course !== 'put-off' && course !== 'again') return undefined
    const pass = course === 'put-off' && (await standing.greylist(whoOf(attempt), event.signal))
    count('decision', pass ? 'came-again' : 'put-off')
    event.log.info({ decision: pass ? 'came-again' : 'put-off' }, 'tarpit')
    if (pass) event.connection.course = 'clear'
    const { code, enhanced, text } = options.reply
    return pass ? undefined : tempfail(text, { code, enhanced })
  }

  #settled(event: SettledEvent<Connection, Message>): void {
    const { connection, message, client, outcome, sender, log } = event
    if (connection.course !== 'waited' || connection.credited) return
    const { standing, count } = this.#parts
    if (message.proven) {
      // What another filter refused speaks neither for the client nor against its patience.
      if (outcome !== 'accept' && outcome !== 'quarantine' && outcome !== 'discard') return
      connection.credited = true
      count('credit', '')
      log.info({ decision: 'credited' }, 'tarpit')
      const who: Who = { client, helo: connection.helo, sender: sender.address, recipient: message.recipient ?? '' }
      this.#later(standing.credit(who), log)
      return
    }
    // After DATA there is no RSET: who broke off then has left.
    if (outcome !== 'client-left' && !(outcome === 'aborted' && message.data)) return
    count('decision', 'left')
    log.info({ decision: 'left' }, 'tarpit')
    standing.fail(client)
    connection.course = 'clear'
  }

  #later(work: Promise<void>, log: Logger): void {
    const done = work
      .catch(error => log.error({ error: String(error) }, 'what a client earned could not be kept'))
      .finally(() => this.#underway.delete(done))
    this.#underway.add(done)
  }
}

const attemptOf = (
  { client, connection }: Pick<AskedEvent, 'client' | 'connection'>,
  inMessage?: InMessage,
): Attempt => ({
  client,
  helo: connection.helo,
  sender: inMessage?.sender.address ?? '',
  recipient: inMessage?.message.recipient ?? null,
})

const whoOf = ({ client, helo, sender, recipient }: Attempt): Who => ({
  client,
  helo,
  sender,
  recipient: recipient ?? '',
})
