/**
 * MySQL and MariaDB by the package `mysql2`: a pool, a time limit on both sides, one more try on a fresh connection.
 *
 * The key travels as a parameter of a prepared statement. A connection on which something took too long or went wrong is thrown away, since
 * the answer may still come.
 */
import type { PoolConnection } from 'mysql2/promise'
import { loadDriver } from '../driver.ts'
import type { Database, DatabaseOptions, Dialect } from './database.ts'
import type { Row } from './query.ts'

export const mysqlDialect: Dialect = { name: 'mysql', mark: () => '?' }

export async function openMysql(options: DatabaseOptions): Promise<Database> {
  const { default: mysql } = await loadDriver(options.lookup, 'mysql2', () => import('mysql2/promise'))
  const { url, connections, timeout, tls } = options
  const pool = mysql.createPool({
    uri: url.replace(/^mariadb:/, 'mysql:'),
    connectionLimit: connections,
    connectTimeout: timeout,
    enableKeepAlive: true,
    charset: 'utf8mb4',
    ...(tls === undefined || tls === false ? {} : { ssl: tls === true ? {} : (tls as object) }),
  })
  /** Connections that have their time limit set. */
  const limited = new WeakSet<object>()

  const withConnection = async <R>(
    run: (connection: PoolConnection) => Promise<R>,
    signal?: AbortSignal,
  ): Promise<R> => {
    const connection = await pool.getConnection()
    if (signal?.aborted) {
      // It waited for a free connection until nobody waited for it.
      connection.release()
      throw signal.reason
    }
    try {
      const raw = connection.connection as unknown as object
      if (!limited.has(raw)) {
        await limitStatements(connection, timeout)
        limited.add(raw)
      }
      const result = await run(connection)
      connection.release()
      return result
    } catch (error) {
      connection.destroy()
      throw error
    }
  }

  return {
    dialect: mysqlDialect,
    async query(text, values, signal): Promise<readonly Row[]> {
      const run = (): Promise<readonly Row[]> =>
        withConnection(async connection => {
          const [rows] = await connection.execute({ sql: text, values: [...values] as never[], timeout })
          return rows as Row[]
        }, signal)
      try {
        return await run()
      } catch (error) {
        if (!isBroken(error) || signal.aborted) throw error
        return run()
      }
    },
    transaction: statements =>
      withConnection(async connection => {
        await connection.beginTransaction()
        for (const [sql, values] of statements)
          await connection.execute({ sql, values: [...values] as never[], timeout })
        await connection.commit()
      }),
    close: () => pool.end(),
  }
}

/** MariaDB counts in seconds and MySQL in milliseconds, each under a name of its own. */
async function limitStatements(connection: PoolConnection, timeout: number): Promise<void> {
  try {
    await connection.query({ sql: `SET SESSION max_statement_time = ${timeout / 1000}`, timeout })
  } catch (error) {
    if ((error as { readonly code?: string }).code !== 'ER_UNKNOWN_SYSTEM_VARIABLE') throw error
    await connection.query({ sql: `SET SESSION max_execution_time = ${timeout}`, timeout })
  }
}

const isBroken = (error: unknown): boolean =>
  /^(?:PROTOCOL_CONNECTION_LOST|ECONNRESET|EPIPE|ER_SERVER_SHUTDOWN|ER_CONNECTION_KILLED)$/.test(
    (error as { readonly code?: string }).code ?? '',
  )
