/**
 * One recorded session while it is played: its commands go to a session of the chain, and what comes of each is kept beside it.
 *
 * It says what the MTA would say: after a refusal what belongs to it is left out. It knows no time; `replay.ts` says when.
 */
import type { AbortReason } from '../../host/filter.ts'
import { EDIT_KINDS } from '../../host/message/edit.ts'
import { ALL_INTERESTS } from '../../host/mta.ts'
import type { HostEvent } from '../../host/observe/event.ts'
import type { Session } from '../../host/session.ts'
import type { Verdict } from '../../host/verdict.ts'
import { addAnswer, answerOf } from '../recording/notes.ts'
import type { FilterAnswer, RecordedCommand, RecordedSession, RecordedTurn } from '../recording/recorded.ts'
import { contentOf } from '../recording/scenario-form.ts'
import type { Outcomes, TurnOutcome } from './outcome.ts'

const LEFT: AbortReason = { kind: 'client-left', detail: 'the client has gone' }
const RESET: AbortReason = { kind: 'mta-abort', detail: 'the MTA ended the transaction' }
const QUIT: AbortReason = { kind: 'mta-abort', detail: 'the MTA closed the connection' }
const PIECE = 65_535

type Building = { -readonly [K in keyof TurnOutcome]: TurnOutcome[K] } & { filters: FilterAnswer[] }

export class Run {
  readonly recorded: RecordedSession
  readonly #session: Session
  readonly #outcomes: (TurnOutcome | null)[] = []
  #next = 0
  #underway: Building | null = null
  #answering = false
  /** Nothing more is said on this connection. */
  #refused = false
  /** The message is over for the MTA. */
  #skipping = false
  #accepted = 0
  #messages = 0

  /** `open` makes the session, which tells its events to what it is given. */
  constructor(recorded: RecordedSession, open: (observe: (event: HostEvent) => void) => Session) {
    this.recorded = recorded
    this.#session = open(event => {
      const answer = answerOf(event)
      if (answer !== null && this.#underway !== null) addAnswer(this.#underway.filters, answer)
    })
    this.#session.setMta({
      kind: recorded.mta ?? 'unknown',
      version: '',
      edits: new Set(EDIT_KINDS),
      asked: new Set(ALL_INTERESTS),
    })
  }

  /** The turn that is under way. */
  get turn(): RecordedTurn | null {
    return this.#next === 0 ? null : this.recorded.turns[this.#next - 1]!
  }

  /** Milliseconds since the session began at which the next command comes; `null` when there is none. */
  get due(): number | null {
    return this.recorded.turns[this.#next]?.at ?? null
  }

  /** The client goes away next, whether it has its answer or not. */
  get leaves(): boolean {
    return this.recorded.turns[this.#next]?.command.kind === 'disconnect'
  }

  /** An answer is awaited. */
  get answering(): boolean {
    return this.#answering
  }

  /** A filter makes the client wait: nothing goes on before time does. */
  get held(): boolean {
    return this.#session.facts.wait?.held === true
  }

  /** What came of each command. */
  get outcomes(): Outcomes {
    return this.#outcomes
  }

  /** Says the next command. Its answer comes when it comes: `answering`. */
  say(): void {
    const turn = this.recorded.turns[this.#next++]!
    const { command } = turn
    if (!this.#wouldSay(command)) {
      this.#outcomes.push(null)
      return
    }
    this.#tellMacros(turn)
    const underway: Building = { answer: null, filters: [] }
    this.#underway = underway
    this.#outcomes.push(underway)
    const asked = this.#ask(command)
    if (asked === null) return
    this.#answering = true
    void asked.then(verdict => {
      this.#answering = false
      // Its client has not waited for it.
      if (this.#outcomes.at(-1) !== underway) return
      underway.answer = verdict
      this.#take(command, verdict)
    })
  }

  /** Ends what is open. */
  close(): void {
    this.#session.close(QUIT)
  }

  #wouldSay({ kind }: RecordedCommand): boolean {
    if (kind === 'quit' || kind === 'disconnect') return true
    if (this.#refused) return false
    if (kind === 'mail' || kind === 'helo' || kind === 'connect' || kind === 'reset') {
      this.#skipping = false
      this.#accepted = 0
      return true
    }
    if (this.#skipping) return false
    return kind === 'rcpt' || this.#accepted > 0
  }

  #take({ kind }: RecordedCommand, verdict: Verdict): void {
    const refused = verdict.kind === 'reject' || verdict.kind === 'tempfail'
    if (refused && 'reply' in verdict && verdict.reply?.code === 421) this.#refused = true
    if (kind === 'connect' || kind === 'helo') this.#refused ||= refused
    else if (kind === 'rcpt') {
      if (verdict.kind === 'continue' || verdict.kind === 'accept') this.#accepted++
      if (verdict.kind === 'discard') this.#skipping = true
    } else if (kind === 'message' || verdict.kind !== 'continue') this.#skipping = true
  }

  #ask(command: RecordedCommand): Promise<Verdict> | null {
    const session = this.#session
    switch (command.kind) {
      case 'connect':
        return session.connect(command.client)
      case 'helo':
        return session.helo(command.name)
      case 'mail':
        session.macros.supply('i', `${session.id}.${++this.#messages}`)
        return session.mail(command.path)
      case 'rcpt':
        return session.rcpt(command.path)
      case 'data':
        return session.data()
      case 'message':
        return this.#content(command)
      case 'reset':
        session.abort(RESET)
        return null
      default:
        session.close(command.kind === 'disconnect' ? LEFT : QUIT)
        return null
    }
  }

  async #content({ fields, body }: Extract<RecordedCommand, { kind: 'message' }>): Promise<Verdict> {
    const session = this.#session
    for (const { name, value } of fields) session.header(name, value)
    session.endOfHeaders()
    const content = contentOf(body)
    for (let at = 0; at < content.length; at += PIECE) await session.body(content.subarray(at, at + PIECE))
    const { verdict, edits } = await session.endOfMessage()
    session.macros.supply('i', undefined)
    return edits.find(edit => edit.kind === 'quarantine') ?? verdict
  }

  /** As an MTA's side does it: a command forgets what was told for those after it. */
  #tellMacros({ command: { kind }, macros }: RecordedTurn): void {
    const store = this.#session.macros
    if (kind === 'connect' || kind === 'helo' || kind === 'rcpt') store.clearAfter(kind)
    else if (kind === 'mail') store.clearAfter('helo')
    for (const [stage, values] of macros) store.set(stage, values)
  }
}
