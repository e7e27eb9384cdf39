/**
 * Takes down a session while it goes: its commands with their macros and times, their answers, and what filters answered.
 *
 * Told by `NotedSession` and by the session's own events. What is kept of one session is limited; beyond that it is not worth recording,
 * and `finish` gives nothing.
 */
import type { ByteString } from '../../host/bytes.ts'
import { MACRO_STAGES, type MacroStage, MacroStore } from '../../host/macros.ts'
import type { HostEvent } from '../../host/observe/event.ts'
import type { Clock } from '../../host/time/clock.ts'
import type { Verdict } from '../../host/verdict.ts'
import { editOf } from '../scenario/edit-form.ts'
import type { FilterAnswer, RecordedCommand, RecordedField, RecordedSession, RecordedTurn } from './recorded.ts'

export interface NotesOptions {
  readonly id: string
  readonly clock: Clock
  /** Bytes kept of one body; a larger one, and every one where this is 0, is only measured. */
  readonly bodies: number
  /** Bytes kept of the whole session. */
  readonly limit: number
  /** What all sessions share. */
  readonly room: Room
}

/** Memory that notes share: what they take they give back with `release`. */
export interface Room {
  used: number
  readonly limit: number
}

type Told = ReadonlyMap<string, ByteString>
type Building = { -readonly [K in keyof RecordedTurn]: RecordedTurn[K] } & { filters: FilterAnswer[] }

/** What a turn without content costs, about. */
const TURN = 200
const FILTER = 100
const LF = 0x0a
const NO_MACROS = new MacroStore()

export class Notes {
  readonly #options: NotesOptions
  readonly #began: number
  readonly #start: number
  readonly #turns: Building[] = []
  readonly #told = new Map<MacroStage, Told>()
  #mta: RecordedSession['mta'] = null
  #fields: RecordedField[] = []
  #pieces: Buffer[] | null = null
  #bytes = 0
  #lines = 0
  /** Nothing that comes now belongs to the session any more. */
  #over = false
  #size = 0
  #abandoned = false

  constructor(options: NotesOptions) {
    this.#options = options
    this.#began = options.clock.now()
    this.#start = options.clock.monotonic()
  }

  /** There was no room for it. */
  get abandoned(): boolean {
    return this.#abandoned
  }

  mta(kind: string): void {
    this.#mta = kind === 'postfix' || kind === 'sendmail' ? kind : null
  }

  field(name: ByteString, value: ByteString): void {
    if (this.#takes(name.length + value.length)) this.#fields.push({ name, value })
  }

  body(chunk: Uint8Array): void {
    this.#bytes += chunk.length
    for (let at = chunk.indexOf(LF); at !== -1; at = chunk.indexOf(LF, at + 1)) this.#lines++
    if (this.#bytes > this.#options.bodies) {
      this.#pieces = null
      return
    }
    if (this.#bytes === chunk.length) this.#pieces = []
    if (this.#pieces !== null && this.#takes(chunk.length)) this.#pieces?.push(Buffer.from(chunk))
  }

  /** The content that came, for the command that ends it. */
  takeContent(): RecordedCommand {
    const content = this.#bytes === 0 ? Buffer.alloc(0) : this.#pieces === null ? null : Buffer.concat(this.#pieces)
    const command = { kind: 'message' as const, fields: this.#fields }
    const body = { bytes: this.#bytes, lines: this.#lines, content }
    this.#dropContent()
    return { ...command, body }
  }

  begin(command: RecordedCommand, macros: MacroStore): void {
    if (this.#over) return
    if (command.kind !== 'message') this.#dropContent()
    const at = Math.round(this.#options.clock.monotonic() - this.#start)
    if (this.#takes(TURN)) this.#turns.push({ at, macros: this.#news(macros), command, answer: null, filters: [] })
    if (command.kind === 'quit' || command.kind === 'disconnect') this.#over = true
  }

  answered(verdict: Verdict): void {
    const turn = this.#turns.at(-1)
    if (turn !== undefined && !this.#over) turn.answer = verdict
  }

  observe(event: HostEvent): void {
    if (event.type === 'client-left') this.begin({ kind: 'disconnect' }, NO_MACROS)
    const answer = answerOf(event)
    if (answer !== null) this.#heard(answer)
  }

  /** `null` when more came than is kept, or nothing. */
  finish(): RecordedSession | null {
    if (this.#turns.length === 0) return null
    return { id: this.#options.id, began: this.#began, mta: this.#mta, turns: [...this.#turns] }
  }

  /** What was kept is not needed any more. Harmless a second time. */
  release(): void {
    this.#options.room.used -= this.#size
    this.#size = 0
    this.#abandoned = true
    this.#turns.length = 0
    this.#dropContent()
  }

  /** False when there is no room for it: then nothing of the session is kept. */
  #takes(bytes: number): boolean {
    if (this.#abandoned) return false
    const { room, limit } = this.#options
    this.#size += bytes
    room.used += bytes
    if (this.#size <= limit && room.used <= room.limit) return true
    this.release()
    return false
  }

  #heard(answer: FilterAnswer): void {
    const turn = this.#turns.at(-1)
    if (turn === undefined || this.#over) return
    const size = answer.edits.reduce((sum, edit) => sum + JSON.stringify(edit).length, FILTER)
    if (this.#takes(size)) addAnswer(turn.filters, answer)
  }

  /** Maps are replaced and never changed: one that is the same object was told before. */
  #news(macros: MacroStore): Map<MacroStage, Told> {
    const news = new Map<MacroStage, Told>()
    for (const stage of MACRO_STAGES) {
      const now = macros.at(stage)
      if (now === this.#told.get(stage)) continue
      this.#told.set(stage, now)
      if (now.size > 0) news.set(stage, now)
    }
    return news
  }

  #dropContent(): void {
    this.#fields = []
    this.#pieces = null
    this.#bytes = 0
    this.#lines = 0
  }
}

/** What a filter answered, if the event tells that. */
export function answerOf(event: HostEvent): FilterAnswer | null {
  if (event.type === 'filter-answered')
    return { filter: event.filter, verdict: event.verdict, edits: event.edits.map(editOf) }
  return event.type === 'filter-failed' ? { filter: event.filter, verdict: null, edits: [] } : null
}

/** A filter that is told late of connect and helo is asked several times at one command: what it objected to counts. */
export function addAnswer(filters: FilterAnswer[], answer: FilterAnswer): void {
  const at = filters.findIndex(({ filter }) => filter === answer.filter)
  if (at < 0) filters.push(answer)
  else if (filters[at]!.verdict?.kind === 'continue') filters[at] = answer
}
