/**
 * What is wrong with a configuration, in words: one line a mistake, naming the entry and the option.
 *
 * All mistakes of a file are found at once; nothing here decides whether something is a mistake (`schema.ts`, `validate.ts`).
 */
import { closest, distance } from 'fastest-levenshtein'
import type { z } from 'zod'

/** `; did you mean "end"?` when one of the names is near, else nothing. */
export function suggestion(given: string, known: readonly string[]): string {
  if (known.length === 0) return ''
  const folded = new Map(known.map(name => [name.toLowerCase(), name]))
  const lower = given.toLowerCase()
  const near = closest(lower, [...folded.keys()])
  const within = Math.max(1, Math.floor(near.length / 3))
  const apart = distance(lower, near)
  // Two letters swapped are one slip, and two edits.
  const swapped = apart === 2 && [...lower].sort().join('') === [...near].sort().join('')
  return apart <= within || swapped ? `; did you mean "${folded.get(near)}"?` : ''
}

/** A value as it is quoted in a message. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value)
  if (value === null || typeof value !== 'object') return typeof value === 'function' ? 'a function' : String(value)
  return Array.isArray(value) ? 'a list' : value instanceof Promise ? 'a promise' : 'an object'
}

/** `limits.body`, `listen[1].mode`. */
export const pathText = (path: readonly PropertyKey[]): string =>
  path.reduce<string>(
    (text, part) =>
      typeof part === 'number' ? `${text}[${part}]` : text === '' ? String(part) : `${text}.${String(part)}`,
    '',
  )

/** The keys an object schema knows at a path, for suggestions. */
export type KnownKeys = (path: readonly PropertyKey[]) => readonly string[]

/** One line for each thing zod found. `prefix` names the entry, e.g. `filters[2] (opendkim): `; `base` is where the value stands. */
export function problemsOf(error: z.ZodError, known: KnownKeys, prefix = '', base: PropertyKey[] = []): string[] {
  return error.issues.flatMap(issue => {
    const at = pathText([...base, ...issue.path])
    switch (issue.code) {
      case 'unrecognized_keys':
        return issue.keys.map(key => {
          const hint = suggestion(key, known(issue.path)) || `; known here: ${known(issue.path).join(', ')}`
          return `${prefix}${pathText([...base, ...issue.path, key])} is not an option${hint}`
        })
      case 'invalid_value': {
        const values = issue.values.map(value => shown(value))
        const hint = typeof issue.input === 'string' ? suggestion(issue.input, issue.values.map(String)) : ''
        return [`${prefix}${at} must be ${values.join(' or ')}, not ${shown(issue.input)}${hint}`]
      }
      case 'invalid_type':
        return [`${prefix}${at} must be ${article(issue.expected)}, not ${shown(issue.input)}`]
      default:
        return [`${prefix}${at} ${issue.message}`]
    }
  })
}

const article = (expected: string): string =>
  expected === 'array'
    ? 'a list'
    : expected === 'boolean'
      ? 'true or false'
      : `${/^[aeiou]/.test(expected) ? 'an' : 'a'} ${expected}`
