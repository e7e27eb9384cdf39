/**
 * SQLgrey 1.8: its tables `connect`, `from_awl` and `domain_awl`, from its SQLite file or as text with tabs or commas.
 *
 * The text begins with the names of the columns, as `mysql --batch` and psql's `\copy … CSV HEADER` print them; which table it is
 * is seen by them. `src` is an address, or the three first numbers of a network. The null sender is `-undef-`. Times are read
 * as UTC.
 */
import { isIP } from 'node:net'
import { DatabaseSync } from 'node:sqlite'
import type { LineReader, Old } from './old.ts'

type Row = Readonly<Record<string, unknown>>

export function sqlgrey(): LineReader {
  let columns: readonly string[] | null = null
  return line => {
    if (line === '') return null
    const cells = line.split(line.includes('\t') ? '\t' : ',').map(cell => cell.replace(/^"(.*)"$/, '$1'))
    if (cells.includes('src') && cells.includes('sender_domain')) {
      columns = cells
      return null
    }
    if (columns === null) throw new Error('the names of the columns are missing')
    if (cells.length !== columns.length) throw new Error(`not ${columns.length} columns`)
    return rowOf(Object.fromEntries(columns.map((name, at) => [name, cells[at]])))
  }
}

const TABLES = ['connect', 'from_awl', 'domain_awl']

/** The rows of all three tables, each with its number. Throws when the file is none of SQLgrey's. */
export function* sqlgreyFile(
  path: string,
): Generator<{ readonly at: string; readonly row: Row; readonly total: number }> {
  const db = new DatabaseSync(path, { readOnly: true })
  try {
    const counts = TABLES.map(table =>
      Number(Object.values(db.prepare(`SELECT count(*) FROM ${table}`).get() ?? {})[0]),
    )
    const total = counts.reduce((sum, count) => sum + count, 0)
    for (const table of TABLES) {
      let number = 0
      for (const row of db.prepare(`SELECT * FROM ${table}`).iterate())
        yield { at: `${table} row ${++number}`, row, total }
    }
  } finally {
    db.close()
  }
}

export function rowOf(row: Row): Old {
  const text = (name: string): string => (row[name] === '-undef-' ? '' : String(row[name] ?? ''))
  const client = sourceOf(text('src'))
  const domain = text('sender_domain').toLowerCase()
  const first = timeOf(row.first_seen)
  if (row.rcpt === undefined) return { kind: 'passed', client, domain, first, last: timeOf(row.last_seen) }
  const sender = domain === '' ? '' : `${text('sender_name')}@${domain}`
  return { kind: 'waiting', client, sender, recipient: text('rcpt'), first, last: first }
}

function sourceOf(src: string): string {
  if (isIP(src) !== 0) return src
  if (isIP(`${src}.0`) === 4) return `${src}.0/24`
  if (isIP(`${src}::`) === 6) return `${src}::/64`
  throw new Error(`${JSON.stringify(src)} is no address`)
}

function timeOf(value: unknown): number {
  const text = String(value)
  if (/^\d{1,11}$/.test(text)) return Number(text) * 1000
  const parts = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.\d+)?$/.exec(text)
  const time = parts === null ? Number.NaN : Date.parse(`${parts[1]}T${parts[2]}Z`)
  if (Number.isNaN(time)) throw new Error(`${JSON.stringify(text)} is no time`)
  return time
}
