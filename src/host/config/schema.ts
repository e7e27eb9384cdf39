/**
 * The shape of a configuration: every key, what it takes in words, how it is read, and its default.
 *
 * Written once: the validation, the suggestions for misspelt keys and the tables of the documentation all read the keys from
 * here. Entries of `filters` have their own schema because each is reported under its own name.
 */
import { z } from 'zod'
import type { OnFailure } from '../observe/event.ts'
import { asCondition, type Condition, macroRules } from '../policy/condition.ts'
import type { MixedMode, RecipientMode } from '../policy/gate.ts'
import { type CentralPolicy, checkPolicy, checkUsers, type Users } from '../policy/users.ts'
import type { Endpoint, LivenessSource } from '../time/liveness.ts'
import { parseDuration } from './duration.ts'
import { parseEndpoint } from './endpoint.ts'
import { keysAt, shorter } from './keys.ts'
import { shown } from './problem.ts'
import {
  type AuthenticationSettings,
  DEFAULT_AUTHENTICATION,
  DEFAULT_DNS,
  DEFAULT_HOLDS,
  DEFAULT_LIMITS,
  DEFAULT_RECORD,
  type DnsSettings,
  type HoldSettings,
  type Limits,
  type ListenAddress,
  type OnClientLeft,
  type RecordSettings,
  type Settings,
} from './settings.ts'
import { parseSize } from './size.ts'

/**
 * A value read by a function that throws a `RangeError` whose message completes "‹option› …". `words` name the values it takes, with
 * their bounds, for the documentation.
 */
const read = <T>(words: string, parse: (value: unknown) => T): z.ZodType<T> =>
  z
    .unknown()
    .transform((value, context): T => {
      try {
        return parse(value)
      } catch (error) {
        if (!(error instanceof RangeError)) throw error
        context.addIssue({ code: 'custom', message: error.message })
        return z.NEVER
      }
    })
    .describe(words) as z.ZodType<T>

const duration = read('duration', parseDuration)

const sizeOrNone = read('size, or 0', parseSize)

const size = read('size', value => {
  const bytes = parseSize(value)
  if (bytes < 1) throw new RangeError('must be more than zero')
  return bytes
})

const whole = (least: number): z.ZodType<number> =>
  read(`whole number, at least ${least}`, value => {
    if (!Number.isSafeInteger(value) || (value as number) < least) {
      throw new RangeError(`must be a whole number of at least ${least}, not ${shown(value)}`)
    }
    return value as number
  })

const count = whole(1)

const shareOrCount = read('share above 0, up to 1, or whole number of sessions', value => {
  if (typeof value === 'number' && value > 0 && (value <= 1 || Number.isSafeInteger(value))) return value
  throw new RangeError(`must be a share such as 0.75, or a whole number of sessions, not ${shown(value)}`)
})

const share = read('share, 0 to 1', value => {
  if (typeof value === 'number' && value >= 0 && value <= 1) return value
  throw new RangeError(`must be a share from 0 to 1, such as 0.01 for one in a hundred, not ${shown(value)}`)
})

const absolutePath = read('absolute path', value => {
  if (typeof value === 'string' && value.startsWith('/')) return value
  throw new RangeError(`must be an absolute path, not ${shown(value)}`)
})

const text = read('text', value => {
  if (typeof value !== 'string' || value.trim() === '') throw new RangeError(`must be a text, not ${shown(value)}`)
  return value
})

