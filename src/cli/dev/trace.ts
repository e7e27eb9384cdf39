/**
 * The trace of a scenario as it is played, as lines: each command with its line in the file, what the filters did and logged, what
 * was answered, and each expectation, met or not. Why not is told with the scenario's result.
 *
 * Text from messages and plugins is made harmless for the terminal. Called by the process that plays a round.
 */
import { styleText } from 'node:util'
import type { HostEvent } from '../../host/observe/event.ts'
import { harmless } from '../../host/observe/safe.ts'
import type { LogLine, TestHost } from '../../testing/host.ts'
import { answerText, type Judged } from '../../testing/scenario/judge.ts'
import type { Witness } from '../../testing/scenario/play.ts'
import type { Answer } from '../../testing/scenario/scenario.ts'
import { eventLines } from '../transcript.ts'

/** Colour at a terminal that takes it (NO_COLOR), none elsewhere. */
export const good = (text: string): string => styleText('green', text, { stream: process.stdout })
export const bad = (text: string): string => styleText('red', text, { stream: process.stdout })
export const faint = (text: string): string => styleText('dim', text, { stream: process.stdout })

export class Trace implements Witness {
  readonly #host: TestHost
  /** The lines of the scenario's file, from 1. */
  readonly #text: readonly string[]
  readonly #lines: string[] = []
  /** Commands that were answered without a word and that led to the same line: shown as one. */
  #plain: { readonly line: number; readonly commands: string[] } | null = null
  #events = 0
  #logs = 0

  constructor(host: TestHost, text: readonly string[]) {
    this.#host = host
    this.#text = text
  }

  answered(line: number, command: string, answer: Answer): void {
    const below = this.#between()
    const plain = answer.reply === null && answer.kind === 'continue'
    if (plain && this.#plain?.line !== line) this.#flush()
    if (plain) {
      this.#plain ??= { line, commands: [] }
      this.#plain.commands.push(harmless(command))
      if (below.length > 0) this.#flush()
    } else {
      this.#flush()
      this.#step(line, `${harmless(command)} ${faint('→')} ${harmless(answerText(answer))}`)
    }
    this.#lines.push(...below)
  }

  judged(line: number, judged: Judged): void {
    this.#flush()
    this.#lines.push(...this.#between())
    const wanted = harmless(this.#text[line - 1]?.trim() ?? '')
    if (judged.kind === 'met') this.#step(line, `${wanted} ${good('✓')}`)
    else if (judged.kind === 'unseen') this.#step(line, `${wanted} ${faint(`not to be seen here: ${judged.what}`)}`)
    else this.#step(line, `${wanted} ${bad('✗')}`)
  }

  /** All lines, with what came after the last step. */
  end(): readonly string[] {
    this.#flush()
    this.#lines.push(...this.#between())
    return this.#lines
  }

  #flush(): void {
    if (this.#plain === null) return
    const { line, commands } = this.#plain
    this.#plain = null
    this.#step(line, `${commands.join(', ')} ${faint('→ ok')}`)
  }

  #step(line: number, text: string): void {
    this.#lines.push(`  ${faint(String(line).padStart(4))}  ${text}`)
  }

  /** What the filters logged and did since the last time. */
  #between(): string[] {
    const { events, logs } = this.#host
    const did = events.slice(this.#events).filter(isTelling)
    const logged = logs.slice(this.#logs).map(logText)
    this.#events = events.length
    this.#logs = logs.length
    return [...logged, ...did.flatMap(event => eventLines(event, false))].map(text => `      ${text}`)
  }
}

/** A filter that has no opinion says nothing. */
const isTelling = (event: HostEvent): boolean =>
  event.type !== 'filter-answered' || event.verdict.kind !== 'continue' || event.edits.length > 0

function logText({ level, message, fields }: LogLine): string {
  // There is one session and one message at a time.
  const { filter, session: _session, message: _message, ...rest } = fields
  const more = Object.keys(rest).length === 0 ? '' : ` ${JSON.stringify(rest, errorsAsText)}`
  const text = harmless(`${message}${more}`)
  return `  ${typeof filter === 'string' ? `${filter} ` : ''}log ${level}: ${level === 'error' || level === 'warn' ? bad(text) : faint(text)}`
}

const errorsAsText = (_key: string, value: unknown): unknown =>
  value instanceof Error ? value.message : typeof value === 'bigint' ? String(value) : value
