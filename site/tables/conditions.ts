/**
 * The tables of the conditions: each with what it holds for and when it is decided, and the arguments of all. From the signatures and doc
 * comments of what `milterhost/conditions` exports; everything that is not said is a line of the error.
 */
import { FACT_STAGES } from '../../src/host/policy/facts.ts'
import type { Callable, Comments, Member, Parameter } from './comments.ts'
import { LITERAL } from './literal.ts'
import { inOneLine, notes, table } from './markdown.ts'

/** The last sentence says when. */
const DECIDED = /^(.+) Decided (.+)\.$/

interface Condition {
  readonly name: string
  /** `percent, { by, seed }`, as code. */
  readonly taken: string
  readonly holds: string
  readonly decided: string
  readonly example: string
  readonly remarks: string
  readonly parameters: readonly Parameter[]
}

interface Argument {
  readonly name: string
  readonly type: string
  readonly initial: string
  readonly meaning: string
}

/** What is to stand at each place of the page; `link` makes its links. */
export function conditionTables(
  comments: Comments,
  file: string,
  link: (text: string) => string,
): ReadonlyMap<string, string> {
  const problems: string[] = []
  const conditions = comments
    .functionsOf(file)
    .filter(({ returns }) => returns === 'Condition')
    .map(one => conditionOf(one, problems))
    .toSorted((a, b) => stageOf(a) - stageOf(b))
  const rows = argumentRows(conditions, problems)
  if (problems.length > 0) throw new Error(problems.map(problem => `${file}: ${problem}`).join('\n'))
  return new Map([
    ['conditions', conditionTable(conditions, link)],
    [
      'arguments of conditions',
      table(
        ['argument', 'type', 'default', 'meaning'],
        rows.map(row => row.map(link)),
      ),
    ],
  ])
}

const conditionTable = (conditions: readonly Condition[], link: (text: string) => string): string =>
  [
    table(
      ['condition', 'arguments', 'holds if', 'decided'],
      conditions.map(({ name, taken, holds, decided, example }) => [
        `\`${name}\``,
        taken,
        `${inOneLine(link(holds))} Example: \`${example}\``,
        decided,
      ]),
    ),
    ...notes(conditions.map(({ name, remarks }) => [name, link(remarks)])),
  ].join('\n\n')

function conditionOf({ name, comment, parameters }: Callable, problems: string[]): Condition {
  const [, holds = '', decided = ''] = DECIDED.exec(comment.summary) ?? []
  const [example = ''] = comment.examples
  if (comment.summary === '') problems.push(`${name} has no doc comment: say what it holds for`)
  else if (decided === '')
    problems.push(`${name}: its doc comment has to end with "Decided at connect.", or whenever it is`)
  if (!example.startsWith(`${name}(`)) problems.push(`${name}: its first @example has to be a call of it`)
  return {
    name,
    taken: parameters.map(parameter => `\`${asWritten(parameter)}\``).join(', '),
    holds,
    decided,
    example,
    remarks: comment.remarks,
    parameters,
  }
}

function asWritten({ name, rest, bag, optional, members }: Parameter): string {
  if (!bag) return `${rest ? '...' : ''}${name}${optional ? '?' : ''}`
  return `{ ${members()
    .map(member => member.name)
    .join(', ')} }`
}

/** Those that belong to no stage come last. */
function stageOf({ decided }: Condition): number {
  const stage = FACT_STAGES.findIndex(name => new RegExp(`^at ${name}\\b`).test(decided))
  return stage < 0 ? FACT_STAGES.length : stage
}

/** What several conditions take alike is one row. */
function argumentRows(conditions: readonly Condition[], problems: string[]): readonly (readonly string[])[] {
  const takers = new Map<string, string[]>()
  const rows = new Map<string, Argument>()
  for (const { name, parameters } of conditions)
    for (const argument of parameters.flatMap(parameter => argumentsOf(name, parameter, problems))) {
      const key = JSON.stringify(argument)
      rows.set(key, argument)
      takers.set(key, [...(takers.get(key) ?? []), `\`${name}\``])
    }
  return [...rows].map(([key, { name, type, initial, meaning }]) => [
    `\`${name}\` (${takers.get(key)!.join(', ')})`,
    type,
    initial,
    sentence(inOneLine(meaning)),
  ])
}

function argumentsOf(condition: string, parameter: Parameter, problems: string[]): readonly Argument[] {
  const { bag, initializer, initializers, members } = parameter
  const taken = bag ? members() : [parameter]
  for (const { name, comment } of taken)
    if (comment.summary === '') problems.push(`${condition}: nothing is said of its argument ${name}`)
  if (!bag) return [argumentOf(parameter, initializer !== null && LITERAL.test(initializer) ? initializer : null)]
  return taken.map(member => {
    const { name, optional, comment } = member
    const code = initializers.get(name)
    if (optional && comment.initial === null)
      problems.push(`${condition}: its option ${name} does not say its @default`)
    else if (code !== undefined && LITERAL.test(code) && code !== comment.initial)
      problems.push(
        `${condition}: the @default of its option ${name} is ${comment.initial}, and the code takes ${code}`,
      )
    return argumentOf(member, comment.initial)
  })
}

const argumentOf = ({ name, type, comment }: Member, initial: string | null): Argument => ({
  name,
  type: `\`${type.replaceAll('readonly ', '').replaceAll(/\s+/g, ' ')}\``,
  initial: initial !== null && LITERAL.test(initial) ? `\`${initial}\`` : (initial ?? ''),
  meaning: comment.summary,
})

const sentence = (text: string): string =>
  text.replace(/^[a-z]/, letter => letter.toUpperCase()).replace(/(?<!\.)$/, '.')
