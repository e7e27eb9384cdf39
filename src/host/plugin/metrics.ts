/**
 * Counters of plugins, kept in memory and readable as one snapshot.
 *
 * Names and labels follow Prometheus, so that whoever exports them need not rename. A counter holds a bounded number of
 * label sets: a plugin that labels with what comes from mail must not fill the memory.
 */
import type { Counter, Metrics } from './services.ts'

const MOST_LABEL_SETS = 1000

export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** A counter and its value for each set of labels. */
export interface CounterSnapshot {
  readonly name: string
  readonly help: string
  readonly samples: readonly Sample[]
}

export class MetricsRegistry implements Metrics {
  readonly #counters = new Map<string, StoredCounter>()

  counter(name: string, help: string): Counter {
    const key = name.replace(/[^a-zA-Z0-9_:]/g, '_').replace(/^(?=\d)/, '_')
    let counter = this.#counters.get(key)
    if (counter === undefined) {
      counter = new StoredCounter(help)
      this.#counters.set(key, counter)
    }
    return counter
  }

  snapshot(): readonly CounterSnapshot[] {
    return [...this.#counters].map(([name, counter]) => ({ name, help: counter.help, samples: counter.samples() }))
  }
}

interface Counted {
  readonly labels: Readonly<Record<string, string>>
  value: number
}

class StoredCounter implements Counter {
  readonly help: string
  readonly #samples = new Map<string, Counted>()
  /** Who counts the same often gives the same frozen labels, and they are not sorted each time. */
  readonly #frozen = new WeakMap<object, Counted>()

  constructor(help: string) {
    this.help = help
  }

  add(amount = 1, labels: Readonly<Record<string, string>> = {}): void {
    // A counter never falls; a wrong amount is a plugin's bug and must not cost mail.
    if (!(amount > 0 && Number.isFinite(amount))) return
    const known = this.#frozen.get(labels)
    if (known !== undefined) {
      known.value += amount
      return
    }
    const sorted = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))
    const key = JSON.stringify(sorted)
    let sample = this.#samples.get(key)
    if (sample === undefined) {
      if (this.#samples.size >= MOST_LABEL_SETS) {
        this.#overflow(amount)
        return
      }
      sample = { labels: Object.fromEntries(sorted), value: 0 }
      this.#samples.set(key, sample)
    }
    sample.value += amount
    if (Object.isFrozen(labels)) this.#frozen.set(labels, sample)
  }

  samples(): readonly Sample[] {
    return [...this.#samples.values()].map(sample => ({ ...sample }))
  }

  #overflow(amount: number): void {
    const sample = this.#samples.get('overflow')
    if (sample === undefined) this.#samples.set('overflow', { labels: { overflow: 'true' }, value: amount })
    else sample.value += amount
  }
}
