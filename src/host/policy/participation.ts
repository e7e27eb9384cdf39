/**
 * Whether one filter takes part, as one SMTP connection goes on: what is decided, for whom, and what is still open.
 *
 * It asks nobody but the conditions. The chain drives it with what the MTA tells, `explain` with what its user gave, so that
 * both come to the same end. An answer holds for as long as the facts behind it: a new HELO or a new message opens what rested on the old.
 */
import type { MaybePromise } from '../filter.ts'
import { bare, type MacroStage, type Macros } from '../macros.ts'
import { map } from '../plugin/maybe.ts'
import { describeThrown } from '../plugin/thrown.ts'
import type { Clock } from '../time/clock.ts'
import type { Condition, MacroRule } from './condition.ts'
import { type Decided, evaluate, type Finding, type Inquiry } from './evaluate.ts'
import {
  FACT_STAGES,
  type FactStage,
  FactView,
  type KnownFacts,
  NOT_YET,
  type Objection,
  type Recipient,
  rank,
} from './facts.ts'
import type { Gate } from './gate.ts'

/** What is around one decision. */
export interface Occasion {
  readonly stage: FactStage
  readonly recipient: Recipient | null
  readonly signal: AbortSignal
  /** Milliseconds there are for it. */
  left(): number
  verdictOf(filter: string): Objection | null
}

export type ConditionFailure = (condition: string, detail: string, used: boolean | null) => void

interface SetMacro {
  readonly since: number
  readonly value: string | null
}

const MACRO_STAGE_OF: Readonly<Record<FactStage, MacroStage>> = {
  connect: 'connect',
  helo: 'helo',
  mail: 'mail',
  rcpt: 'rcpt',
  data: 'data',
  message: 'eom',
}

export class Participation {
  readonly gate: Gate
  /** What was found for each accepted recipient. */
  readonly found: Map<Recipient, Finding> = new Map()
  /** What was found for the message as a whole, whoever its recipients are; `null` while it depends on them or is open. */
  settled: Decided | null = null
  /** What was found for the recipient that is being asked. */
  current: Finding | null = null
  readonly #known: KnownFacts
  readonly #clock: Clock
  readonly #failed: ConditionFailure
  readonly #shared = new Map<Condition, Decided>()
  readonly #own = new Map<Recipient, Map<Condition, Decided>>()
  readonly #macros = new Map<MacroRule, SetMacro>()

  constructor(gate: Gate, known: KnownFacts, clock: Clock, failed: ConditionFailure) {
    this.gate = gate
    this.#known = known
    this.#clock = clock
    this.#failed = failed
  }

  /** The facts from this stage on are new: what rested on the old ones is open again. */
  renew(stage: 'connect' | 'helo' | 'mail'): void {
    const from = rank(stage)
    // What failed is tried again for the next message, and not at every step of this one.
    for (const [condition, decided] of this.#shared)
      if (decided.since >= from || (decided.value === 'failed' && stage !== 'helo')) this.#shared.delete(condition)
    for (const [rule, { since }] of this.#macros) if (since >= from) this.#macros.delete(rule)
    this.#own.clear()
    this.found.clear()
    this.current = null
    this.settled = null
  }

  /** Finds out, as far as the facts of this stage allow. */
  decide(occasion: Occasion): MaybePromise<Finding> {
    if (this.settled !== null) return this.settled
    return map(evaluate(this.gate.condition, this.#inquiry(occasion)), found => {
      if (found.value !== null && !found.perRecipient) this.settled = found
      return found
    })
  }

  /** The recipient was accepted, with what was found for it. */
  accept(recipient: Recipient): void {
    if (this.current !== null) this.found.set(recipient, this.current)
    this.current = null
  }

  /** `split`: this recipient has to come in another message than those accepted so far. */
  differs(found: Finding): boolean {
    if (this.gate.recipients !== 'split') return false
    const [first] = this.found.values()
    return first !== undefined && (first.value === true) !== (found.value === true)
  }

  /** Accepted recipients for whom it is not decided yet. */
  get open(): readonly Recipient[] {
    return [...this.found].flatMap(([recipient, { value }]) => (value === null ? [recipient] : []))
  }

  /** Accepted recipients that want the filter. Nobody, under `all`, until every one does. */
  get wanted(): readonly Recipient[] {
    const wanted = [...this.found].flatMap(([recipient, { value }]) => (value === true ? [recipient] : []))
    return this.gate.recipients === 'all' && wanted.length < this.found.size ? [] : wanted
  }

  /** Decides the macros that conditions set, as far as they can be known. */
  async setMacros(occasion: Occasion): Promise<void> {
    for (const rule of this.gate.rules) {
      if (this.#macros.has(rule)) continue
      const set = await this.#macroOf(rule, occasion)
      if (set !== null) this.#macros.set(rule, set)
    }
  }

  /** An event as this filter is to see it: with the macros that were set for it. */
  shown<E extends { readonly macros: Macros }>(event: E): E {
    const set = new Map<MacroStage, Map<string, string>>()
    for (const [{ name }, { since, value }] of this.#macros) {
      if (value === null) continue
      const stage = MACRO_STAGE_OF[FACT_STAGES[since]!]
      set.set(stage, (set.get(stage) ?? new Map<string, string>()).set(bare(name), value))
    }
    return set.size === 0 ? event : { ...event, macros: withMacros(event.macros, set) }
  }

  async #macroOf(rule: MacroRule, occasion: Occasion): Promise<SetMacro | null> {
    const inquiry = this.#inquiry(occasion)
    const found = rule.when === null ? ALWAYS : await evaluate(rule.when, inquiry)
    if (found.value === null) return null
    if (found.value !== true) return { since: found.since, value: null }
    if (typeof rule.value === 'string') return { since: found.since, value: rule.value }
    const view = new FactView(inquiry.from, () => occasion.signal)
    try {
      const value = (await rule.value(view)) ?? null
      return { since: Math.max(found.since, view.latest), value: value === null ? null : String(value) }
    } catch (thrown) {
      if (thrown === NOT_YET) return null
      this.#failed(`setMacro(${rule.name})`, describeThrown(thrown), false)
      return { since: rank(occasion.stage), value: null }
    }
  }

  #inquiry({ stage, recipient, signal, left, verdictOf }: Occasion): Inquiry {
    return {
      from: { known: this.#known, stage, recipient, services: this.gate.services, verdictOf },
      memory: { shared: this.#shared, recipient: recipient === null ? null : this.#memoryOf(recipient) },
      clock: this.#clock,
      signal,
      left,
      failed: ({ describe }, detail, used) => this.#failed(describe, detail, used),
    }
  }

  #memoryOf(recipient: Recipient): Map<Condition, Decided> {
    let memory = this.#own.get(recipient)
    if (memory === undefined) {
      memory = new Map()
      this.#own.set(recipient, memory)
    }
    return memory
  }
}

const ALWAYS: Decided = { value: true, since: 0, perRecipient: false, by: [] }

function withMacros(macros: Macros, set: ReadonlyMap<MacroStage, ReadonlyMap<string, string>>): Macros {
  const encoded = new Map(
    [...set].map(([stage, values]) => [
      stage,
      new Map([...values].map(([name, value]) => [name, Buffer.from(value, 'utf8').toString('latin1')])),
    ]),
  )
  return {
    get: name => {
      for (const values of encoded.values()) {
        const value = values.get(bare(name))
        if (value !== undefined) return value
      }
      return macros.get(name)
    },
    at: stage => macros.at(stage),
    forced: stage => encoded.get(stage),
  }
}
