/**
 * The options of a type: what its schema takes and what its doc comments say, brought together.
 *
 * Schema and type have to name the same keys, every key has to be explained, and a default that is written as a value has to be the one
 * that the code gives; each mistake is a line of the error.
 */
import { objectOf } from '../../src/host/config/keys.ts'
import type { Member } from './comments.ts'
import { LITERAL, valueIn } from './literal.ts'
import { inWords, wordsOf } from './words.ts'

export interface Option {
  /** `budget.command`. */
  readonly path: string
  /** The values it takes. */
  readonly values: string
  /** Markdown; empty for a group. */
  readonly initial: string
  readonly meaning: string
  readonly remarks: string
  /** Only holds the options that follow, and is nothing of its own. */
  readonly group: boolean
}

export interface OptionSource {
  /** Of zod; where options are checked without one, an object that says in words what each takes. */
  readonly schema: unknown
  readonly members: readonly Member[]
  /** Makes of what is written what the program goes by. A default that is written must change nothing in that. */
  readonly settle: (written: Written) => unknown
  /** What has to be written at least, so that everything else may be. */
  readonly least: Written
  /** Options whose default is only made when it is needed. */
  readonly later: readonly string[]
}

export type Written = Readonly<Record<string, unknown>>

/** A longer text does not fit into the cell of a table. */
const LONGEST = 190

/** Throws with everything that is wrong. `type` names the type in messages. */
export function optionsOf(type: string, source: OptionSource): readonly Option[] {
  const problems: string[] = []
  const options = below('', source.schema, source.members, source, problems)
  if (problems.length > 0) throw new Error(problems.map(problem => `${type}.${problem}`).join('\n'))
  return options
}

function below(
  parent: string,
  schema: unknown,
  members: readonly Member[],
  source: OptionSource,
  problems: string[],
): readonly Option[] {
  const shape = shapeOf(schema) ?? {}
  const byName = new Map(members.map(member => [member.name, member]))
  for (const { name } of members)
    if (!(name in shape)) problems.push(`${parent}${name} is in the type, and the schema does not take it`)
  return Object.entries(shape).flatMap(([name, part]) => {
    const path = `${parent}${name}`
    const member = byName.get(name)
    if (member === undefined) {
      problems.push(`${path} is taken by the schema, and not in the type`)
      return []
    }
    const parts = shapeOf(part)
    const inner = parts === null ? [] : below(`${path}.`, part, member.members(), source, problems)
    const group = parts !== null && member.comment.initial === null && member.optional
    return [{ ...optionOf(path, part, member, group, source, problems), group }, ...inner]
  })
}

const shapeOf = (schema: unknown): Readonly<Record<string, unknown>> | null =>
  inWords(schema) ? schema : (objectOf(schema)?.shape ?? null)

function optionOf(
  path: string,
  schema: unknown,
  { comment, optional }: Member,
  group: boolean,
  source: OptionSource,
  problems: string[],
): Omit<Option, 'group'> {
  const { summary, remarks, initial } = comment
  if (summary === '') problems.push(`${path} has no doc comment: say what it does`)
  if (summary.length > LONGEST)
    problems.push(`${path}: its doc comment is longer than ${LONGEST} characters: put the rest under @remarks`)
  if (optional && initial === null && !group) problems.push(`${path} does not say its @default`)
  if (!optional && initial !== null) problems.push(`${path} has to be given, and says a @default`)
  const literal = initial !== null && LITERAL.test(initial)
  if (literal && !source.later.includes(path)) {
    const wrong = changeBy(path, valueIn(initial), source)
    if (wrong !== null) problems.push(`${path}: its @default is ${initial}; ${wrong}`)
  }
  return {
    path,
    values: words(schema, path, problems),
    initial: literal ? `\`${initial}\`` : (initial ?? (optional ? '' : 'has to be given')),
    meaning: summary,
    remarks,
  }
}

function words(schema: unknown, path: string, problems: string[]): string {
  try {
    return wordsOf(schema)
  } catch (error) {
    problems.push(`${path} ${(error as Error).message}`)
    return ''
  }
}

/** What is wrong with a default; `null` when it changes nothing to write it. */
function changeBy(path: string, value: unknown, { settle, least }: OptionSource): string | null {
  try {
    const same = JSON.stringify(settle(withValue(least, path.split('.'), value))) === JSON.stringify(settle(least))
    return same ? null : 'the code has another'
  } catch (error) {
    return (error as Error).message
  }
}

function withValue(written: unknown, [key, ...more]: readonly string[], value: unknown): Written {
  const object: Written = typeof written === 'object' && written !== null ? (written as Written) : {}
  return { ...object, [key!]: more.length === 0 ? value : withValue(object[key!], more, value) }
}
