/**
 * The options that every look-up takes, whatever it asks: how long answers hold, how long it may take, what a failure means.
 *
 * Checked when the configuration executes, each problem named; the driver's own options are checked with them, against the schema
 * that the driver brings.
 */
import { z } from 'zod'
import { parseDuration } from '../config/duration.ts'
import type { Duration } from '../config/entry.ts'
import { keysAt } from '../config/keys.ts'
import { problemsOf } from '../config/problem.ts'
import { hostError } from '../errors.ts'
import type { Schema } from '../plugin/schema.ts'
import type { BreakerSettings } from './breaker.ts'
import type { CacheSettings } from './cache.ts'

/** Taken by every look-up. */
export interface LookupOptions<T = unknown> {
  /** In logs, counters and answers. @default the kind, e.g. `sql` */
  readonly name?: string
  /** What a value must be, and what it becomes: any Standard Schema (zod, valibot, arktype). @default none: it is taken as it comes */
  readonly schema?: Schema<unknown, T>
  /** How long answers are kept; `false`: ask each time. @default kept, except what lies in memory anyway (files, tables in files) */
  readonly cache?:
    | false
    | {
        /** How long an answer holds. @default '1m' */
        readonly ttl?: Duration
        /** How long "nothing there" holds. @default '30s' */
        readonly negative?: Duration
        /** How long an answer may still serve `onError: 'stale'`. @default '1d' */
        readonly stale?: Duration
        /** Most keys kept; the least recently used leave first. @default 20000 */
        readonly size?: number
      }
  /** Longest time for one answer; always also bounded by what is left of the budget of the chain. @default '5s' */
  readonly timeout?: Duration
  /**
   * What happens when the source cannot be asked. All but `'fail'` are logged and counted.
   * @remarks
   * - `'fail'`: whoever asked fails; for a filter's condition or users that means `onFailure` of the filter, `451` by default.
   * - `'stale'`: the last known answer serves; where there is none, as `'fail'`.
   * - `'none'`: as if nothing were there.
   * - `{ value }`: as if this were there.
   * @default 'fail'
   */
  readonly onError?:
    | 'fail'
    | 'stale'
    | 'none'
    | {
        /** As if this were there. */
        readonly value: T
      }
  /** A source that fails again and again is left alone for a while. */
  readonly breaker?: {
    /** Failures in a row after which it is left alone. @default 5 */
    readonly failures?: number
    /** For how long; then one call tries. @default '5s' */
    readonly pause?: Duration
  }
}

/** `LookupOptions` with every default filled in; times in milliseconds. */
export interface LookupSettings<T = unknown> {
  readonly name: string
  readonly schema: Schema<unknown, T> | null
  readonly cache: CacheSettings | null
  readonly timeout: number
  readonly onError: 'fail' | 'stale' | 'none' | { readonly value: T }
  readonly breaker: BreakerSettings
}

const duration = z
  .unknown()
  .transform((value, context): number => {
    try {
      return parseDuration(value)
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as RangeError).message })
      return z.NEVER
    }
  })
  .describe('duration')

const count = z
  .int('must be a whole number of at least 1')
  .min(1, 'must be a whole number of at least 1')
  .describe('whole number, at least 1')

const cache = z.strictObject({
  ttl: duration.optional(),
  negative: duration.optional(),
  stale: duration.optional(),
  size: count.optional(),
})
const breaker = z.strictObject({ failures: count.optional(), pause: duration.optional() })
const common = {
  name: z
    .string()
    .regex(/^[A-Za-z0-9@][\w.@/-]{0,63}$/, 'must be letters, digits, ".", "_", "-", "/" or "@"')
    .describe('text, at most 64 characters')
    .optional(),
  schema: z.custom<Schema>(isSchema, 'must be a Standard Schema, e.g. of zod').describe('schema').optional(),
  cache: z.union([z.literal(false), cache], 'must be false or { ttl, negative, stale, size }').optional(),
  timeout: duration.optional(),
  onError: z
    .union(
      [z.enum(['fail', 'stale', 'none']), z.strictObject({ value: z.unknown().describe('any value') })],
      'must be "fail", "stale", "none" or { value: … }',
    )
    .optional(),
  breaker: breaker.optional(),
}

/** Those that every look-up takes. */
export const LOOKUP_OPTIONS: z.ZodObject = z.strictObject(common)

export interface ReadOptions<T, Own> {
  readonly settings: LookupSettings<T>
  readonly own: Own
}

/**
 * Checks all options of a look-up. `shape` are the driver's own; `inMemory` tables have no cache by default.
 * Throws `LOOKUP_OPTIONS` with every problem.
 */
export function readLookupOptions<T, Shape extends z.ZodRawShape>(
  kind: string,
  shape: Shape,
  given: unknown,
  inMemory: boolean,
): ReadOptions<T, z.output<z.ZodObject<Shape>>> {
  const whole = z.strictObject({ ...common, ...shape })
  const parsed = whole.safeParse(given, { reportInput: true })
  if (!parsed.success) {
    const problems = problemsOf(parsed.error, path => keysAt(whole, path))
    throw hostError('LOOKUP_OPTIONS', kind, problems.join('; '))
  }
  const options = parsed.data as z.output<z.ZodObject<typeof common>>
  const settings: LookupSettings<T> = {
    name: options.name ?? kind,
    schema: (options.schema as Schema<unknown, T> | undefined) ?? null,
    cache: cacheSettings(options.cache, inMemory),
    timeout: options.timeout ?? 5_000,
    onError: (options.onError as LookupSettings<T>['onError'] | undefined) ?? 'fail',
    breaker: { failures: options.breaker?.failures ?? 5, pause: options.breaker?.pause ?? 5_000 },
  }
  return { settings, own: parsed.data as z.output<z.ZodObject<Shape>> }
}

function cacheSettings(given: z.output<typeof cache> | false | undefined, inMemory: boolean): CacheSettings | null {
  if (given === false || (given === undefined && inMemory)) return null
  const { ttl = 60_000, negative = 30_000, stale = 86_400_000, size = 20_000 } = given ?? {}
  return { ttl, negative, stale, size }
}

function isSchema(value: unknown): boolean {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false
  const standard = (value as Partial<Schema>)['~standard']
  return typeof standard === 'object' && standard.version === 1 && typeof standard.validate === 'function'
}
