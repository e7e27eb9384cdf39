/**
 * Conditions on what other filters found, and macros for filters that know of no conditions.
 */
import { readFileSync } from 'node:fs'
import { shown } from '../../config/problem.ts'
import type { MaybePromise } from '../../filter.ts'
import { bare } from '../../macros.ts'
import { type ResultKey, resultKey } from '../../results.ts'
import { asCondition, type Condition, type ConditionLike, macroCondition, testCondition } from '../condition.ts'
import { type FactStage, type Facts, type Objection, rank } from '../facts.ts'
import { call } from '../patterns.ts'
import { anyName, type NamePattern } from '../s25r.ts'

interface When {
  /** By when it must be there; what comes later counts as absent. @default 'rcpt' */
  readonly at?: FactStage
}

/**
 * A filter before this one objects, in observe mode too. Decided by the stage `at`.
 * @remarks The filter that is named must stand before. In observe mode it counts as if it were not, so that one filter decides whether another
 * is asked. What it says later than `at` counts as not said: give `{ at: 'message' }` for a verdict on the whole message.
 * @param filter name of the filter in the configuration
 * @param kinds only these of `'reject'`, `'tempfail'`, `'discard'`, `'quarantine'`; any, if none is given
 * @example verdict('spf', ['reject', 'tempfail'])
 */
export function verdict(
  filter: string,
  kinds?: Objection | readonly Objection[],
  { at = 'rcpt' }: When = {},
): Condition {
  if (typeof filter !== 'string' || filter === '')
    throw new RangeError(`verdict() needs a filter's name, not ${shown(filter)}`)
  checkStage(at)
  const wanted = kinds === undefined ? null : new Set(typeof kinds === 'string' ? [kinds] : kinds)
  return testCondition(
    facts => {
      const said = facts.verdict(filter, at)
      return said !== null && (wanted?.has(said) ?? true)
    },
    { describe: call('verdict', wanted === null ? [filter] : [filter, ...wanted]) },
    { filters: [filter] },
  )
}

/**
 * A filter before this one published this result, and it passes the test if there is one. Decided by the stage `at`.
 * @remarks What is published later than `at` counts as not published.
 * @param key a key of `resultKey`, mostly one that the plugin exports
 * @param test what the result has to pass, sync or async; anything does, if it is not given
 * @example result(spfResult, ({ result }) => result !== 'pass')
 */
export function result<T>(
  key: ResultKey<T>,
  test: (value: T) => MaybePromise<boolean> = () => true,
  { at = 'rcpt' }: When = {},
): Condition {
  if (typeof key?.name !== 'string') throw new RangeError(`result() needs a key of resultKey(…), not ${shown(key)}`)
  checkStage(at)
  return testCondition(
    facts => {
      const value = facts.result(key, at)
      return value !== undefined && test(value)
    },
    { describe: `result(${key.name})` },
  )
}

function checkStage(at: FactStage): void {
  if (rank(at) < 0) throw new RangeError(`${shown(at)} is not a stage`)
}

/** What `trusted` needs of an SPF filter's result. */
const SPF: ResultKey<{ readonly result?: unknown }> = resultKey('spf')

export interface TrustedOptions {
  /** Domains, with all below them; these or a file are needed. @default [] */
  readonly domains?: readonly NamePattern[]
  /** A file of domains, one a line, `/…/` for a regular expression, `#` for comments. Read when the configuration is loaded. @default none */
  readonly file?: string
  /** The result that must say `pass`. @default `resultKey('spf')`, of milter-plugin-spf, which has to stand before */
  readonly spf?: ResultKey<{ readonly result?: unknown }>
}

/**
 * The sender's domain is listed, and SPF says `pass`: a listed domain alone is forged in a moment. Decided at mail or rcpt, with SPF.
 * @example trusted({ file: '/etc/milterhost/trusted-domains' })
 */
export function trusted({ domains = [], file, spf = SPF }: TrustedOptions): Condition {
  const list = [...domains, ...(file === undefined ? [] : patternsIn(file))]
  if (list.length === 0) throw new RangeError('trusted() needs domains or a file with some')
  const matches = anyName(list)
  return testCondition(
    facts => {
      const { domain } = facts.sender
      return domain !== '' && matches(domain) && facts.result(spf)?.result === 'pass'
    },
    { describe: file === undefined ? call('trusted', domains) : call('trusted', [file]), at: 'mail' },
  )
}

function patternsIn(file: string): readonly NamePattern[] {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new RangeError(`trusted(): the file cannot be read: ${(error as Error).message}`)
  }
  return text.split('\n').flatMap((line, at) => {
    const written = line.replace(/(^|\s)#.*/, '').trim()
    if (written === '') return []
    try {
      const expression = /^\/(.*)\/$/.exec(written)?.[1]
      const pattern = expression === undefined ? written : new RegExp(expression, 'i')
      anyName([pattern])
      return pattern
    } catch (error) {
      throw new RangeError(`trusted(): ${file}:${at + 1}: ${(error as Error).message}`)
    }
  })
}

/**
 * Always; gives the filter a macro that the MTA does not tell (docs/conditions.md#macros). Decided at once.
 * @remarks It is for external milters that decide by macros (`sm_macro` of milter-greylist), keeps the filter waiting for nothing, and stands alone or
 * beside others in `all(…)`.
 * @param name name of the macro, with or without braces
 * @param value a text, or a function of the facts that gives it or `null` for none
 * @param when gives it only if this holds
 * @example setMacro('stress', 'yes', stress())
 */
export function setMacro(
  name: string,
  value: string | ((facts: Facts) => MaybePromise<string | null | undefined>) = 'yes',
  when: ConditionLike | null = null,
): Condition {
  if (typeof name !== 'string' || !/^(\{[\w.]+\}|[\w.]+)$/.test(name))
    throw new RangeError(`${shown(name)} is not a macro name such as "stress"`)
  if (typeof value !== 'function' && (typeof value !== 'string' || value.includes('\0')))
    throw new RangeError(`the value of a macro is a text without NUL, not ${shown(value)}`)
  const condition = when === null ? null : asCondition(when)
  return macroCondition({ name: bare(name), value, when: condition }, call('setMacro', [name]))
}
