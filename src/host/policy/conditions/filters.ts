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
 * A filter before this one objects, or does with one of these verdicts. A filter in observe mode counts as if it were not, so that one filter
 * decides whether another is asked.
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
 * A filter before this one published this result, and it passes the test if there is one.
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
  /** Domains, with all below them. @default [] */
  readonly domains?: readonly NamePattern[]
  /** A file of domains, one a line, `/…/` for a regular expression, `#` for comments. Read when the configuration is loaded. */
  readonly file?: string
  /** The result that must say `pass`. @default that of milter-plugin-spf, which has to stand before */
  readonly spf?: ResultKey<{ readonly result?: unknown }>
}

/**
 * The sender's domain is trusted, and SPF says that it is the sender's: a listed domain alone is forged in a moment.
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
  return text
    .split('\n')
    .map(line => line.replace(/(^|\s)#.*/, '').trim())
    .filter(line => line !== '')
    .map(line => {
      const expression = /^\/(.*)\/$/.exec(line)?.[1]
      return expression === undefined ? line : new RegExp(expression, 'i')
    })
}

/**
 * Gives the filter a macro the MTA does not tell, when the condition holds: for external milters that decide by macros (`sm_macro` of
 * milter-greylist). It always holds as a condition and keeps the filter waiting for nothing; write it beside others in `all(…)`.
 * @param value the value, or a function of the facts that gives it, or `null` for none. @default 'yes'
 * @example socket('milter-greylist', 'unix:/run/milter-greylist.sock', { when: all(remoteNetwork(), setMacro('stress', 'yes', stress())) })
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
