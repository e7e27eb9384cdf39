/**
 * Which command may follow which: libmilter's transition table, so that an MTA finds here what it finds in any milter.
 *
 * Pure. A command out of order ends the message that is being received and is tried again as after HELO; if it does not fit
 * there either it is ignored. Two things differ on purpose. UNKNOWN leaves the place where it is: in libmilter an unknown
 * SMTP command before the content of a version 3 MTA (which sends no DATA) makes the filter deaf for that message. And an ignored
 * command is answered by the caller, where libmilter lets the MTA run into its timeout.
 */
import type { CommandKind } from '../wire/index.ts'

export type OrderedCommand = Exclude<CommandKind, 'negotiate' | 'macros' | 'abort' | 'quit' | 'quit-nc'>

/** `run`: in order. `restart`: run it, but end the present message first. `ignore`: it has no meaning here. */
export interface Step {
  readonly run: boolean
  /** The message being received is over. */
  readonly ends: boolean
}

const RUN: Step = { run: true, ends: false }
const RUN_AND_END: Step = { run: true, ends: true }
const IGNORE: Step = { run: false, ends: false }
const IGNORE_AND_END: Step = { run: false, ends: true }

type Place = 'start' | Exclude<OrderedCommand, 'unknown'>

const following: Readonly<Record<Place, readonly OrderedCommand[]>> = {
  start: ['connect', 'unknown'],
  connect: ['helo', 'mail', 'unknown'],
  helo: ['helo', 'mail', 'unknown'],
  mail: ['rcpt', 'unknown'],
  rcpt: ['rcpt', 'data', 'header', 'eoh', 'body', 'eom', 'unknown'],
  data: ['header', 'eoh'],
  header: ['header', 'eoh'],
  eoh: ['body', 'eom'],
  body: ['body', 'eom'],
  eom: ['mail', 'unknown'],
}

export class CommandOrder {
  readonly #unsent: ReadonlySet<CommandKind>
  #place: Place = 'start'
  #inMessage = false

  /** `unsent`: commands that the MTA was asked not to send; each counts as passed. */
  constructor(unsent: ReadonlySet<CommandKind> = new Set()) {
    this.#unsent = unsent
  }

  /** From an accepted MAIL until the message is decided or cancelled. */
  get inMessage(): boolean {
    return this.#inMessage
  }

  take(command: OrderedCommand): Step {
    let ends = false
    if (!this.#mayFollow(this.#place, command)) {
      ends = this.#inMessage
      this.endMessage()
      if (!this.#mayFollow('helo', command)) return ends ? IGNORE_AND_END : IGNORE
    }
    if (command !== 'unknown') {
      this.#place = command
      if (command === 'mail') this.#inMessage = true
      if (command === 'eom') this.#inMessage = false
    }
    return ends ? RUN_AND_END : RUN
  }

  /** The message was decided early, or cancelled: next comes what may come after HELO. */
  endMessage(): void {
    this.#inMessage = false
    this.#place = 'helo'
  }

  /** QUIT_NC: another SMTP connection on the same socket. */
  restart(): void {
    this.#inMessage = false
    this.#place = 'start'
  }

  #mayFollow(place: Place, command: OrderedCommand, passed: readonly Place[] = []): boolean {
    if (following[place].includes(command)) return true
    if (this.#unsent.size === 0) return false
    const seen = [...passed, place]
    return following[place].some(
      next =>
        next !== 'unknown' && this.#unsent.has(next) && !seen.includes(next) && this.#mayFollow(next, command, seen),
    )
  }
}
