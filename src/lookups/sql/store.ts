/**
 * Writes the policy table, for `milterhost policy set`: all rows of a recipient in one transaction.
 */
import { hostError } from '../../host/errors.ts'
import type { PolicyStore } from '../../host/policy/lookup.ts'
import { readSwitches } from '../../host/policy/switches.ts'
import type { Database } from './database.ts'
import { selectPolicy } from './policy-table.ts'
import { type Row, readQuery } from './query.ts'

export function sqlStore(lookup: string, table: string, database: Database): PolicyStore {
  const { mark } = database.dialect
  const signal = new AbortController().signal
  const select = readQuery(selectPolicy(table), mark).text
  const reported = async <T>(run: () => Promise<T>): Promise<T> => {
    try {
      return await run()
    } catch (error) {
      throw hostError('LOOKUP_FAILED', lookup, (error as Error).message)
    }
  }
  return {
    get: key =>
      reported(async () => {
        const rows = await database.query(select, [key.toLowerCase()], signal)
        return rows.length === 0 ? null : rows
      }),
    set: (key, value) =>
      reported(() => {
        const recipient = key.toLowerCase()
        const remove = [`DELETE FROM ${table} WHERE recipient = ${mark(1)}`, [recipient]] as const
        const insert = `INSERT INTO ${table} (recipient, filter, enabled, options) VALUES (${[1, 2, 3, 4].map(mark).join(', ')})`
        const rows = Object.entries(value === null ? {} : readSwitches(value)).map(([filter, on]) => {
          const enabled = on !== false
          const options = typeof on === 'object' ? JSON.stringify(on) : null
          // SQLite has no boolean.
          return [
            insert,
            [recipient, filter, database.dialect.name === 'sqlite' ? Number(enabled) : enabled, options],
          ] as const
        })
        return database.transaction([remove, ...rows])
      }),
    async *list() {
      const all = `SELECT recipient, filter, enabled, options FROM ${table} ORDER BY recipient, filter`
      const rows = await reported(async () => database.query(all, [], signal))
      let group: Row[] = []
      for (const row of rows) {
        const first = group[0]
        if (first !== undefined && first.recipient !== row.recipient) {
          yield [String(first.recipient), group]
          group = []
        }
        group.push(row)
      }
      if (group.length > 0) yield [String(group[0]!.recipient), group]
    },
    close: () => database.close(),
  }
}
