/**
 * A session that takes notes: it does what the session does, and tells the notes what it was asked and what it answered.
 *
 * Stands between the MTA's side and the session where mail is recorded, and only there: mail that is not recorded never meets it.
 */
import type { ByteString } from '../../host/bytes.ts'
import type { Client, Path, RcptEvent } from '../../host/events.ts'
import type { AbortReason } from '../../host/filter.ts'
import type { MacroStore } from '../../host/macros.ts'
import type { MtaFacts } from '../../host/mta.ts'
import type { Session, SessionFacts, Settlement } from '../../host/session.ts'
import type { Verdict } from '../../host/verdict.ts'
import type { Notes } from './notes.ts'
import type { RecordedCommand } from './recorded.ts'

const IN_MESSAGE: ReadonlySet<string> = new Set(['mail', 'rcpt', 'content'])

/** What is used of a session; notes may be taken by several. */
export type NotableSession = Pick<
  Session,
  | 'id'
  | 'macros'
  | 'facts'
  | 'setMta'
  | 'connect'
  | 'helo'
  | 'mail'
  | 'rcpt'
  | 'data'
  | 'header'
  | 'endOfHeaders'
  | 'body'
  | 'endOfMessage'
  | 'unknown'
  | 'abort'
  | 'interrupt'
  | 'close'
>

export class NotedSession implements NotableSession {
  readonly #session: NotableSession
  readonly #notes: Notes

  constructor(session: NotableSession, notes: Notes) {
    this.#session = session
    this.#notes = notes
  }

  get id(): string {
    return this.#session.id
  }

  get macros(): MacroStore {
    return this.#session.macros
  }

  get facts(): SessionFacts {
    return this.#session.facts
  }

  setMta(facts: MtaFacts): void {
    this.#notes.mta(facts.kind)
    this.#session.setMta(facts)
  }

  connect(client: Client): Promise<Verdict> {
    return this.#noted({ kind: 'connect', client }, () => this.#session.connect(client))
  }

  helo(name: ByteString): Promise<Verdict> {
    return this.#noted({ kind: 'helo', name }, () => this.#session.helo(name))
  }

  mail(path: Path): Promise<Verdict> {
    return this.#noted({ kind: 'mail', path }, () => this.#session.mail(path))
  }

  /** A recipient that the MTA had refused is no part of the message, and of no recording. */
  rcpt(path: Path, refused: RcptEvent['refused'] = null): Promise<Verdict> {
    if (refused !== null) return this.#session.rcpt(path, refused)
    return this.#noted({ kind: 'rcpt', path }, () => this.#session.rcpt(path))
  }

  data(): Promise<Verdict> {
    return this.#noted({ kind: 'data' }, () => this.#session.data())
  }

  header(name: ByteString, value: ByteString): void {
    this.#notes.field(name, value)
    this.#session.header(name, value)
  }

  endOfHeaders(): void {
    this.#session.endOfHeaders()
  }

  body(chunk: Uint8Array): void | Promise<void> {
    this.#notes.body(chunk)
    return this.#session.body(chunk)
  }

  async endOfMessage(): Promise<Settlement> {
    this.#notes.begin(this.#notes.takeContent(), this.macros)
    const settlement = await this.#session.endOfMessage()
    const hold = settlement.edits.find(edit => edit.kind === 'quarantine')
    this.#notes.answered(hold ?? settlement.verdict)
    return settlement
  }

  unknown(command: ByteString): Promise<Verdict> {
    return this.#session.unknown(command)
  }

  abort(reason?: AbortReason): void {
    if (IN_MESSAGE.has(this.#session.facts.stage)) this.#notes.begin({ kind: 'reset' }, this.macros)
    this.#session.abort(reason)
  }

  interrupt(reason: AbortReason): void {
    this.#session.interrupt(reason)
  }

  close(reason: AbortReason): void {
    const left = reason.kind === 'client-left' && reason.detail !== 'QUIT'
    this.#notes.begin({ kind: left ? 'disconnect' : 'quit' }, this.macros)
    this.#session.close(reason)
  }

  async #noted(command: RecordedCommand, ask: () => Promise<Verdict>): Promise<Verdict> {
    this.#notes.begin(command, this.macros)
    const verdict = await ask()
    this.#notes.answered(verdict)
    return verdict
  }
}
