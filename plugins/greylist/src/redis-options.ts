/**
 * How a Redis is named in the option `store`: one server, a group watched by Sentinel, or a Cluster. Read and checked here.
 *
 * Nothing here connects. What always holds: a mistake is told when the configuration is loaded, with the name of the
 * option; `place`, which logs and `stats` show, has no password. The reading of the plugin's options calls it.
 */
import type { ConnectionOptions } from 'node:tls'
import type { RedisOptions } from 'ioredis'
import { parseDuration } from 'milterhost/plugin'
import { z } from 'zod'

type Server = { readonly host: string; readonly port: number }

/** A Redis as the store connects to it. */
export interface RedisTarget {
  readonly kind: 'redis'
  /** Nodes of a Cluster to begin with; `null` for a single server or Sentinel. */
  readonly cluster: readonly Server[] | null
  readonly natMap: Readonly<Record<string, Server>> | null
  /** Address and credentials, as ioredis takes them; those of each node in a Cluster. */
  readonly connection: RedisOptions
  /** In front of each key. */
  readonly prefix: string
  /** Milliseconds that one command may take. */
  readonly timeout: number
  /** For people. */
  readonly place: string
}

const port = z.int().min(1).max(65_535)

/** `host:port`, `[2001:db8::1]:port`, or both apart. */
const server = (standardPort: number) =>
  z.union([
    z.strictObject({ host: z.string().min(1), port: port.default(standardPort) }),
    z.string().transform((text, context): Server => {
      const [, v6, host, given = String(standardPort)] =
        /^(?:\[([0-9a-f:.]+)\]|([^:[\]/]+))(?::(\d{1,5}))?$/i.exec(text) ?? []
      const name = v6 ?? host
      if (name !== undefined && Number(given) > 0 && Number(given) < 65_536) return { host: name, port: Number(given) }
      context.addIssue({ code: 'custom', message: `must be host:port, not ${JSON.stringify(text)}` })
      return z.NEVER
    }),
  ])

const tls = z.union([z.boolean(), z.looseObject({})]).optional()

const schema = z.strictObject({
  url: z
    .string()
    .regex(/^rediss?:\/\/./, 'must be a URL such as redis://127.0.0.1:6379')
    .optional(),
  socket: z.string().startsWith('/', 'must be the path of a UNIX socket').optional(),
  host: z.string().min(1).optional(),
  port: port.optional(),
  db: z.int().min(0).optional(),
  username: z.string().optional(),
  password: z.string().optional(),
  tls,
  sentinels: z.array(server(26_379)).min(1).optional(),
  name: z.string().min(1).optional(),
  sentinelUsername: z.string().optional(),
  sentinelPassword: z.string().optional(),
  sentinelTls: tls,
  cluster: z.array(server(6379)).min(1).optional(),
  natMap: z.record(z.string(), z.strictObject({ host: z.string(), port })).optional(),
  prefix: z
    .string()
    .min(1)
    .regex(/^[^{}\s]+$/, 'must have no braces and no spaces')
    .default('gl:'),
  timeout: z.unknown().default('300ms'),
})

type Given = z.output<typeof schema>

/** Options that only mean something beside another one, which they are listed under. */
const BESIDE = {
  host: ['port'],
  sentinels: ['name', 'sentinelUsername', 'sentinelPassword', 'sentinelTls'],
} as const satisfies Partial<Record<keyof Given, readonly (keyof Given)[]>>

/** Reads the value of `store`. Throws an `Error` that says what is wrong with it. */
export function readRedis(given: string | Readonly<Record<string, unknown>>): RedisTarget {
  const parsed = schema.safeParse(typeof given === 'string' ? { url: given } : given)
  if (!parsed.success) throw new Error(parsed.error.issues.map(told).join('; '))
  const read = parsed.data
  checkTogether(read)
  const fromUrl: FromUrl = read.url === undefined ? {} : readUrl(read.url)
  checkBesideUrl(read, fromUrl)
  const secure = read.tls === undefined ? fromUrl.tls : tlsOf(read.tls)
  const { sentinelTls, name = 'mymaster' } = read
  const db = read.db ?? fromUrl.db
  const username = read.username ?? fromUrl.username
  const password = read.password ?? fromUrl.password
  const at: Server = { host: fromUrl.host ?? read.host ?? '127.0.0.1', port: fromUrl.port ?? read.port ?? 6379 }
  const connection: RedisOptions = {
    ...(read.socket === undefined ? {} : { path: read.socket }),
    ...(read.url === undefined && read.host === undefined ? {} : at),
    ...(db === undefined ? {} : { db }),
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(secure === undefined ? {} : { tls: secure }),
    ...(read.sentinels === undefined
      ? {}
      : {
          sentinels: read.sentinels,
          name,
          ...(read.sentinelUsername === undefined ? {} : { sentinelUsername: read.sentinelUsername }),
          ...(read.sentinelPassword === undefined ? {} : { sentinelPassword: read.sentinelPassword }),
          ...(sentinelTls === undefined || sentinelTls === false
            ? {}
            : { enableTLSForSentinelMode: true, sentinelTLS: tlsOf(sentinelTls) ?? {} }),
          ...(read.natMap === undefined ? {} : { natMap: read.natMap }),
        }),
  }
  const scheme = secure === undefined ? 'redis' : 'rediss'
  const nodes = (list: readonly Server[]): string => list.map(node => `${node.host}:${node.port}`).join(',')
  const place =
    read.cluster !== undefined
      ? `${scheme} cluster ${nodes(read.cluster)}`
      : read.sentinels !== undefined
        ? `${scheme} ${name} of sentinels ${nodes(read.sentinels)}`
        : (read.socket ?? `${scheme}://${nodes([at])}/${db ?? 0}`)
  return {
    kind: 'redis',
    cluster: read.cluster ?? null,
    natMap: read.natMap ?? null,
    connection,
    prefix: read.prefix,
    timeout: timeoutOf(read.timeout),
    place: `${place} ${read.prefix}*`,
  }
}

