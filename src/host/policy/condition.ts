/**
 * A condition: a predicate over facts that says whether a filter takes part, and how conditions are joined.
 *
 * Only descriptions; `evaluate.ts` asks them. A condition says nothing about the order of stages: that follows from the facts it reads.
 * Conditions are known by a mark and not by class, because a plugin or a configuration may bring its own copy of the package.
 * Wherever a condition is taken a plain function of `Facts` does as well.
 */
import { parseDuration } from '../config/duration.ts'
import type { Duration } from '../config/entry.ts'
import { shown } from '../config/problem.ts'
import type { Interest, MaybePromise } from '../filter.ts'
import type { MacroStage } from '../macros.ts'
import type { FactStage, Facts } from './facts.ts'
import type { LookupEntry } from './lookup.ts'

const MARK: unique symbol = Symbol.for('milterhost.condition') as never

export interface ConditionOptions {
  /** Its name for people, as `milterhost explain` shows it. @default the function's name */
  readonly describe?: string
  /** The first stage at which it is asked; from there on it is asked at every stage until the facts it reads are known. @default 'connect' */
  readonly at?: FactStage
  /** Longest time for one answer. @default '5s' */
  readonly timeout?: Duration
  /**
   * The answer when it throws, rejects or takes too long; logged and counted.
   * @default none: it cannot be decided, and the filter's `onFailure` holds; of the DNS lists `false`
   */
  readonly onError?: boolean
}

/** What a condition has to be told by the MTA. */
export interface ConditionWants {
  readonly macros?: readonly (readonly [MacroStage, string])[]
  readonly events?: readonly Interest[]
  /** Look-ups to be made ready. */
  readonly lookups?: readonly LookupEntry[]
  /** Filters whose verdict it reads: they must stand before. */
  readonly filters?: readonly string[]
}

/** Sets a macro for one filter, see `setMacro`. */
export interface MacroRule {
  readonly name: string
  readonly value: string | ((facts: Facts) => MaybePromise<string | null | undefined>)
  readonly when: Condition | null
}

/** Made by the functions of `milterhost/conditions`. */
export interface Condition {
  readonly [MARK]: 1
  readonly kind: 'test' | 'all' | 'any' | 'not' | 'macro'
  readonly describe: string
  /** Of `all`, `any`, `not`. */
  readonly parts: readonly Condition[]
  readonly at: FactStage
  /** Milliseconds. */
  readonly timeout: number
  readonly onError: boolean | null
  readonly wants: ConditionWants
  readonly macro: MacroRule | null
  test(facts: Facts): MaybePromise<boolean>
}

/** A plain function of the facts, sync or async. */
export type Predicate = (facts: Facts) => MaybePromise<boolean>

/** Whatever a condition is taken as. */
export type ConditionLike = Condition | Predicate

const TIMEOUT = 5_000

/**
 * The function returns `true`; for one of your own, where it alone does not say enough (docs/conditions.md#functions). Decided by the facts it reads.
 * @param test a function of the facts, sync or async
 * @throws RangeError for options that cannot be used
 * @example condition(odd, { describe: 'odd', onError: false })
 */
export function condition(test: Predicate, options: ConditionOptions = {}): Condition {
  return testCondition(test, options)
}

/** `wants`: what the shipped conditions need of the MTA. */
export function testCondition(test: Predicate, options: ConditionOptions, wants: ConditionWants = {}): Condition {
  if (typeof test !== 'function') throw new RangeError(`a condition is a function of the facts, not ${shown(test)}`)
  const { describe = test.name || 'a function', at = 'connect', timeout, onError } = options
  return make({
    kind: 'test',
    describe,
    at,
    timeout: timeout === undefined ? TIMEOUT : parseDuration(timeout),
    onError: onError ?? null,
    wants,
    test,
  })
}

/**
 * Every one of them holds. Asked in the order written; one that does not hold ends it. Decided with its parts.
 * @param conditions conditions, or functions of the facts
 * @example all(remoteNetwork(), not(authenticated()))
 */
export const all = (...conditions: readonly ConditionLike[]): Condition => joined('all', conditions)

/**
 * One of them holds. Asked in the order written; one that holds ends it. Decided with its parts.
 * @param conditions conditions, or functions of the facts
 * @example any(authenticated(), localNetwork())
 */
export const any = (...conditions: readonly ConditionLike[]): Condition => joined('any', conditions)

/**
 * The condition does not hold. Decided with it.
 * @param one a condition, or a function of the facts
 * @example not(tls())
 */
export const not = (one: ConditionLike): Condition => joined('not', [one])

/** A rule as a part of a condition: it always holds. */
export const macroCondition = (rule: MacroRule, describe: string): Condition =>
  make({ kind: 'macro', describe, macro: rule, ...(rule.when === null ? {} : { wants: wantsOf(rule.when) }) })

export const isCondition = (value: unknown): value is Condition =>
  typeof value === 'object' && value !== null && MARK in value

/** Functions that make a condition and may be called without arguments: easily written without the parentheses. */
const MAKERS = ['authenticated', 'tls', 'stress', 'verifiedPtr', 's25r', 'localNetwork', 'remoteNetwork', 'all', 'any']

/** Throws a `RangeError` whose message completes "when …". */
export function asCondition(value: unknown): Condition {
  if (isCondition(value)) return value
  if (typeof value === 'function') {
    // A predicate takes the facts; these take none, or any number of arguments.
    if (value.length === 0 && MAKERS.includes(value.name))
      throw new RangeError(`must be a condition: call it, ${value.name}()`)
    return testCondition(value as Predicate, {})
  }
  throw new RangeError(`must be a condition of milterhost/conditions or a function, not ${shown(value)}`)
}

/** Everything a condition and its parts want of the MTA. */
export function wantsOf(one: Condition): Required<ConditionWants> {
  const { macros = [], events = [], lookups = [], filters = [] } = one.wants
  const parts = one.parts.map(wantsOf)
  return {
    macros: [...macros, ...parts.flatMap(part => part.macros)],
    events: [...events, ...parts.flatMap(part => part.events)],
    lookups: [...lookups, ...parts.flatMap(part => part.lookups)],
    filters: [...filters, ...parts.flatMap(part => part.filters)],
  }
}

/** The macro rules in it. Throws a `RangeError` where one stands in `any` or `not`, in which it would have no meaning. */
export function macroRules(one: Condition): readonly MacroRule[] {
  if (one.macro !== null) return [one.macro]
  const rules = one.parts.flatMap(macroRules)
  if (rules.length > 0 && one.kind !== 'all')
    throw new RangeError(`setMacro always holds: it stands alone or in all(…), never in ${one.kind}(…)`)
  return rules
}

function joined(kind: 'all' | 'any' | 'not', given: readonly ConditionLike[]): Condition {
  if (given.length === 0) throw new RangeError(`${kind}() needs a condition`)
  const parts = given.map((one, index) => {
    try {
      return asCondition(one)
    } catch (error) {
      throw new RangeError(`${kind}: argument ${index + 1} ${(error as Error).message}`)
    }
  })
  return make({ kind, describe: `${kind}(${parts.map(part => part.describe).join(', ')})`, parts })
}

const make = (given: Partial<Condition> & Pick<Condition, 'kind' | 'describe'>): Condition =>
  Object.freeze({
    [MARK]: 1 as const,
    parts: [],
    at: 'connect' as const,
    timeout: TIMEOUT,
    onError: null,
    wants: {},
    macro: null,
    test: () => true,
    ...given,
  })
