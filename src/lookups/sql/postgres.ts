/**
 * PostgreSQL by the package `pg`: a pool, a time limit on both sides, one more try on a fresh connection.
 *
 * A statement that takes too long is ended by the server; where the server itself hangs, the client gives the connection up. After a
 * restart the pool still holds connections of before: what fails because of that is asked once more.
 */
import type { Pool as PgPool } from 'pg'
import { KeyRefused } from '../../host/policy/lookup.ts'
import { loadDriver } from '../driver.ts'
import type { Database, DatabaseOptions, Dialect } from './database.ts'
import type { Row } from './query.ts'

export const postgresDialect: Dialect = { name: 'postgres', mark: number => `$${number}` }

export async function openPostgres(options: DatabaseOptions): Promise<Database> {
  const { default: pg } = await loadDriver(options.lookup, 'pg', () => import('pg'))
  const { url, connections, timeout, tls } = options
  const pool: PgPool = new pg.Pool({
    connectionString: url,
    max: connections,
    connectionTimeoutMillis: timeout,
    statement_timeout: timeout,
    query_timeout: timeout,
    idleTimeoutMillis: 60_000,
    keepAlive: true,
    allowExitOnIdle: true,
    application_name: 'milterhost',
    ...(tls === undefined ? {} : { ssl: tls }),
  })
  // An idle connection that breaks is replaced by the pool; whoever asks next meets the reason if there still is one.
  pool.on('error', () => {})
  return {
    dialect: postgresDialect,
    async query(text, values, signal): Promise<readonly Row[]> {
      const run = async (): Promise<readonly Row[]> => (await pool.query(text, [...values])).rows as Row[]
      try {
        return await run()
      } catch (error) {
        if (isKeyError(error)) throw new KeyRefused((error as Error).message)
        if (isBroken(error) && !signal.aborted) return run()
        throw error
      }
    },
    async transaction(statements): Promise<void> {
      const client = await pool.connect()
      let failed: Error | undefined
      try {
        await client.query('BEGIN')
        for (const [text, values] of statements) await client.query(text, [...values])
        await client.query('COMMIT')
      } catch (error) {
        failed = error as Error
        throw error
      } finally {
        client.release(failed)
      }
    },
    close: () => pool.end(),
  }
}

/** SQLSTATE class 22: what was given does not fit the column, as text for a number. */
const isKeyError = (error: unknown): boolean => /^22/.test(String((error as { readonly code?: unknown }).code))

/** The connection is from before a restart: SQLSTATE 57P01 to 57P03, or it is simply gone. */
function isBroken(error: unknown): boolean {
  const { code, message } = error as { readonly code?: string; readonly message: string }
  return /^57P0[12]$|^ECONNRESET$|^EPIPE$/.test(code ?? '') || message === 'Connection terminated unexpectedly'
}
