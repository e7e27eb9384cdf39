/**
 * `ldap({ url, base, filter })`: a search in a directory.
 *
 * A few connections, each used by many searches at once. A connection on which something failed or took too long is retired, and the next
 * search makes a new one, bound again, at the first server of the list that can be had.
 */
import type { ConnectionOptions } from 'node:tls'
import { z } from 'zod'
import { hostError } from '../host/errors.ts'
import { guardedEntry } from '../host/policy/guard.ts'
import { KeyRefused, type LookupEntry, type Source } from '../host/policy/lookup.ts'
import { type LookupOptions, readLookupOptions } from '../host/policy/lookup-options.ts'
import { loadDriver } from './driver.ts'
import { type Entry, LdapConnection, type LdapServer, type Ldapts } from './ldap-connection.ts'
import { filterTemplate } from './ldap-filter.ts'

export interface LdapOptions<T = unknown> extends LookupOptions<T> {
  /** `ldap://host:389` or `ldaps://host:636`; of several, the first that can be had is used. */
  readonly url: string | readonly string[]
  /** Encrypts an `ldap:` connection before anything else is said (RFC 4511 §4.14). @default false */
  readonly startTls?: boolean
  /** Node's TLS options, as `ca`. The certificate is checked unless they say otherwise. @default those of Node */
  readonly tls?: ConnectionOptions
  /** Who asks. @default nobody: the search is anonymous */
  readonly bind?: {
    /** Name of an entry of the directory. */
    readonly dn: string
    /** Its password. */
    readonly password: string
  }
  /** Where the search begins. */
  readonly base: string
  /** How deep the search goes: the entry at `base`, those right below it, or all below it. @default 'sub' */
  readonly scope?: 'base' | 'one' | 'sub'
  /** What is searched: `%s` is the key, `%u` and `%d` are the two sides of an address, all escaped. @example '(mail=%s)' */
  readonly filter: string
  /**
   * What the value is: the name of one attribute, or an object `{ yours: 'directorys' }`. An attribute with several values is a list.
   * @default none: the value is `true` where there is an entry
   */
  readonly attributes?: string | Readonly<Record<string, string>>
  /** Connections, each used by many searches at once. @default 2 */
  readonly connections?: number
}

const own = {
  url: z
    .union([z.string(), z.array(z.string()).min(1)], 'must be an address, or a list of them')
    .describe('URL, or a list of them'),
  startTls: z.boolean().default(false),
  tls: z.looseObject({}).describe("Node's TLS options").optional(),
  bind: z.strictObject({ dn: z.string(), password: z.string() }).optional(),
  base: z.string().describe('name of an entry'),
  scope: z.enum(['base', 'one', 'sub']).default('sub'),
  filter: z.string().describe('LDAP filter'),
  attributes: z
    .union([z.string(), z.record(z.string(), z.string())], 'must be a name, or an object of names')
    .describe('name, or object of names')
    .optional(),
  connections: z.int().min(1).default(2).describe('whole number, at least 1'),
}

/** The options of its own. */
export const LDAP_OPTIONS: z.ZodObject = z.strictObject(own)

/**
 * A look-up in an LDAP directory.
 *
 * @example ldap({ url: 'ldaps://ldap.example.org', base: 'ou=people,dc=example,dc=org', filter: '(mail=%s)', attributes: 'mailFilter' })
 */
