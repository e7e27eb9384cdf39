/**
 * Who may reach one filter, made ready for a generation of the configuration: condition, users and central policy as one condition.
 *
 * Holds nothing of any session (`participation.ts` does). An entry that names none of these has no gate, and costs nothing.
 */
import type { Needs } from '../filter.ts'
import type { MacroStage } from '../macros.ts'
import type { Address } from '../plugin/address.ts'
import { all, type Condition, type MacroRule, macroRules, wantsOf } from './condition.ts'
import type { FactServices } from './facts.ts'
import type { Lookup } from './lookup.ts'
import type { Users } from './users.ts'

/**
 * How one filter is chosen for a message of several recipients: `any` takes part if one of them wants it, `all` only if every one does;
 * `split`: recipients that differ from the first accepted one are told 451, so that the client sends them apart.
 */
export type RecipientMode = 'any' | 'all' | 'split'

/** What a whole-message refusal or quarantine means when only some of the recipients wanted the filter. */
export type MixedMode = 'apply' | 'drop-recipients' | 'quarantine'

/** The part of an entry that says for which mail it is. */
export interface Selection {
  readonly when: Condition | null
  readonly users: Users | null
  readonly recipients: RecipientMode
  readonly mixed: MixedMode
}

export interface GateParts {
  readonly selection: Selection
  /** From `users:` and from the central policy, in the order they are asked. */
  readonly more: readonly Condition[]
  readonly services: FactServices
  /** Options that users or policy gave with their yes, by recipient. */
  readonly options: WeakMap<Address, Readonly<Record<string, unknown>>>
  readonly lookups: readonly Lookup[]
  readonly close: () => Promise<void>
}

export class Gate {
  readonly condition: Condition
  readonly rules: readonly MacroRule[]
  readonly recipients: RecipientMode
  readonly mixed: MixedMode
  readonly services: FactServices
  readonly options: GateParts['options']
  /** Those its conditions ask, for `check`. */
  readonly lookups: readonly Lookup[]
  /** Closes the look-ups of the generation, this filter's and all others'. */
  readonly close: () => Promise<void>

  constructor({ selection, more, services, options, lookups, close }: GateParts) {
    const { when, recipients, mixed } = selection
    this.condition = all(...(when === null ? [] : [when]), ...more)
    this.rules = when === null ? [] : macroRules(when)
    this.recipients = recipients
    this.mixed = mixed
    this.services = services
    this.options = options
    this.lookups = lookups
    this.close = close
  }

  /** What the conditions need of the MTA beside what the filter needs itself. */
  needs(): Pick<Needs, 'events' | 'answers' | 'edits' | 'macros'> {
    const { macros, events } = wantsOf(this.condition)
    const named = new Map<MacroStage, string[]>()
    for (const [stage, name] of macros) named.set(stage, [...(named.get(stage) ?? []), name])
    return {
      events: new Set(['connect', 'helo', 'mail', 'rcpt', 'data', ...events] as const),
      // A filter that joins late has its earlier verdicts told then.
      answers: new Set(['mail', 'rcpt', 'data'] as const),
      edits: new Set(
        this.mixed === 'apply' ? [] : ([this.mixed === 'quarantine' ? 'quarantine' : 'removeRecipient'] as const),
      ),
      macros: named,
    }
  }
}
