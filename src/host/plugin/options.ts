/**
 * A plugin's options: checked against its schema when the configuration is loaded.
 *
 * Every problem is told, each naming the option. A key the schema does not know is an error even where the schema would drop it in
 * silence, as zod's objects do: a misspelt option that does nothing is the postmaster's worst bug.
 */
import { pathText, suggestion } from '../config/problem.ts'
import { hostError } from '../errors.ts'
import type { Schema, SchemaIssue } from './schema.ts'
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
  const issues = (result.issues ?? []).filter(issue => !tellsOfUnknownKeys(issue, unknown))
  const problems = [...unknown.map(({ text }) => text), ...issues.map(issueText)]
  if (problems.length > 0) return refuse(problems)
  return result.issues === undefined ? result.value : refuse(['its schema refused them and did not say why'])
}

function issueText({ message, path = [] }: SchemaIssue): string {
  const keys = path.map(part => (typeof part === 'object' ? part.key : part))
  return keys.length === 0 ? message : `option ${pathText(keys)}: ${message}`
}

interface UnknownKey {
  readonly key: string
  readonly text: string
}

/** Keys that an object schema (zod, valibot) does not name, at any depth that can be seen. */
function unknownKeys(schema: unknown, input: unknown, path: readonly string[] = []): readonly UnknownKey[] {
  const shape = shapeOf(schema)
  if (shape === null || typeof input !== 'object' || input === null || Array.isArray(input)) return []
  const known = Object.keys(shape)
  return Object.entries(input).flatMap(([key, value]) => {
    const here = [...path, key]
    if (Object.hasOwn(shape, key)) return unknownKeys(shape[key], value, here)
    const hint = suggestion(key, known) || (known.length > 0 ? `; it has ${known.join(', ')}` : '')
    return [{ key, text: `there is no option ${pathText(here)}${hint}` }]
  })
}

/** zod says the same of a strict object once more; ours has the suggestion. */
const tellsOfUnknownKeys = (issue: SchemaIssue, unknown: readonly UnknownKey[]): boolean => {
  const { code, keys } = issue as { code?: unknown; keys?: unknown }
  return code === 'unrecognized_keys' && Array.isArray(keys) && keys.every(key => unknown.some(it => it.key === key))
}

interface SchemaLike {
  /** zod objects. */
  readonly shape?: unknown
  /** valibot objects. */
  readonly entries?: unknown
  /** What a default, an optional or a transformation is laid around. */
  readonly def?: { readonly catchall?: unknown; readonly innerType?: unknown; readonly in?: unknown }
  readonly wrapped?: unknown
  readonly type?: unknown
}

/** The keys of an object schema with the schema of each; `null` for others and for those that let any key through. */
export function shapeOf(schema: unknown): Record<string, unknown> | null {
  if (typeof schema !== 'object' || schema === null) return null
  const { shape, entries, def, wrapped, type } = schema as SchemaLike
  const inner = def?.innerType ?? def?.in ?? wrapped
  if (inner !== undefined) return shapeOf(inner)
  if (typeof type === 'string' && /loose|rest/.test(type)) return null
  const catchall = def?.catchall as { readonly def?: { readonly type?: unknown } } | undefined
  if (catchall !== undefined && catchall.def?.type !== 'never') return null
  const found = shape ?? entries
  return typeof found === 'object' && found !== null ? (found as Record<string, unknown>) : null
}
