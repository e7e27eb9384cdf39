/**
 * The options of the plugin: how they are read, and their defaults.
 */
import type { Schema } from 'milterhost/plugin'
import { z } from 'zod'
import { cleanDomain } from './domain.ts'
import { networkFault } from './networks.ts'

/** A duration: `'30s'`, `'5m'`, `'7d'`, or a number of seconds. */
type Duration = string | number
type Policy = 'none' | 'quarantine' | 'reject'

/** A key that signs. Without `from` it signs for authors of its domain and of those below it. */
export interface KeyOptions {
  readonly domain: string
  readonly selector: string
  /** Path of the private key, in PEM; nobody else may read it. */
  readonly file: string
  /** Addresses of authors it signs for, `*` is any text. @default ['*@DOMAIN', '*@*.DOMAIN'] */
  readonly from?: readonly string[] | undefined
  /** Only for these SMTP logins; `*` is any text. @default all, and clients of local networks */
  readonly users?: readonly string[] | undefined
  /** Only for clients in these networks. @default all */
  readonly networks?: readonly string[] | undefined
  /** For `i=`; `%` is the author's domain. @default none */
  readonly identity?: string | undefined
}

/** The options of the plugin, as a configuration writes them. */
export interface DkimOptions {
  /** `both`: sign what comes from local networks and logged-in users, verify the rest. @default 'both' */
  readonly mode?: 'both' | 'sign' | 'verify' | undefined
  /** @default ['127.0.0.0/8', '::1/128'] */
  readonly localNetworks?: readonly string[] | undefined
  /** Whether mail of logged-in users is `local` mail, to be signed. @default 'local' */
  readonly authenticated?: 'local' | 'foreign' | undefined
  readonly verify?:
    | {
        /** Signatures of one message that are looked at, from the top. @default 10 */
        readonly maxSignatures?: number | undefined
        /** Of an RSA key. @default 1024 */
        readonly minKeyBits?: number | undefined
        /** How much clocks may differ. @default '5m' */
        readonly clockDrift?: Duration | undefined
        /** For all look-ups of one message. @default '15s' */
        readonly dnsTime?: Duration | undefined
      }
    | undefined
  readonly arc?:
    | {
        /** Domains whose seals are believed: `example.org`, `.example.org` for all below, `*`. @default [] */
        readonly trustedSealers?: readonly string[] | undefined
        /** Seals every message that was verified. @default no seal */
        readonly seal?: { readonly domain: string; readonly selector: string; readonly file: string } | undefined
      }
    | undefined
  /** `false`: DMARC is not looked at. */
  readonly dmarc?:
    | false
    | {
        /** The most that is done about a message that fails. @default 'report-only' */
        readonly policy?: Policy | 'report-only' | undefined
        /** What is done for authors of these domains instead of what they ask for. @default {} */
        readonly domains?: Readonly<Record<string, Policy>> | undefined
        /** A message whose From field names no author, or several domains. @default 'accept' */
        readonly badFrom?: 'accept' | 'quarantine' | 'reject' | undefined
        /** The policy cannot be looked up. @default 'accept' */
        readonly temperror?: 'accept' | 'tempfail' | undefined
      }
    | undefined
  readonly sign?:
    | {
        /** Every one that fits signs. @default [] */
        readonly keys?: readonly KeyOptions[] | undefined
        /** OpenDKIM's KeyTable: `file:` and a path, or `csl:` and its lines as `key=value`, with commas between. */
        readonly keyTable?: string | undefined
        /** OpenDKIM's SigningTable: `file:` or `refile:` and a path, or `csl:`. */
        readonly signingTable?: string | undefined
        /** All lines of the SigningTable that fit sign, not only the first. @default false */
        readonly multipleSignatures?: boolean | undefined
        /** Of header and body. @default 'relaxed/relaxed' */
        readonly canonicalization?: Canonicalization | undefined
        /** Fields that are signed where they occur. @default those of RFC 6376 §5.4.1 and those of MIME */
        readonly headers?: readonly string[] | undefined
        /** Fields of which nobody may add another. @default those that a reader is shown and those of MIME */
        readonly oversign?: readonly string[] | undefined
        /** How long a signature is valid. @default for ever */
        readonly expiry?: Duration | undefined
        /** Logins of the form `user@domain` may only send as that domain. @default false */
        readonly userDomain?: boolean | undefined
      }
    | undefined
  /** Keeps what aggregate reports are made of in this SQLite file. @default nothing is kept */
  readonly reports?: { readonly store: string } | undefined
}

type Canonicalization = 'relaxed/relaxed' | 'relaxed/simple' | 'simple/relaxed' | 'simple/simple'

/** With every default filled in; times in milliseconds, domains clean. */
export interface DkimSettings {
  readonly mode: 'both' | 'sign' | 'verify'
  readonly localNetworks: readonly string[]
  readonly authenticated: 'local' | 'foreign'
  readonly verify: {
    readonly maxSignatures: number
    readonly minKeyBits: number
    readonly clockDrift: number
    readonly dnsTime: number
  }
  readonly arc: {
    readonly trustedSealers: readonly string[]
    readonly seal?: { readonly domain: string; readonly selector: string; readonly file: string } | undefined
  }
  readonly dmarc:
    | false
    | {
        readonly policy: Policy | 'report-only'
        readonly domains: Readonly<Record<string, Policy>>
        readonly badFrom: 'accept' | 'quarantine' | 'reject'
        readonly temperror: 'accept' | 'tempfail'
      }
  readonly sign: {
    readonly keys: readonly KeyOptions[]
    readonly keyTable?: string | undefined
    readonly signingTable?: string | undefined
    readonly multipleSignatures: boolean
    readonly canonicalization: Canonicalization
    readonly headers: readonly string[]
    readonly oversign: readonly string[]
    readonly expiry?: number | undefined
    readonly userDomain: boolean
  }
  readonly reports?: { readonly store: string } | undefined
}

