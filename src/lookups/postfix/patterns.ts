/**
 * The patterns of `regexp:`, `pcre:` and `cidr:` tables: what a rule begins with, and how it tests a key.
 *
 * After regexp_table(5), pcre_table(5) and cidr_table(5) of Postfix 3.7. A pattern that cannot be used is an error of the whole table,
 * where Postfix warns and leaves the rule out: a rule that is silently not there is worse than a table that does not load. Pure.
 */
import { parseIp } from '../../host/policy/ip.ts'
import { networks } from '../../host/policy/networks.ts'
import { translateEre } from './ere.ts'
import { translatePcre } from './pcre.ts'
import type { ReadTest } from './rules.ts'

/** `regexp:` rules. Case does not matter unless the flag `i` is given. */
export const readRegexp: ReadTest = text => {
  const { pattern, flags, rest } = delimited(text)
  const on = toggled('ix', flags, 'imx')
  if (!on.has('x')) throw new Error('basic regular expressions (flag x) are not supported: write an extended one')
  const expression = new RegExp(translateEre(pattern), `s${on.has('i') ? 'i' : ''}${on.has('m') ? 'm' : ''}`)
  return { ...tester(expression), rest }
}

/** `pcre:` rules. Case does not matter unless the flag `i` is given. */
export const readPcre: ReadTest = text => {
  const { pattern, flags, rest } = delimited(text)
  // E changes nothing for keys without a line break, X nothing since PCRE2.
  const on = toggled('is', flags, 'imsxAEUX')
  if (on.has('U')) throw new Error('the flag U is not supported: write "?" behind the repetitions')
  const source = translatePcre(pattern, on.has('x'))
  const expression = new RegExp(
    // Only at the start, without sticky state: the pattern may have alternatives.
    on.has('A') ? `(?<![^])(?:${source})` : source,
    ['i', 'm', 's'].filter(flag => on.has(flag)).join(''),
  )
  return { ...tester(expression), rest }
}

/**
 * `cidr:` rules: a network or an address, in brackets or not. A rule is only about keys of its own family (measured on Postfix 3.7):
 * "not in 2001:db8::/32" says nothing about 192.0.2.1, nor about what is no address.
 */
export const readCidr: ReadTest = text => {
  const [pattern = ''] = /^\S*/.exec(text) ?? []
  const list = networks([pattern])
  const family = parseIp(/^\[?([^\]/]*)/.exec(pattern)![1]!)?.family
  return {
    test: key => (parseIp(key)?.family === family ? (list.has(key) ? [key] : null) : undefined),
    groups: 0,
    rest: text.slice(pattern.length).trim(),
  }
}

function tester(expression: RegExp): Pick<ReturnType<ReadTest>, 'test' | 'groups'> {
  // One more alternative, that always matches, tells how many groups there are.
  const groups = new RegExp(`${expression.source}|`).exec('')!.length - 1
  return { test: key => expression.exec(key), groups }
}

function delimited(text: string): { readonly pattern: string; readonly flags: string; readonly rest: string } {
  const delimiter = text[0]
  if (delimiter === undefined || /[\w\s]/.test(delimiter)) throw new Error(`there is no pattern: ${text}`)
  for (let at = 1; at < text.length; at++) {
    if (text[at] === '\\') at += 1
    else if (text[at] === delimiter) {
      const [, flags = '', rest = ''] = /^(\S*)\s*(.*)$/s.exec(text.slice(at + 1)) ?? []
      return { pattern: text.slice(1, at), flags, rest }
    }
  }
  throw new Error(`no "${delimiter}" ends the pattern`)
}

/** Each flag turns its meaning from what it is by default to the contrary. */
function toggled(initial: string, flags: string, known: string): ReadonlySet<string> {
  const on = new Set(initial)
  for (const flag of flags) {
    if (!known.includes(flag)) throw new Error(`there is no flag "${flag}"`)
    if (!on.delete(flag)) on.add(flag)
  }
  return on
}