/** Throws for options that contradict each other, or that would do nothing. */
function checkTogether(read: Given): void {
  const ways = (['url', 'socket', 'host', 'sentinels', 'cluster'] as const).filter(way => read[way] !== undefined)
  if (ways.length !== 1)
    throw new Error(`exactly one of url, socket, host, sentinels and cluster has to be given, not ${ways.length}`)
  for (const [way, names] of Object.entries(BESIDE) as [keyof typeof BESIDE, readonly (keyof Given)[]][]) {
    const idle = names.find(name => read[name] !== undefined && read[way] === undefined)
    if (idle !== undefined) throw new Error(`${idle}: goes with ${way} only, and here ${ways[0]} is given`)
  }
  if (read.natMap !== undefined && read.sentinels === undefined && read.cluster === undefined)
    throw new Error(`natMap: goes with sentinels or cluster only, and here ${ways[0]} is given`)
  if (read.cluster !== undefined && (read.db ?? 0) !== 0) throw new Error('db: a Cluster has no database but 0')
}

/** What the URL says, no option may say otherwise. */
function checkBesideUrl(read: Given, fromUrl: FromUrl): void {
  const twice = (['db', 'username', 'password'] as const).find(
    name => read[name] !== undefined && fromUrl[name] !== undefined,
  )
  if (twice !== undefined) throw new Error(`${twice}: stands in url too; give it once`)
  if (read.tls === false && fromUrl.tls !== undefined)
    throw new Error('tls: false contradicts url, which begins with rediss; write redis:// for a server without TLS')
}

const tlsOf = (given: boolean | object): ConnectionOptions | undefined =>
  given === false ? undefined : given === true ? {} : (given as ConnectionOptions)

function timeoutOf(given: unknown): number {
  try {
    return parseDuration(given, 60_000)
  } catch (error) {
    throw new Error(`timeout: ${(error as Error).message}`)
  }
}

/** What a URL says. */
interface FromUrl {
  readonly host?: string
  readonly port?: number
  readonly db?: number
  readonly username?: string
  readonly password?: string
  readonly tls?: ConnectionOptions
}

function readUrl(text: string): FromUrl {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    // The text may hold a password, so it is not shown.
    throw new Error('url: is not a URL; characters like / or @ in a password have to be written as %2F, %40')
  }
  const database = /^\/(\d*)$/.exec(url.pathname || '/')?.[1]
  if (database === undefined || url.search !== '' || url.hash !== '')
    throw new Error('url: after host and port only the number of a database may come; give the rest as options')
  if (url.port === '0') throw new Error('url: the port must be from 1 to 65535')
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    ...(url.port === '' ? {} : { port: Number(url.port) }),
    ...(database === '' ? {} : { db: Number(database) }),
    ...(url.username === '' ? {} : { username: decodeURIComponent(url.username) }),
    ...(url.password === '' ? {} : { password: decodeURIComponent(url.password) }),
    ...(url.protocol === 'rediss:' ? { tls: {} } : {}),
  }
}

function told({ path, ...issue }: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys')
    return `there is no option ${issue.keys.join(', ')}; it has path (of a file), or for a Redis ${Object.keys(schema.shape).join(', ')}`
  // Of the ways to write a server the text is the one that says what is wrong with it.
  const inner = issue.code === 'invalid_union' ? issue.errors.flat().find(({ code }) => code === 'custom') : undefined
  const message = inner?.message ?? (issue.code === 'invalid_union' ? 'must be host:port' : issue.message)
  return path.length === 0 ? message : `${path.join('.')}: ${message}`
}
