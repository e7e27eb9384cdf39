/**
 * The options of the plugin, checked and made ready: defaults filled in, lengths of time in milliseconds, lists compiled.
 *
 * A mistake is told with the option's name when the configuration is loaded. `options.ts` says what each one means.
 */
import {
  anyName,
  type Client,
  type Duration,
  type NamePattern,
  type Networks,
  networks,
  PRIVATE_NETWORKS,
  parseDuration,
  type S25rRule,
  s25rRules,
} from 'milterhost/plugin'
import { z } from 'zod'
import { contradictions } from './contradictions.ts'
import { addressList, enhancedCode, headerName, registeredDomains, urlText, zone, zoneList } from './option-texts.ts'
import type { Attempt, MaybePromise } from './options.ts'
import { PROVIDERS } from './providers.ts'
import { type RedisTarget, readRedis } from './redis-options.ts'
import { SENDER_KEYS, type SenderKey } from './sender.ts'

export interface Options {
  readonly mode: 'suspicious' | 'all'
  readonly at?: 'rcpt' | 'data' | 'eom' | undefined
  readonly store: EmbeddedTarget | RedisTarget
  readonly localStore?: { readonly path: string } | undefined
  readonly onStoreError: 'accept' | 'local' | 'tempfail'
  readonly onFull: 'accept' | 'tempfail'
  readonly secret?: string | undefined
  readonly wait: { readonly ordinary: number; readonly suspicious: number; readonly listed: number }
  readonly jitter: number
  readonly window: number
  readonly life: number
  readonly retries: number
  readonly known: { readonly after: number; readonly suspicious: number; readonly apart: number }
  readonly sender: SenderKey
  readonly reply: Reply
  readonly quiet: boolean
  readonly header: string | null
  readonly bypass: Bypass
  readonly suspect: Suspect
  readonly traps: { readonly recipients: ReadonlySet<string>; readonly for: number }
  readonly learnOutbound: boolean
  readonly demote: boolean
  readonly limits: {
    readonly perOrigin: number
    readonly perTransaction: number
    readonly entries: number
    readonly storeTime: number
    readonly dnsTime: number
  }
}

/** A file of the embedded store. */
export interface EmbeddedTarget {
  readonly kind: 'embedded'
  /** `null`: where it lies by default. */
  readonly path: string | null
}

export interface Reply {
  readonly code: 421 | 450 | 451
  readonly enhanced: `4.${number}.${number}`
  readonly text: string | readonly string[]
  readonly url?: string | undefined
}

export interface Bypass {
  readonly authenticated: boolean
  readonly tls: boolean
  readonly local: Networks
  readonly networks: Networks
  readonly backupMx: Networks
  readonly names: (name: string) => boolean
  readonly senders: ReadonlySet<string>
  readonly recipients: ReadonlySet<string>
  readonly dnswl?: { readonly zone: string; readonly score: number } | undefined
  readonly providers: ReadonlySet<string>
  readonly when?: ((attempt: Attempt) => MaybePromise<boolean>) | undefined
}

export interface Suspect {
  /** The rules asked whether a name makes a client suspicious; `null`: names do not. */
  readonly s25r: ((client: Pick<Client, 'address' | 'hostname' | 'verified'>) => S25rRule | null) | null
  readonly dnsbl: readonly string[]
  readonly spf: ReadonlySet<string>
  readonly helo: boolean
  readonly when?: ((attempt: Attempt) => MaybePromise<boolean | string>) | undefined
}

const TEN_YEARS = 3_650 * 86_400_000
/** No MTA waits longer for an answer to a command. Milliseconds. */
const LONGEST_CALL = 60_000

/** Runs a constructor of the host on a value, so that its complaint names the option. */
const built = <In extends z.ZodType, Out>(schema: In, build: (value: z.output<In>) => Out) =>
  schema.transform((value, context): Out => {
    try {
      return build(value as z.output<In>)
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message })
      return z.NEVER
    }
  })

const duration = (standard: Duration, longest = TEN_YEARS) =>
  built(z.unknown().default(standard), value => parseDuration(value, longest))
const texts = z.array(z.string().min(1)).default([])
const names = z
  .array(
    z.custom<NamePattern>(
      value => typeof value === 'string' || value instanceof RegExp || typeof value === 'function',
      'must be a domain, a regular expression or a function',
    ),
  )
  .default([])
const networkList = built(texts, networks)
const predicate = <Answer>() =>
  z
    .custom<(attempt: Attempt) => MaybePromise<Answer>>(value => typeof value === 'function', 'must be a function')
    .optional()
const addresses = built(texts, addressList)

