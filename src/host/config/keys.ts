/**
 * The keys that a schema of options takes, read from the schema itself: for suggestions in messages, and for the tables of the
 * documentation (`site/tables/`), so that no list of keys is written a second time.
 */
import { z } from 'zod'

/** The object that a value may be, alone or beside shorter ways to write it; `null` where it is none. */
export function objectOf(schema: unknown): z.ZodObject | null {
  if (schema instanceof z.ZodOptional) return objectOf(schema.unwrap())
  if (schema instanceof z.ZodUnion) return schema.options.map(objectOf).find(found => found !== null) ?? null
  if (schema instanceof z.ZodObject) return schema
  const long = schema instanceof z.ZodType ? schema.meta()?.long : undefined
  return long instanceof z.ZodObject ? long : null
}

/** A value of which another function checks that it is `long` or one of the shorter ways to write it, which `words` names. */
export const shorter = (words: string, long: z.ZodObject): z.ZodUnknown =>
  z.unknown().meta({ description: words, long })

/** The keys known at a path; none where there is no object. */
export const keysAt = (schema: unknown, path: readonly PropertyKey[]): readonly string[] =>
  Object.keys(
    path.reduce<z.ZodObject | null>((object, key) => objectOf(object?.shape[String(key)]), objectOf(schema))?.shape ??
      {},
  )
