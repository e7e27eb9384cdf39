/**
 * What a replay found, gathered session by session: counts for each filter, and the messages that would have ended otherwise. Pure.
 */
import type { RecordedSession } from '../recording/recorded.ts'
import { compare, type MessageChange } from './compare.ts'
import type { Outcomes } from './outcome.ts'

export interface FilterCount {
  readonly filter: string
  readonly from: string
  readonly to: string
  /** Messages; a connection without one counts as one. */
  readonly messages: number
}

export interface Changed extends MessageChange {
  readonly file: string
}

export class ReplayReport {
  sessions = 0
  messages = 0
  different = 0
  readonly #changed: Changed[] = []
  readonly #counts = new Map<string, { filter: string; from: string; to: string; messages: number }>()

  add(file: string, session: RecordedSession, before: Outcomes, after: Outcomes): void {
    const { messages, changes } = compare(session, before, after)
    this.count(messages, changes)
    for (const change of changes) this.#changed.push({ file, ...change })
  }

  /** One session, without a list of its messages. */
  count(messages: number, changes: readonly MessageChange[]): void {
    this.sessions++
    this.messages += messages
    this.different += changes.length
    for (const change of changes) {
      const kinds = new Set(change.filters.map(({ filter, from, to }) => JSON.stringify([filter, from, to])))
      for (const kind of kinds) this.#tally(kind)
    }
  }

  /** In the order of the files. */
  get changed(): readonly Changed[] {
    return this.#changed.toSorted((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : 0))
  }

  /** The most frequent first. */
  get counts(): readonly FilterCount[] {
    const key = ({ filter, from, to }: FilterCount): string => JSON.stringify([filter, from, to])
    return [...this.#counts.values()].sort((a, b) => b.messages - a.messages || (key(a) < key(b) ? -1 : 1))
  }

  #tally(kind: string): void {
    const known = this.#counts.get(kind)
    if (known !== undefined) known.messages++
    else {
      const [filter, from, to] = JSON.parse(kind) as [string, string, string]
      this.#counts.set(kind, { filter, from, to, messages: 1 })
    }
  }
}
