/**
 * The options of the plugin: as a configuration writes them, how they are read, and their defaults.
 */
import { type Duration, type Networks, networks, PRIVATE_NETWORKS, parseDuration } from 'milterhost/plugin'
import { z } from 'zod'
import { domainOf } from './domain.ts'
import type { EngineName, Result } from './engine.ts'

/** Which results are refused. `temperror` is refused for now (451), the others for good (550). */
export type Refused = Readonly<Partial<Record<Exclude<Result, 'pass'>, boolean>>>

/** The options of the plugin, as a configuration writes them. */
export interface SpfOptions {
  /** Who evaluates; `compare` believes mailauth and logs where spf-check differs. @default 'mailauth' */
  readonly engine?: EngineName
  /** What the name in HELO has to do with it: its results are refused too, only reported, or not looked at. @default 'enforce' */
  readonly helo?: 'enforce' | 'report' | 'off'
  /** @default { fail: true }; nothing with the engine `spf-check` */
  readonly reject?: Refused
  /** Other rules for some sender domains; `*.example.org` is every domain below that one. */
  readonly domains?: Readonly<Record<string, Refused>>
  /**
   * Refuses on the result of MAIL FROM only once the header is there, and only if the domain in From publishes no DMARC policy:
   * where there is one, a good DKIM signature may save the message, which a DMARC filter after this one decides. @default false
   */
  readonly deferToDmarc?: boolean
  /** Clients that are not looked at: no result is published. */
  readonly skip?: {
    /** @default the private networks and this machine, `PRIVATE_NETWORKS` */
    readonly networks?: readonly string[]
    /** Whoever has logged in. @default true */
    readonly authenticated?: boolean
  }
  /** Clients that are looked at, and never refused: forwarders, secondary MXs. */
  readonly allow?: {
    readonly networks?: readonly string[]
    /** Names in HELO that lead to the client's address. */
    readonly helo?: readonly string[]
    /** Domains of clients' host names that the MTA could verify, and whatever is below them. */
    readonly hostnames?: readonly string[]
    /** Domains whose own SPF record permits the client. */
    readonly domains?: readonly string[]
  }
  /** Writes a Received-SPF field (RFC 7208 §9.1), besides Authentication-Results. @default false */
  readonly receivedSpf?: boolean
  /** Shows the client what the domain's owner says about a fail (`exp=`): foreign text in your replies. @default false */
  readonly explanation?: boolean
  /** The text of refusals, with `{result}`, `{domain}`, `{ip}` and `{identity}`. */
  readonly text?: string
  /** For one identity; beyond it is a temperror. @default '20s' with Postfix, '6s' with other MTAs, which wait less */
  readonly timeout?: Duration
}

export interface Settings {
  readonly engine: EngineName
  readonly helo: 'enforce' | 'report' | 'off'
  readonly refused: Refused
  /** By domain; those below it under `*.domain`. */
  readonly domains: ReadonlyMap<string, Refused>
  readonly deferToDmarc: boolean
  readonly skip: { readonly networks: Networks; readonly authenticated: boolean }
  readonly allow: {
    readonly networks: Networks
    readonly helo: ReadonlySet<string>
    readonly hostnames: readonly string[]
    readonly domains: readonly string[]
  }
  readonly receivedSpf: boolean
  readonly explanation: boolean
  readonly text: string | null
  /** Milliseconds; `null` goes by the MTA. */
  readonly timeout: number | null
}

/** A transformation by a function that throws a `RangeError` whose message completes "option … ". */
const by =
  <I, O>(parse: (value: I) => O) =>
  (value: I, context: z.RefinementCtx): O => {
    try {
      return parse(value)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      context.addIssue({ code: 'custom', message: error.message })
      return z.NEVER
    }
  }

const domain = z.string().transform(
  by((value: string): string => {
    const name = domainOf(value)
    if (name === null) throw new RangeError(`must be a domain such as "example.org", not ${JSON.stringify(value)}`)
    return name
  }),
)

const networkList = z.array(z.string()).transform(by(networks))

const refused = z.strictObject({
  none: z.boolean().optional(),
  neutral: z.boolean().optional(),
  fail: z.boolean().optional(),
  softfail: z.boolean().optional(),
  temperror: z.boolean().optional(),
  permerror: z.boolean().optional(),
})

const domains = z.record(z.string(), refused).transform(
  by((given: Readonly<Record<string, z.output<typeof refused>>>): ReadonlyMap<string, Refused> => {
    const entries = Object.entries(given).map(([key, rule]): [string, Refused] => {
      const below = key.startsWith('*.')
      const name = domainOf(below ? `x${key.slice(1)}` : key)
      if (name === null)
        throw new RangeError(`has the key ${JSON.stringify(key)}, which is no domain and no "*.domain"`)
      return [below ? `*${name.slice(1)}` : name, clean(rule)]
    })
    return new Map(entries)
  }),
)

const PLACEHOLDERS = ['result', 'domain', 'ip', 'identity']
const text = z
  .string()
  .min(1)
  .max(400)
  .regex(/^[\x20-\x7e]*$/, 'must be one line of printable ASCII')
  .refine(given => [...given.matchAll(/\{(\w*)\}/g)].every(([, name]) => PLACEHOLDERS.includes(name!)), {
    error: `may hold {${PLACEHOLDERS.join('}, {')}} and no other name in braces`,
  })

const schema = z
  .strictObject({
    engine: z.enum(['mailauth', 'spf-check', 'compare']).default('mailauth'),
    helo: z.enum(['enforce', 'report', 'off']).default('enforce'),
    reject: refused.optional(),
    domains: domains.optional(),
    deferToDmarc: z.boolean().default(false),
    skip: z.strictObject({ networks: networkList.optional(), authenticated: z.boolean().default(true) }).optional(),
    allow: z
      .strictObject({
        networks: networkList.optional(),
        helo: z.array(domain).default([]),
        hostnames: z.array(domain).default([]),
        domains: z.array(domain).default([]),
      })
      .optional(),
    receivedSpf: z.boolean().default(false),
    explanation: z.boolean().default(false),
    text: text.optional(),
    timeout: z.unknown().transform(by(parseDuration)).optional(),
  })
  .transform(
    (given): Settings => ({
      engine: given.engine,
      helo: given.helo,
      refused: { ...(given.engine === 'spf-check' ? {} : { fail: true }), ...clean(given.reject) },
      domains: given.domains ?? new Map(),
      deferToDmarc: given.deferToDmarc,
      skip: {
        networks: given.skip?.networks ?? networks(PRIVATE_NETWORKS),
        authenticated: given.skip?.authenticated ?? true,
      },
      allow: {
        networks: given.allow?.networks ?? networks([]),
        helo: new Set(given.allow?.helo),
        hostnames: given.allow?.hostnames ?? [],
        domains: given.allow?.domains ?? [],
      },
      receivedSpf: given.receivedSpf,
      explanation: given.explanation,
      text: given.text ?? null,
      timeout: given.timeout ?? null,
    }),
  )

const clean = (rule: z.output<typeof refused> | undefined): Refused =>
  Object.fromEntries(Object.entries(rule ?? {}).filter(([, value]) => value !== undefined))

/** Its types are written, not inferred: what a configuration may write is `SpfOptions`. */
export const optionsSchema: z.ZodType<Settings, SpfOptions> = schema as unknown as z.ZodType<Settings, SpfOptions>