const bypassSchema = z.strictObject({
  authenticated: z.boolean().default(true),
  tls: z.boolean().default(true),
  local: built(z.boolean().default(true), local => networks(local ? PRIVATE_NETWORKS : [])),
  networks: networkList,
  backupMx: networkList,
  names: built(names, anyName),
  senders: addresses,
  recipients: addresses,
  dnswl: z
    .strictObject({
      zone: built(z.string().default('list.dnswl.org'), zone),
      score: z.int().min(0).max(3).default(1),
    })
    .optional(),
  providers: built(z.array(z.string()).default([...PROVIDERS]), registeredDomains),
  when: predicate<boolean>(),
})

const suspectSchema = z.strictObject({
  s25r: built(
    z
      .union(
        [
          z.boolean(),
          z.strictObject({ whitelist: names, blacklist: names }, 'must be true, false or { whitelist, blacklist }'),
        ],
        'must be true, false or { whitelist, blacklist }',
      )
      .default(true),
    s25r => (s25r === false ? null : s25rRules({ ipv6: true, ...(s25r === true ? {} : s25r) })),
  ),
  dnsbl: built(texts, zoneList),
  spf: built(
    z.array(z.enum(['fail', 'softfail', 'neutral', 'none', 'permerror', 'temperror'])).default(['fail', 'softfail']),
    list => new Set<string>(list),
  ),
  helo: z.boolean().default(true),
  when: predicate<boolean | string>(),
})

const STORE = "must be 'embedded', { path: '/a/file' }, or a URL or the options of a Redis, such as redis://127.0.0.1"

const shape = z.strictObject({
  mode: z.enum(['suspicious', 'all']).default('suspicious'),
  at: z.enum(['rcpt', 'data', 'eom']).optional(),
  store: built(
    z
      .union([z.string().regex(/^(embedded$|rediss?:\/\/)/, STORE), z.record(z.string(), z.unknown())], STORE)
      .default('embedded'),
    readStore,
  ),
  localStore: z.strictObject({ path: z.string().min(1) }).optional(),
  onStoreError: z.enum(['accept', 'local', 'tempfail']).default('accept'),
  onFull: z.enum(['accept', 'tempfail']).default('accept'),
  secret: z.string().min(16, 'must be at least 16 characters').optional(),
  wait: z
    .strictObject({ ordinary: duration('60s'), suspicious: duration('300s'), listed: duration('900s') })
    .prefault({}),
  jitter: z.number().min(0).max(1).default(0.2),
  window: duration('24h'),
  life: duration('36d'),
  retries: z.int().min(1).max(10).default(1),
  known: z
    .strictObject({ after: z.int().min(0).default(2), suspicious: z.int().min(0).default(5), apart: duration('1h') })
    .prefault({}),
  sender: z.enum(SENDER_KEYS).default('normalised'),
  reply: z
    .strictObject({
      code: z.literal([421, 450, 451]).default(450),
      enhanced: built(z.string().default('4.7.1'), enhancedCode),
      text: z
        .union([z.string(), z.array(z.string())], 'must be a text or a list of lines')
        .refine(text => [text].flat().some(line => line.trim() !== ''), 'must not be empty')
        .default('Greylisted, try again later'),
      url: built(z.string(), urlText).optional(),
    })
    .prefault({}),
  quiet: z.boolean().default(true),
  header: built(
    z.union([z.boolean(), z.string()], 'must be true, false or the name of a header').default(false),
    headerName,
  ),
  bypass: bypassSchema.prefault({}),
  suspect: suspectSchema.prefault({}),
  traps: z.strictObject({ recipients: addresses, for: duration('24h') }).prefault({}),
  learnOutbound: z.boolean().default(true),
  demote: z.boolean().default(true),
  limits: z
    .strictObject({
      perOrigin: z.int().min(1).default(50),
      perTransaction: z.int().min(1).max(20).default(20),
      entries: z.int().min(1_000).default(1_000_000),
      storeTime: duration('400ms', LONGEST_CALL),
      dnsTime: duration('5s', LONGEST_CALL),
    })
    .prefault({}),
})

export const optionsSchema: z.ZodType<Options, unknown> = shape.superRefine((options, context) => {
  for (const { path, message } of contradictions(options))
    context.addIssue({ code: 'custom', path: path.split('.'), message })
})

function readStore(given: string | Readonly<Record<string, unknown>>): EmbeddedTarget | RedisTarget {
  if (given === 'embedded') return { kind: 'embedded', path: null }
  if (typeof given === 'string' || !Object.keys(given).every(key => key === 'path')) return readRedis(given)
  if (given.path !== undefined && (typeof given.path !== 'string' || given.path === ''))
    throw new Error('path must be that of a file')
  return { kind: 'embedded', path: given.path ?? null }
}
