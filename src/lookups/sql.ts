/**
 * `sql({ url, query })`: PostgreSQL, MySQL, MariaDB and SQLite.
 *
 * The query is the postmaster's own, the key a parameter of it and never part of its text. `sql(url)` alone reads the documented table
 * of the central policy. Drivers are optional packages, loaded when the configuration is taken into use.
 */
import type { ConnectionOptions } from 'node:tls'
import { z } from 'zod'
import { hostError } from '../host/errors.ts'
import { guardedEntry } from '../host/policy/guard.ts'
import type { LookupEntry, Source } from '../host/policy/lookup.ts'
import { type LookupOptions, readLookupOptions } from '../host/policy/lookup-options.ts'
import { partsOf } from './placeholders.ts'
import { withoutPassword } from './public-url.ts'
import type { Database, DatabaseOptions, Dialect } from './sql/database.ts'
import { mysqlDialect, openMysql } from './sql/mysql.ts'
import { POLICY_TABLE, selectPolicy, TABLE_NAME } from './sql/policy-table.ts'
import { openPostgres, postgresDialect } from './sql/postgres.ts'
import { type Query, readQuery, valueOfRows } from './sql/query.ts'
import { openSqlite, sqliteDialect } from './sql/sqlite.ts'
import { sqlStore } from './sql/store.ts'

export interface SqlOptions<T = unknown> extends LookupOptions<T> {
  /** `postgres://user:password@host/database` (package `pg`), `mysql://…` or `mariadb://…` (package `mysql2`), `sqlite:/path/to/file.db` (Node's own). */
  readonly url: string
  /**
   * A SELECT with `:key` in it, or `:local` and `:domain` for the two sides of an address.
   * @default a SELECT in the policy table
   * @example 'SELECT wants_greylist FROM users WHERE address = :key'
   */
  readonly query?: string
  /** `first`: the value is the first row, and just its column when there is only one; `all`: a list of that for every row. @default 'first' */
  readonly rows?: 'first' | 'all'
  /** Name of the policy table, which is read without `query`. @default 'milterhost_policy' */
  readonly table?: string
  /** Most connections at once. @default 5 */
  readonly connections?: number
  /** How the connection is encrypted: `true`, or Node's TLS options (`ca`, `cert`, …). @default what the URL says */
  readonly tls?: boolean | ConnectionOptions
}

interface Product {
  readonly dialect: Dialect
  readonly open: (options: DatabaseOptions) => Database | Promise<Database>
}

const POSTGRES: Product = { dialect: postgresDialect, open: openPostgres }
const MYSQL: Product = { dialect: mysqlDialect, open: openMysql }
const PRODUCTS: Readonly<Record<string, Product>> = {
  postgres: POSTGRES,
  postgresql: POSTGRES,
  mysql: MYSQL,
  mariadb: MYSQL,
  sqlite: { dialect: sqliteDialect, open: openSqlite },
}

const own = {
  url: z.string().describe('URL'),
  query: z.string().describe('SQL').optional(),
  rows: z.enum(['first', 'all']).default('first'),
  table: z.string().regex(TABLE_NAME, 'must be the name of a table').describe('name of a table').default(POLICY_TABLE),
  connections: z.int().min(1).default(5).describe('whole number, at least 1'),
  tls: z
    .union([z.boolean(), z.looseObject({})], 'must be true, false, or TLS options')
    .describe("boolean, or Node's TLS options")
    .optional(),
}

/** The options of its own. */
export const SQL_OPTIONS: z.ZodObject = z.strictObject(own)

/**
 * A look-up in an SQL database.
 *
 * @param options or just the URL, for the policy table that `milterhost policy init --sql` prints.
 * @example sql({ url: 'postgres://mail@db/mail', query: 'SELECT greylist FROM users WHERE address = :key' })
 */
export function sql<T = unknown>(options: string | SqlOptions<T>): LookupEntry<T> {
  const given = typeof options === 'string' ? { url: options } : options
  const { settings, own: read } = readLookupOptions<T, typeof own>('sql', own, given, false)
  const { url, rows, table, connections, tls } = read
  const refuse = (what: string): never => {
    throw hostError('LOOKUP_OPTIONS', settings.name, what)
  }
  const product =
    PRODUCTS[/^([a-z]+):/.exec(url)?.[1] ?? ''] ?? refuse(`url must begin with ${Object.keys(PRODUCTS).join(':, ')}:`)
  let query: Query
  try {
    query = readQuery(read.query ?? selectPolicy(table), product.dialect.mark)
  } catch (error) {
    return refuse((error as Error).message)
  }
  const all = rows === 'all' || read.query === undefined
  const base = {
    lookup: settings.name,
    url,
    connections,
    timeout: settings.timeout,
    tls: tls as DatabaseOptions['tls'],
  }
  return guardedEntry(
    withoutPassword(url),
    settings,
    async () => sourceOf(await product.open({ ...base, writable: false }), query, all),
    read.query !== undefined
      ? undefined
      : async () => sqlStore(settings.name, table, await product.open({ ...base, writable: true })),
  )
}

function sourceOf(database: Database, { text, parts }: Query, all: boolean): Source {
  const ask = (values: readonly string[], signal: AbortSignal): unknown => {
    const rows = database.query(text, values, signal)
    return rows instanceof Promise ? rows.then(found => valueOfRows(found, all)) : valueOfRows(rows, all)
  }
  return {
    get(key, signal): unknown {
      const values = partsOf(key, parts)
      return values === null ? null : ask(values, signal)
    },
    probe: async signal => void (await ask(partsOf('postmaster@localhost', parts)!, signal)),
    close: () => database.close(),
  }
}
