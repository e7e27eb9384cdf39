/**
 * A plugin's options: checked against its schema when the configuration is loaded.
 *
 * Every problem is told, each naming the option. A key the schema does not know is an error even where the schema would drop it in
 * silence, as zod's objects do: a misspelt option that does nothing is the postmaster's worst bug.
 */
import { pathText } from '../config/problem.ts'
import { entryKeysAt } from '../config/schema.ts'
import { hostError } from '../errors.ts'
import type { Schema, SchemaIssue } from './schema.ts'
import { type UnknownKey, unknownKeys } from './schema-shape.ts'
import { describeThrown } from './thrown.ts'

/** The options as `setup` gets them. Throws `PLUGIN_OPTIONS`. */
export async function readOptions(plugin: string, schema: Schema | undefined, given: unknown): Promise<unknown> {
  const refuse = (problems: readonly string[]): never => {
    throw hostError('PLUGIN_OPTIONS', plugin, problems.join('; '))
  }
  const input = given ?? {}
  if (schema === undefined) {
    const keys = typeof input === 'object' ? Object.keys(input) : [String(input)]
    return keys.length === 0 ? {} : refuse([`it takes no options, but was given ${keys.join(', ')}`])
  }
  const unknown = unknownKeys(schema, input)
  let result: Awaited<ReturnType<Schema['~standard']['validate']>>
  try {
    result = await schema['~standard'].validate(input)
  } catch (thrown) {
    return refuse([`its schema failed: ${describeThrown(thrown)}`])
  }
  const issues = (result.issues ?? []).flatMap(plainIssues).filter(issue => !tellsOfUnknownKeys(issue, unknown))
  const problems = [...unknown.map(each => ofTheEntry(plugin, each) ?? each.text), ...issues.map(issueText)]
  if (problems.length > 0) return refuse(problems)
  return result.issues === undefined ? result.value : refuse(['its schema refused them and did not say why'])
}

/** What every entry takes is not among the plugin's own options; `null` for what no entry takes either. */
function ofTheEntry(plugin: string, { key, path }: UnknownKey): string | null {
  if (path.length > 1 || !entryKeysAt([]).includes(key)) return null
  return `there is no option ${key}; it belongs to the entry, into a second object: ${plugin}({ … }, { ${key}: … })`
}

function issueText({ message, path = [] }: SchemaIssue): string {
  const keys = path.map(part => (typeof part === 'object' ? part.key : part))
  return keys.length === 0 ? message : `option ${pathText(keys)}: ${message}`
}

/**
 * Of several choices zod says that none fits: told is what is wrong with the one that was meant, or what there is to choose. Where the author
 * has words for it, those stand.
 */
function plainIssues(issue: SchemaIssue): readonly SchemaIssue[] {
  const { code, errors, path = [] } = issue as SchemaIssue & { readonly code?: unknown; readonly errors?: unknown }
  if (code !== 'invalid_union' || !Array.isArray(errors) || issue.message !== ZODS_WORDS) return [issue]
  const choices = errors as readonly (readonly SchemaIssue[])[]
  const meant = choices.filter(issues => issues.every(each => !isWrongKind(each)))
  const [nearest] = meant.toSorted((one, other) => one.length - other.length)
  if (nearest !== undefined)
    return nearest.flatMap(each => plainIssues({ ...each, path: [...path, ...(each.path ?? [])] }))
  const kinds = new Set(choices.flat().map(each => (each as { readonly expected?: unknown }).expected))
  const told = /, received (\w+)$/.exec(choices[0]?.[0]?.message ?? '')
  if (told === null || [...kinds].some(kind => typeof kind !== 'string')) return [issue]
  return [{ path, message: `Invalid input: expected ${[...kinds].join(' or ')}, received ${told[1]}` }]
}

const ZODS_WORDS = 'Invalid input'

/** Not this choice at all: another type of value. */
const isWrongKind = (issue: SchemaIssue): boolean =>
  (issue.path ?? []).length === 0 && (issue as { readonly code?: unknown }).code === 'invalid_type'

/** zod says the same of a strict object once more, and of one that is missing; ours has the suggestion. */
const tellsOfUnknownKeys = (issue: SchemaIssue, unknown: readonly UnknownKey[]): boolean => {
  const { code, keys } = issue as { code?: unknown; keys?: unknown }
  return code === 'unrecognized_keys' && Array.isArray(keys) && keys.every(key => unknown.some(it => it.key === key))
}
