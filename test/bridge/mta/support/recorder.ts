/**
 * A session that writes down what it is told and answers what a test has set, and the source that opens such sessions.
 */
import type { HostSession, SessionSource } from '../../../../src/bridge/mta/source.ts'
import type { Client, Path, RcptEvent } from '../../../../src/host/events.ts'
import type { AbortReason, Interest, MaybePromise, Needs } from '../../../../src/host/filter.ts'
import { MacroStore } from '../../../../src/host/macros.ts'
import { EDIT_KINDS } from '../../../../src/host/message/edit.ts'
import { ALL_INTERESTS, type MtaFacts } from '../../../../src/host/mta.ts'
import type { Settlement } from '../../../../src/host/session.ts'
import { CONTINUE, TEMPFAIL, type Verdict } from '../../../../src/host/verdict.ts'

export const everything: Needs = {
  events: new Set(ALL_INTERESTS),
  answers: new Set(ALL_INTERESTS),
  edits: new Set(EDIT_KINDS),
  refusedRecipients: false,
  macros: new Map(),
}

export const wanting = (events: Interest[], more: Partial<Needs> = {}): Needs => ({
  ...everything,
  events: new Set(events),
  answers: new Set(events),
  edits: new Set(),
  ...more,
})

export interface Answers {
  connect?: () => MaybePromise<Verdict>
  helo?: () => MaybePromise<Verdict>
  mail?: () => MaybePromise<Verdict>
  rcpt?: (recipient: Path) => MaybePromise<Verdict>
  data?: () => MaybePromise<Verdict>
  unknown?: () => MaybePromise<Verdict>
  body?: () => void | Promise<void>
  endOfMessage?: () => MaybePromise<Settlement>
}

export const kept: Settlement = { verdict: CONTINUE, edits: [] }

export class RecordingSession implements HostSession {
  readonly id: string
  readonly macros: MacroStore = new MacroStore()
  /** One line a call, bodies joined. */
  readonly told: string[] = []
  readonly bodies: Buffer[] = []
  readonly queueIds: (string | undefined)[] = []
  facts: MtaFacts | null = null
  closed: AbortReason | null = null
  refused: RcptEvent['refused'] = null
  client: Client | null = null
  readonly #answers: Answers
  #resolveInterrupt: () => void = () => {}
  readonly interrupted: Promise<void> = new Promise(resolve => {
    this.#resolveInterrupt = resolve
  })

  constructor(id: string, answers: Answers) {
    this.id = id
    this.#answers = answers
  }

  setMta(facts: MtaFacts): void {
    this.facts = facts
  }
  connect(client: Client): MaybePromise<Verdict> {
    this.client = client
    this.told.push(`connect ${client.family} ${client.address} ${client.port} ${client.hostname}`)
    return this.#answers.connect?.() ?? CONTINUE
  }
  helo(name: string): MaybePromise<Verdict> {
    this.told.push(`helo ${name}`)
    return this.#answers.helo?.() ?? CONTINUE
  }
  mail({ raw, args }: Path): MaybePromise<Verdict> {
    this.told.push(['mail', raw, ...args].join(' '))
    this.queueIds.push(this.macros.get('i'))
    return this.#answers.mail?.() ?? CONTINUE
  }
  rcpt(recipient: Path, refused: RcptEvent['refused']): MaybePromise<Verdict> {
    this.refused = refused
    this.told.push(['rcpt', recipient.raw, ...recipient.args].join(' '))
    this.queueIds.push(this.macros.get('i'))
    return this.#answers.rcpt?.(recipient) ?? CONTINUE
  }
  data(): MaybePromise<Verdict> {
    this.told.push('data')
    return this.#answers.data?.() ?? CONTINUE
  }
  header(name: string, value: string): void {
    this.told.push(`header ${name}:${value}`)
  }
  endOfHeaders(): void {
    this.told.push('eoh')
  }
  body(chunk: Uint8Array): void | Promise<void> {
    if (this.told.at(-1) !== 'body') this.told.push('body')
    this.bodies.push(Buffer.from(chunk))
    return this.#answers.body?.()
  }
  endOfMessage(): MaybePromise<Settlement> {
    this.told.push('end')
    this.queueIds.push(this.macros.get('i'))
    return this.#answers.endOfMessage?.() ?? kept
  }
  unknown(command: string): MaybePromise<Verdict> {
    this.told.push(`unknown ${command}`)
    return this.#answers.unknown?.() ?? CONTINUE
  }
  abort(reason?: AbortReason): void {
    this.told.push(`abort ${reason?.kind}`)
  }
  close(reason: AbortReason): void {
    this.closed = reason
    this.told.push(`close ${reason.kind}`)
  }
  interrupt(): void {
    this.told.push('interrupt')
    this.#resolveInterrupt()
  }

  /** An answer that comes only when the host interrupts. */
  untilInterrupted(): Promise<Verdict> {
    return this.interrupted.then(() => TEMPFAIL)
  }
}

export class RecordingSource implements SessionSource {
  readonly sessions: RecordingSession[] = []
  needs: Needs = everything
  answers: Answers = {}
  full = false
  progress = 10_000

  open(): { session: RecordingSession; needs: Needs; progress: number } | null {
    if (this.full) return null
    const session = new RecordingSession(`s${this.sessions.length + 1}`, this.answers)
    this.sessions.push(session)
    return { session, needs: this.needs, progress: this.progress }
  }

  get session(): RecordingSession {
    return this.sessions.at(-1)!
  }

  /** All that was told, over all sessions. */
  get told(): string[] {
    return this.sessions.flatMap(({ told }) => told)
  }
}