const network = z.string().superRefine((text, context) => {
  const fault = networkFault(text)
  if (fault !== null) context.addIssue({ code: 'custom', message: fault })
})

const domain = z.string().transform((text, context): string => {
  const clean = cleanDomain(text)
  if (clean !== null) return clean
  context.addIssue({ code: 'custom', message: 'must be the name of a domain' })
  return z.NEVER
})

/** A domain, `.domain` for all below it, `*` for any. */
const domainPattern = z.string().transform((text, context): string => {
  const clean = text === '*' ? text : cleanDomain(text.replace(/^\./, ''))
  if (clean !== null) return text.startsWith('.') ? `.${clean}` : clean
  context.addIssue({ code: 'custom', message: 'must be a domain, .domain for all below it, or *' })
  return z.NEVER
})

const selector = z
  .string()
  .regex(
    /^[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?)*$/,
    'must be a selector, such as "k2026"',
  )

const duration = z.union([z.number(), z.string()]).transform((given, context): number => {
  const match = /^(\d+(?:\.\d+)?)(s|m|h|d)$/.exec(typeof given === 'number' ? `${given}s` : given.trim())
  const milliseconds = match === null ? 0 : Number(match[1]) * UNITS[match[2] as keyof typeof UNITS]
  if (milliseconds > 0 && milliseconds <= UNITS.d * 366) return milliseconds
  context.addIssue({ code: 'custom', message: 'must be a length of time such as "30s" or "7d", of at most a year' })
  return z.NEVER
})
const UNITS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

const canonicalization = z.enum(['relaxed/relaxed', 'relaxed/simple', 'simple/relaxed', 'simple/simple'])

/** Fields that change on the way, or that are ours to write. */
const NEVER_SIGNED =
  /^(?:return-path|received|dkim-signature|authentication-results|arc-.*|comments|keywords|bcc|resent-bcc)$/i

const fieldName = z
  .string()
  .regex(/^[\x21-\x39\x3c-\x7e]+$/, 'must be the name of a header field')
  .refine(name => !NEVER_SIGNED.test(name), 'must not be signed: it changes on the way')

const key = z.strictObject({
  domain,
  selector,
  file: z.string(),
  from: z.array(z.string()).optional(),
  users: z.array(z.string()).optional(),
  networks: z.array(network).optional(),
  identity: z.string().optional(),
})

const DEFAULT_NETWORKS = ['127.0.0.0/8', '::1/128']

/** RFC 6376 §5.4.1, and the fields that a reader is shown or that say what the body is. */
const DEFAULT_HEADERS = [
  'From',
  'Sender',
  'Reply-To',
  'Subject',
  'Date',
  'Message-ID',
  'To',
  'Cc',
  'MIME-Version',
  'Content-Type',
  'Content-Transfer-Encoding',
  'Content-ID',
  'Content-Description',
  'Resent-Date',
  'Resent-From',
  'Resent-To',
  'Resent-Cc',
  'In-Reply-To',
  'References',
  'List-Id',
  'List-Help',
  'List-Unsubscribe',
  'List-Unsubscribe-Post',
  'List-Subscribe',
  'List-Post',
  'List-Owner',
  'List-Archive',
]
const DEFAULT_OVERSIGN = [
  'From',
  'To',
  'Cc',
  'Subject',
  'Date',
  'Message-ID',
  'Reply-To',
  'MIME-Version',
  'Content-Type',
  'Content-Transfer-Encoding',
]

const policy = z.enum(['none', 'quarantine', 'reject'])

const schema = z.strictObject({
  mode: z.enum(['both', 'sign', 'verify']).default('both'),
  localNetworks: z.array(network).default(DEFAULT_NETWORKS),
  authenticated: z.enum(['local', 'foreign']).default('local'),
  verify: z
    .strictObject({
      maxSignatures: z.int().min(1).max(50).default(10),
      minKeyBits: z.int().min(1024).max(4096).default(1024),
      clockDrift: duration.prefault('5m'),
      dnsTime: duration.prefault('15s'),
    })
    .prefault({}),
  arc: z
    .strictObject({
      trustedSealers: z.array(domainPattern).default([]),
      seal: z.strictObject({ domain, selector, file: z.string() }).optional(),
    })
    .prefault({}),
  dmarc: z
    .union([
      z.literal(false),
      z.strictObject({
        policy: z.enum(['none', 'quarantine', 'reject', 'report-only']).default('report-only'),
        domains: z.record(domainPattern, policy).default({}),
        badFrom: z.enum(['accept', 'quarantine', 'reject']).default('accept'),
        temperror: z.enum(['accept', 'tempfail']).default('accept'),
      }),
    ])
    .prefault({}),
  sign: z
    .strictObject({
      keys: z.array(key).default([]),
      keyTable: z.string().optional(),
      signingTable: z.string().optional(),
      multipleSignatures: z.boolean().default(false),
      canonicalization: canonicalization.default('relaxed/relaxed'),
      headers: z.array(fieldName).default(DEFAULT_HEADERS),
      oversign: z.array(fieldName).default(DEFAULT_OVERSIGN),
      expiry: duration.optional(),
      userDomain: z.boolean().default(false),
    })
    .refine(({ keyTable, signingTable }) => (keyTable === undefined) === (signingTable === undefined), {
      message: 'keyTable and signingTable are used together',
    })
    .prefault({}),
  reports: z.strictObject({ store: z.string() }).optional(),
})

export const optionsSchema: Schema<DkimOptions, DkimSettings> = schema as unknown as Schema<DkimOptions, DkimSettings>
