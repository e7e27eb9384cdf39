/**
 * Tables of rules, tried in order until one matches: regexp, pcre and cidr share everything but what a rule tests.
 *
 * `if TEST … endif` skips the rules between when the test fails, also nested; `!` turns a test around. `$1` in a result stands for what a
 * group of the rule matched. After regexp_table(5), pcre_table(5) and cidr_table(5) of Postfix 3.7. Pure.
 */
import { type LogicalLine, logicalLines, TableError } from './lines.ts'

/** Groups by number (0 is the whole) when it matches, `null` when not, `undefined` when the rule is not about such keys at all. */
export type Test = (key: string) => readonly (string | undefined)[] | null | undefined

/** Takes a test off the front of a text; `rest` is what follows, without the white space between. */
export type ReadTest = (text: string) => { readonly test: Test; readonly groups: number; readonly rest: string }

interface Rule {
  readonly test: Test
  readonly negated: boolean
  readonly result: (groups: readonly (string | undefined)[]) => string
}

interface Block {
  readonly test: Test
  readonly negated: boolean
  readonly rules: readonly (Rule | Block)[]
}

/** The result for a key, or `null`. Throws a `TableError` when the text is wrong. */
export function readRules(text: string, readTest: ReadTest): (key: string) => string | null {
  const open: { readonly line: number; readonly block: { rules: (Rule | Block)[] } }[] = []
  const top: (Rule | Block)[] = []
  for (const line of logicalLines(text)) {
    const here = open.at(-1)?.block.rules ?? top
    const condition = /^if(?=[\s!/]|$)\s*(.*)$/is.exec(line.text)
    if (condition !== null) {
      const { test, negated, rest } = read(line, condition[1]!, readTest)
      if (rest !== '') throw new TableError(line.number, `there is something behind the condition: ${rest}`)
      const block = { test, negated, rules: [] as (Rule | Block)[] }
      here.push(block)
      open.push({ line: line.number, block })
    } else if (/^endif(?:\s|$)/i.test(line.text)) {
      if (open.pop() === undefined) throw new TableError(line.number, 'endif without if')
    } else here.push(readRule(line, readTest))
  }
  const unclosed = open.at(-1)
  if (unclosed !== undefined) throw new TableError(unclosed.line, 'if without endif')
  return key => find(top, key)
}

function find(rules: readonly (Rule | Block)[], key: string): string | null {
  for (const rule of rules) {
    const groups = rule.test(key)
    if (groups === undefined || (groups === null) !== rule.negated) continue
    if ('result' in rule) return rule.result(groups ?? [])
    const inner = find(rule.rules, key)
    if (inner !== null) return inner
  }
  return null
}

interface Head {
  readonly test: Test
  readonly groups: number
  readonly negated: boolean
  readonly rest: string
}

function read({ number }: LogicalLine, text: string, readTest: ReadTest): Head {
  const marks = /^(?:!\s*)*/.exec(text)![0]
  const negated = marks.replace(/\s/g, '').length % 2 === 1
  try {
    return { ...readTest(text.slice(marks.length)), negated }
  } catch (error) {
    throw new TableError(number, (error as Error).message)
  }
}

function readRule(line: LogicalLine, readTest: ReadTest): Rule {
  const { test, groups, negated, rest } = read(line, line.text, readTest)
  if (rest === '') throw new TableError(line.number, 'there is no result')
  return { test, negated, result: template(line, rest, negated ? 0 : groups) }
}

/** `$1`, `${1}`, `$(1)` are groups, `$$` is a dollar sign. */
function template({ number }: LogicalLine, text: string, groups: number): Rule['result'] {
  const parts: (string | number)[] = []
  let from = 0
  for (const match of text.matchAll(/\$(?:(\$)|(\d+)|\{(\d+)\}|\((\d+)\))?/g)) {
    parts.push(text.slice(from, match.index))
    from = match.index + match[0].length
    const group = match[2] ?? match[3] ?? match[4]
    if (match[1] !== undefined) parts.push('$')
    else if (group === undefined) throw new TableError(number, 'a "$" in the result must be written "$$"')
    else if (Number(group) < 1 || Number(group) > groups) throw new TableError(number, `there is no group $${group}`)
    else parts.push(Number(group))
  }
  parts.push(text.slice(from))
  return found => parts.map(part => (typeof part === 'number' ? (found[part] ?? '') : part)).join('')
}