export function ldap<T = unknown>(options: LdapOptions<T>): LookupEntry<T> {
  const { settings, own: read } = readLookupOptions<T, typeof own>('ldap', own, options, false)
  const urls = typeof read.url === 'string' ? [read.url] : read.url
  const refuse = (what: string): never => {
    throw hostError('LOOKUP_OPTIONS', settings.name, what)
  }
  for (const url of urls) {
    if (!/^ldaps?:\/\/[^/?#]+\/?$/.test(url))
      refuse(`url must be ldap://host:port or ldaps://host:port, not ${JSON.stringify(url)}`)
  }
  let filterOf: ReturnType<typeof filterTemplate>
  try {
    filterOf = filterTemplate(read.filter)
  } catch (error) {
    return refuse((error as Error).message)
  }
  const { startTls, bind, scope, attributes, connections } = read
  const servers = urls.map(
    (url): LdapServer => ({
      url,
      startTls,
      tls: (read.tls ?? {}) as ConnectionOptions,
      bindDn: bind?.dn ?? null,
      password: bind?.password ?? '',
      timeout: settings.timeout,
    }),
  )
  return guardedEntry(`${urls.join(' ')} ${read.base} ${read.filter}`, settings, async () => {
    const ldapts = await loadDriver(settings.name, 'ldapts', () => import('ldapts'))
    const pool = new Pool(ldapts, servers, connections)
    const names =
      attributes === undefined ? ['1.1'] : typeof attributes === 'string' ? [attributes] : Object.values(attributes)
    const source: Source = {
      async get(key, signal) {
        const filter = filterOf(key)
        if (filter === null) return null
        const search = { scope, filter, attributes: names, sizeLimit: 2 }
        const entries = await refusing(key, () => pool.run(connection => connection.search(read.base, search), signal))
        if (entries.length > 1) throw several(key)
        return entries.length === 0 ? null : valueIn(entries[0]!, attributes)
      },
      async probe(signal) {
        await pool.run(connection => connection.search(read.base, { scope: 'base', attributes: ['1.1'] }), signal)
      },
      close: () => pool.close(),
    }
    return source
  })
}

const several = (key: string): KeyRefused => new KeyRefused(`there are several entries for ${JSON.stringify(key)}`)

/** What the directory says against the key itself: size limit (more than one entry), and a syntax that does not take it. */
async function refusing<R>(key: string, run: () => Promise<R>): Promise<R> {
  try {
    return await run()
  } catch (error) {
    const { code, message } = error as { readonly code?: unknown; readonly message: string }
    if (code === 4) throw several(key)
    throw code === 21 ? new KeyRefused(message) : error
  }
}

function valueIn(entry: Entry, attributes: LdapOptions['attributes']): unknown {
  if (attributes === undefined) return true
  if (typeof attributes === 'string') return attributeOf(entry, attributes)
  return Object.fromEntries(
    Object.entries(attributes).map(([name, attribute]) => [name, attributeOf(entry, attribute)]),
  )
}

/** Names of attributes have no case, and a directory answers in its own. An empty list: there is none. */
function attributeOf(entry: Entry, name: string): unknown {
  const key = Object.keys(entry).find(given => given.toLowerCase() === name.toLowerCase())
  const value = key === undefined ? null : entry[key]
  return Array.isArray(value) && value.length === 0 ? null : value
}

/** Result codes that speak of the search and not of the connection (RFC 4511 §4.1.9), and size limits. */
const ABOUT_THE_SEARCH = new Set([3, 4, 11, 16, 17, 18, 21, 32, 33, 34, 36, 50, 53])

class Pool {
  readonly #ldapts: Ldapts
  readonly #servers: readonly LdapServer[]
  readonly #slots: (Promise<LdapConnection> | null)[]
  #turn = 0
  #closed = false

  constructor(ldapts: Ldapts, servers: readonly LdapServer[], size: number) {
    this.#ldapts = ldapts
    this.#servers = servers
    this.#slots = Array.from({ length: size }, () => null)
  }

  async run<R>(ask: (connection: LdapConnection) => Promise<R>, signal: AbortSignal): Promise<R> {
    const slot = this.#turn++ % this.#slots.length
    const { connection, fresh } = await this.#connection(slot)
    // Its answer may never come: the next search must not wait for the same connection.
    const onAbort = (): void => this.#retire(slot, connection)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      return await ask(connection)
    } catch (error) {
      if (ABOUT_THE_SEARCH.has((error as { readonly code?: unknown }).code as number)) throw error
      this.#retire(slot, connection)
      if (fresh || signal.aborted) throw error
      // It had been lost at rest, as after a restart of the directory.
      return await ask((await this.#connection(slot)).connection)
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    const opened = await Promise.allSettled(this.#slots)
    for (const slot of opened) if (slot.status === 'fulfilled') slot.value?.destroy()
  }

  async #connection(slot: number): Promise<{ readonly connection: LdapConnection; readonly fresh: boolean }> {
    const waiting = this.#slots[slot]
    if (waiting !== null && waiting !== undefined) {
      const connection = await waiting
      if (connection.isUsable) return { connection, fresh: false }
      if (this.#slots[slot] === waiting) this.#slots[slot] = null
    }
    const other = this.#slots[slot]
    if (other !== null && other !== undefined) return { connection: await other, fresh: true }
    const opening = this.#open()
    this.#slots[slot] = opening
    try {
      return { connection: await opening, fresh: true }
    } catch (error) {
      if (this.#slots[slot] === opening) this.#slots[slot] = null
      throw error
    }
  }

  #retire(slot: number, connection: LdapConnection): void {
    connection.retire()
    this.#slots[slot] = null
  }

  async #open(): Promise<LdapConnection> {
    const problems: string[] = []
    for (const server of this.#servers) {
      if (this.#closed) throw new Error('it is being closed')
      try {
        return await LdapConnection.open(this.#ldapts, server, server.timeout / this.#servers.length)
      } catch (error) {
        problems.push(`${server.url}: ${(error as Error).message}`)
      }
    }
    throw new Error(problems.join('; '))
  }
}
