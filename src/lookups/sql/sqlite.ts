/**
 * SQLite by Node's own `node:sqlite`: a file of this machine, read in the same tick.
 *
 * Opened for reading only, unless a command writes the policy. The file is opened again when another one has taken its place. A writer that
 * holds its lock for longer than `BUSY` makes a look-up fail rather than all mail wait.
 */
import { statSync } from 'node:fs'
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import type { Database, DatabaseOptions, Dialect } from './database.ts'
import type { Row } from './query.ts'

export const sqliteDialect: Dialect = { name: 'sqlite', mark: () => '?' }

/** Milliseconds: nothing else happens in the meantime. */
const BUSY = 50

export async function openSqlite({ url, writable }: DatabaseOptions): Promise<Database> {
  // Only where it is used: older releases of Node 24 warn of it as experimental.
  const { DatabaseSync: Sqlite } = await import('node:sqlite')
  const path = url.replace(/^sqlite:(?:\/\/)?/, '')
  let open: {
    readonly database: DatabaseSync
    readonly file: string
    readonly statements: Map<string, StatementSync>
  } | null = null

  const current = (): NonNullable<typeof open> => {
    const { dev, ino } = statSync(path)
    const file = `${dev} ${ino}`
    if (open !== null && open.file === file) return open
    open?.database.close()
    open = null
    const database = new Sqlite(path, { readOnly: !writable, timeout: BUSY })
    open = { database, file, statements: new Map() }
    return open
  }

  const run = (text: string, values: readonly unknown[]): readonly Row[] => {
    const { database, statements } = current()
    let statement = statements.get(text)
    if (statement === undefined) {
      statement = database.prepare(text)
      statements.set(text, statement)
    }
    return statement.all(...(values as SQLInputValue[])) as Row[]
  }

  return {
    dialect: sqliteDialect,
    query: run,
    async transaction(statements): Promise<void> {
      run('BEGIN IMMEDIATE', [])
      try {
        for (const [text, values] of statements) run(text, values)
        run('COMMIT', [])
      } catch (error) {
        run('ROLLBACK', [])
        throw error
      }
    },
    close: async (): Promise<void> => {
      open?.database.close()
      open = null
    },
  }
}
