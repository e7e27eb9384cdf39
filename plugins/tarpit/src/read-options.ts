/**
 * The options of the plugin, checked and made ready: defaults filled in, lengths of time in milliseconds, lists compiled.
 *
 * A mistake is told with the option's name when the configuration is loaded. `options.ts` says what each one means.
 */
import {
  anyName,
  type Client,
  type NamePattern,
  type Networks,
  networks,
  PRIVATE_NETWORKS,
  parseDuration,
  type S25rRule,
  s25rRules,
} from 'milterhost/plugin'
import { z } from 'zod'
import type { Attempt, MaybePromise, Stage } from './options.ts'

export interface Options {
  readonly mode: 'targrey' | 'starpit' | 'rgrey' | 'both'
  /** Milliseconds. */
  readonly hold: number
  readonly at: Stage
  readonly earlyTalkers: boolean
  readonly proof: 'data' | 'eoh' | 'eom'
  readonly overLimit: 'greylist' | 'accept'
  readonly adaptive: { readonly least: number; readonly keep: number } | null
  readonly suspect: Suspect
  readonly bypass: Bypass
  readonly failedFor: number
  readonly life: number
  readonly greylist: { readonly wait: number; readonly window: number }
  readonly reply: { readonly code: 421 | 450 | 451; readonly enhanced: `4.${number}.${number}`; readonly text: string }
  readonly store: 'memory' | { readonly path: string } | null
  readonly entries: number
}

type NamedClient = Pick<Client, 'address' | 'hostname' | 'verified'>

export interface Suspect {
  /** Asks the rules; `null`: the shape of a name is no reason. */
  readonly s25r: ((client: NamedClient) => S25rRule | null) | null
  readonly unnamed: boolean
  readonly dnsbl: readonly string[]
  readonly when?: ((attempt: Attempt) => MaybePromise<boolean | string>) | undefined
}

export interface Bypass {
  readonly authenticated: boolean
  readonly tls: boolean
  readonly local: Networks
  readonly networks: Networks
  /** Asked with verified names, in lower case. */
  readonly names: (name: string) => boolean
  readonly recipients: ReadonlySet<string>
  readonly when?: ((attempt: Attempt) => MaybePromise<boolean>) | undefined
}

const DEFAULT_HOLD = 125_000
const LIGHT = 65_000
/** RFC 5321 §4.5.3.2: a client waits five minutes for a reply, two for that to DATA. The host allows no more either. */
const MOST = 240_000
const MOST_AT_DATA = 90_000
const TEN_YEARS = 3_650 * 86_400_000

/** Runs a constructor on a value, so that its complaint names the option. */
const built = <In extends z.ZodType, Out>(schema: In, build: (value: z.output<In>) => Out) =>
  schema.transform((value, context): Out => {
    try {
      return build(value as z.output<In>)
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message })
      return z.NEVER
    }
  })

const time = z.union([z.string(), z.number()])
const duration = (standard: string) => built(time.default(standard), value => parseDuration(value, TEN_YEARS))
const texts = z.array(z.string().min(1)).default([])
const patterns = z
  .array(
    z.custom<NamePattern>(
      value => typeof value === 'string' || value instanceof RegExp || typeof value === 'function',
      'must be a domain, a regular expression or a function',
    ),
  )
  .default([])
const predicate = <Answer>() =>
  z
    .custom<(attempt: Attempt) => MaybePromise<Answer>>(value => typeof value === 'function', 'must be a function')
    .optional()

const suspect = z.strictObject({
  s25r: built(
    z.union([z.boolean(), z.strictObject({ whitelist: patterns, blacklist: patterns })]).default(true),
    s25r => (s25r === false ? null : s25rRules(s25r === true ? {} : s25r)),
  ),
  unnamed: z.boolean().default(true),
  dnsbl: texts,
  when: predicate<boolean | string>(),
})

const bypass = z.strictObject({
  authenticated: z.boolean().default(true),
  tls: z.boolean().default(true),
  local: built(z.boolean().default(true), local => networks(local ? PRIVATE_NETWORKS : [])),
  networks: built(texts, networks),
  names: built(patterns, anyName),
  recipients: built(texts, list => new Set(list.map(text => text.toLowerCase().replace(/^@/, '')))),
  when: predicate<boolean>(),
})

const shape = z.strictObject({
  mode: z.enum(['targrey', 'starpit', 'rgrey', 'both']).default('targrey'),
  hold: built(time.optional(), hold => {
    if (hold === undefined) return null
    return hold === 'light' ? LIGHT : parseDuration(hold)
  }),
  at: z.enum(['connect', 'helo', 'mail', 'rcpt', 'data', 'eom']).default('rcpt'),
  earlyTalkers: z.boolean().default(false),
  proof: z.enum(['data', 'eoh', 'eom']).default('eom'),
  overLimit: z.enum(['greylist', 'accept']).optional(),
  adaptive: z
    .union([z.boolean(), z.strictObject({ least: duration('30s'), keep: z.number().gt(0).max(1).default(0.95) })])
    .default(false),
  suspect: suspect.prefault({}),
  bypass: bypass.prefault({}),
  failedFor: duration('2d'),
  life: duration('36d'),
  greylist: z.strictObject({ wait: duration('5m'), window: duration('24h') }).prefault({}),
  reply: z
    .strictObject({
      code: z.union([z.literal(421), z.literal(450), z.literal(451)]).default(450),
      enhanced: z.templateLiteral(['4.', z.int(), '.', z.int()]).default('4.7.1'),
      text: z.string().min(1).default('Greylisted, try again later'),
    })
    .prefault({}),
  store: z.union([z.literal('memory'), z.strictObject({ path: z.string().min(1) })]).optional(),
  entries: z.int().min(100).default(200_000),
})

export const optionsSchema: z.ZodType<Options, unknown> = shape.transform((given, context): Options => {
  const most = given.at === 'data' ? MOST_AT_DATA : MOST
  if (given.hold !== null && given.hold > most) {
    context.addIssue({ code: 'custom', path: ['hold'], message: `must be at most ${most / 1000} s at ${given.at}` })
    return z.NEVER
  }
  if (given.earlyTalkers && given.at !== 'connect') {
    context.addIssue({
      code: 'custom',
      path: ['earlyTalkers'],
      message: "needs at: 'connect': later, clients may send ahead",
    })
    return z.NEVER
  }
  const hold = given.hold ?? Math.min(DEFAULT_HOLD, most)
  const adaptive = given.adaptive === true ? { least: 30_000, keep: 0.95 } : given.adaptive || null
  const overLimit = given.overLimit ?? (given.mode === 'starpit' ? 'accept' : 'greylist')
  return { ...given, hold, adaptive, overLimit, store: given.store ?? null }
})