const authservId = read('name of a host or domain', value => {
  if (typeof value !== 'string' || !/^[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?$/.test(value)) {
    throw new RangeError(`must be the name of a host or domain, such as mx.example.com, not ${shown(value)}`)
  }
  return value
})

const mode = read('permission bits', value => {
  const bits =
    typeof value === 'string' && /^(?:0o?)?[0-7]{3}$/.test(value) ? Number.parseInt(value.slice(-3), 8) : value
  if (!Number.isSafeInteger(bits) || (bits as number) < 0 || (bits as number) > 0o777) {
    // 660 without the prefix is decimal, 0o1224: never what is meant.
    throw new RangeError(`must be permission bits such as 0o660 or "660", not ${shown(value)}`)
  }
  return bits as number
})

const group = read('name or number', value => {
  if (typeof value === 'string' && value !== '') return value
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number
  throw new RangeError(`must be the name or number of a group, not ${shown(value)}`)
})

const server = read('address or `address:port`', value => {
  const [, v6, v4, port = '53'] = typeof value === 'string' ? (SERVER.exec(value) ?? []) : []
  const address = typeof value === 'string' && z.ipv6().safeParse(value).success ? value : (v6 ?? v4 ?? '')
  const number = address === value ? 53 : Number(port)
  if (!ADDRESS.safeParse(address).success || number < 1 || number > 65_535)
    throw new RangeError(
      `must be an address such as "127.0.0.1", "127.0.0.1:5353" or "[::1]:5353", not ${shown(value)}`,
    )
  return { address, port: number }
})
const ADDRESS = z.union([z.ipv4(), z.ipv6()])
const SERVER = /^(?:\[([0-9a-f:.]+)\]|([0-9.]+))(?::(\d{1,5}))?$/i

const servers = read('list', value => {
  const list: unknown[] = Array.isArray(value) ? value : [value]
  if (list.length === 0) throw new RangeError('must name at least one server')
  return list
})
  .pipe(z.array(server))
  .describe("`'192.0.2.1'`, `'192.0.2.1:53'`, `'[2001:db8::1]:53'`, or a list of them")

const liveness = read("`'proc'`, `'off'`, `agent(…)`, or a source", (value): 'proc' | 'off' | LivenessSource => {
  if (value === 'proc' || value === 'off') return value
  if (typeof value === 'object' && value !== null) {
    const { name, open } = value as Partial<LivenessSource>
    if (typeof name === 'string' && typeof open === 'function') return value as LivenessSource
  }
  throw new RangeError(`must be "proc", "off", agent(…) or { name, open }, not ${shown(value)}`)
})

type Given<T> = { [K in keyof T]?: T[K] | undefined }

export interface ParsedConfig {
  listen?: unknown
  filters?: unknown[] | undefined
  budget?: Given<{ command: number; end: number }> | undefined
  limits?: Given<Limits> | undefined
  authentication?: Given<{ authservId: string; removeForged: boolean; removeAlso: string[] }> | undefined
  holds?: Given<HoldSettings> | undefined
  spool?: Given<Settings['spool']> | undefined
  mta?: unknown
  liveness?: 'proc' | 'off' | LivenessSource | undefined
  onClientLeft?: OnClientLeft | undefined
  dns?: Given<DnsSettings> | undefined
  record?: ParsedRecord | undefined
  shadow?: string | undefined
  log?: Given<Settings['log']> | undefined
  detect?: Given<Settings['detect']> | undefined
  policy?: CentralPolicy | undefined
}

interface ParsedRecord extends Given<Omit<RecordSettings, 'directory' | 'redact'>> {
  directory?: string | undefined
  redact?: boolean | Given<RecordSettings['redact']> | undefined
}

export interface ParsedMta {
  kind?: 'postfix' | 'sendmail' | undefined
  addresses?: Endpoint[] | undefined
}

export interface ParsedListen {
  address: string
  mode?: number | undefined
  group?: string | number | undefined
}

export interface ParsedEntryOptions {
  name?: string | undefined
  onFailure?: OnFailure | undefined
  mode?: 'enforce' | 'observe' | undefined
  timeouts?: Given<{ connect: number; command: number; end: number }> | undefined
  enabled?: boolean | undefined
  when?: Condition | undefined
  users?: Users | undefined
  recipients?: RecipientMode | undefined
  mixed?: MixedMode | undefined
}

export const DEFAULT_LISTEN: string = 'inet:10025@127.0.0.1'
/** On disk, unlike /tmp on many systems; each user has a folder of its own, since others may not enter it. */
export const DEFAULT_SPOOL_DIRECTORY: string = `/var/tmp/milterhost-${process.getuid?.() ?? 0}`
export const DEFAULT_SPOOL_MEMORY: number = 256 * 1024
export const DEFAULT_SPOOL_SHARED: number = 64 * 1024 * 1024
export const DEFAULT_SOCKET_MODE: number = 0o660

const listenObject = z.strictObject({
  address: text.describe('address'),
  mode: mode.optional(),
  group: group.optional(),
})

const budget = z.strictObject({ command: duration.optional(), end: duration.optional() })

const limits = z.strictObject({
  headers: count.optional(),
  headerBytes: size.optional(),
  recipients: count.optional(),
  body: size.optional(),
  edits: count.optional(),
  sessions: count.optional(),
})

const authentication = z.strictObject({
  authservId: authservId.optional(),
  removeForged: z.boolean().optional(),
  removeAlso: z.array(authservId).describe('list of such names').optional(),
})

const holds = z.strictObject({
  max: whole(0).optional(),
  perClient: count.optional(),
  perNetwork: count.optional(),
  stress: shareOrCount.optional(),
})

const spool = z.strictObject({
  directory: text.describe('path').optional(),
  memory: sizeOrNone.optional(),
  shared: sizeOrNone.optional(),
})

const record = z.strictObject({
  directory: absolutePath.optional(),
  sample: share.optional(),
  redact: z
    .union([z.boolean(), z.strictObject({ addresses: z.boolean().optional(), content: z.boolean().optional() })])
    .optional(),
  maxBytes: size.optional(),
  maxFiles: count.optional(),
  minFree: sizeOrNone.optional(),
})

const log = z.strictObject({
  level: z.enum(['debug', 'info', 'warn', 'error']).optional(),
  format: z.enum(['auto', 'text', 'json', 'journald']).optional(),
})

const dns = z.strictObject({
  servers: servers.optional(),
  search: z.array(text).describe('list of domains').optional(),
  timeout: duration.optional(),
  tries: count.optional(),
  total: duration.optional(),
  cache: size.optional(),
  messageLookups: count.optional(),
  messageTime: duration.optional(),
})

const control = z.strictObject({ socket: text.describe('absolute path').optional() })

const mtaKind = z.enum(['postfix', 'sendmail'])
const mta = z.strictObject({
  kind: mtaKind.optional(),
  addresses: z.array(read("`'192.0.2.1:25'`, `'[::1]:25'`, `'*:25'`, `25`", parseEndpoint)).optional(),
})

const detect = z.strictObject({ watch: z.boolean().optional() })

const config = z.strictObject({
  listen: shorter('address, `{ address, mode, group }`, or a list of them', listenObject).optional(),
  filters: z.array(z.unknown()).describe('list of entries').optional(),
  budget: budget.optional(),
  limits: limits.optional(),
  authentication: authentication.optional(),
  holds: holds.optional(),
  spool: spool.optional(),
  mta: shorter("`'postfix'`, `'sendmail'`, or `{ kind, addresses }`", mta).optional(),
  liveness: liveness.optional(),
  onClientLeft: z.enum(['421', 'tempfail', 'accept', 'discard']).optional(),
  dns: dns.optional(),
  record: record.optional(),
  shadow: absolutePath.optional(),
  log: log.optional(),
  detect: detect.optional(),
  control: shorter('`{ socket }` or `false`', control).optional(),
  policy: read('object, function or look-up', checkPolicy).optional(),
})

/** Everything but the entries, `listen`, `mta` and `control`, which `validate.ts` looks at one by one. */
export const configSchema: z.ZodType<ParsedConfig> = config
export const controlSchema: z.ZodType<{ socket?: string | undefined }> = control
export const mtaSchema: z.ZodType<ParsedMta> = mta
export const mtaKindSchema: z.ZodType<'postfix' | 'sendmail'> = mtaKind
export const listenSchema: z.ZodType<ParsedListen> = listenObject

const entry = z.strictObject({
  name: text.optional(),
  onFailure: z.enum(['tempfail', 'accept', 'reject', 'quarantine']).optional(),
  mode: z.enum(['enforce', 'observe']).optional(),
  timeouts: z
    .strictObject({ connect: duration.optional(), command: duration.optional(), end: duration.optional() })
    .optional(),
  enabled: z.boolean().optional(),
  when: read('condition, or function of the facts', value => {
    const when = asCondition(value)
    macroRules(when)
    return when
  }).optional(),
  users: read('list, function or look-up', checkUsers).optional(),
  recipients: z.enum(['any', 'all', 'split']).optional(),
  mixed: z.enum(['apply', 'drop-recipients', 'quarantine']).optional(),
})

/** The second half of every entry. */
export const entrySchema: z.ZodType<ParsedEntryOptions> = entry

export const DEFAULT_TIMEOUTS: { readonly connect: number; readonly command: number; readonly end: number } = {
  connect: 10_000,
  command: 30_000,
  end: 300_000,
}

/** The keys known at a path of the configuration. */
export const configKeysAt = (path: readonly PropertyKey[]): readonly string[] => keysAt(config, path)

/** The keys known at a path of an entry's options. */
export const entryKeysAt = (path: readonly PropertyKey[]): readonly string[] => keysAt(entry, path)

/** Limits with the defaults filled in. */
export const limitsOf = (given: ParsedConfig['limits']): Limits => ({ ...DEFAULT_LIMITS, ...present(given) })

/** Recording with the defaults filled in; `redact: false` keeps everything. */
export function recordOf(given: ParsedConfig['record']): RecordSettings | null {
  if (given === undefined) return null
  const { redact = true, ...rest } = given
  const { addresses = true, content = true } =
    typeof redact === 'boolean' ? { addresses: redact, content: redact } : redact
  return { ...DEFAULT_RECORD, ...present(rest), redact: { addresses, content } }
}

export const holdsOf = (given: ParsedConfig['holds']): HoldSettings => ({ ...DEFAULT_HOLDS, ...present(given) })

const present = (given: object = {}): object =>
  Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))

export const authenticationOf = (given: ParsedConfig['authentication']): AuthenticationSettings => ({
  authservId: given?.authservId ?? DEFAULT_AUTHENTICATION.authservId,
  removeForged: given?.removeForged ?? DEFAULT_AUTHENTICATION.removeForged,
  removeAlso: given?.removeAlso ?? DEFAULT_AUTHENTICATION.removeAlso,
})

/** The same for DNS. */
export const dnsOf = (given: ParsedConfig['dns']): DnsSettings => ({
  ...DEFAULT_DNS,
  ...Object.fromEntries(Object.entries(given ?? {}).filter(([, value]) => value !== undefined)),
})

/** A `listen` item with the defaults filled in. */
export const listenAddress = (given: ParsedListen): ListenAddress => ({
  address: given.address,
  mode: given.mode ?? DEFAULT_SOCKET_MODE,
  group: given.group ?? null,
})
