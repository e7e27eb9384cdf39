/**
 * Reads the stream of events into counts since the start: messages by outcome, and what each filter said and took.
 *
 * Only filters that are followed are counted, so that a name out of an old configuration costs nothing; counting allocates nothing
 * for an event. The control socket shows them. Times are those of whole messages, over all stages a filter was asked at.
 */
import type { Outcome } from '../filter.ts'
import type { Verdict } from '../verdict.ts'
import type { HostEvent } from './event.ts'
import { Quantiles } from './quantiles.ts'

export interface FilterCounts {
  /** Messages it took part in. */
  readonly messages: number
  /** What it answered that was no plain "go on". In observe mode too. */
  readonly verdicts: Readonly<Record<Exclude<Verdict['kind'], 'continue'>, number>>
  readonly failures: number
  /** Milliseconds a message; `null` before the first. */
  readonly median: number | null
  readonly p99: number | null
}

export type Outcomes = Readonly<Record<Outcome, number>>

class Counts {
  readonly verdicts = { accept: 0, reject: 0, tempfail: 0, discard: 0, quarantine: 0 }
  readonly times = new Quantiles()
  failures = 0
}

export class Statistics {
  readonly #outcomes: Record<Outcome, number> = {
    accept: 0,
    reject: 0,
    tempfail: 0,
    discard: 0,
    quarantine: 0,
    aborted: 0,
    'client-left': 0,
  }
  #filters = new Map<string, Counts>()

  /** Counts these filters from now on, and forgets others. Those it knows go on where they were. */
  follow(names: readonly string[]): void {
    this.#filters = new Map(names.map(name => [name, this.#filters.get(name) ?? new Counts()]))
  }

  observe(event: HostEvent): void {
    if (event.type === 'filter-answered') {
      const counts = this.#filters.get(event.filter)
      const { kind } = event.verdict
      if (counts !== undefined && kind !== 'continue') counts.verdicts[kind]++
    } else if (event.type === 'filter-failed') {
      const counts = this.#filters.get(event.filter)
      if (counts !== undefined) counts.failures++
    } else if (event.type === 'message-settled') {
      this.#outcomes[event.outcome]++
      for (const [filter, milliseconds] of event.timings) this.#filters.get(filter)?.times.add(milliseconds)
    }
  }

  get outcomes(): Outcomes {
    return { ...this.#outcomes }
  }

  /** `null` for a filter that is not followed. */
  of(filter: string): FilterCounts | null {
    const counts = this.#filters.get(filter)
    if (counts === undefined) return null
    const { verdicts, times, failures } = counts
    return {
      messages: times.total,
      verdicts: { ...verdicts },
      failures,
      median: times.at(0.5),
      p99: times.at(0.99),
    }
  }
}
