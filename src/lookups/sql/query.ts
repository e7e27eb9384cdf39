/**
 * The postmaster's own SELECT: named places for the key, turned into the database's parameters.
 *
 * `:key`, `:local` and `:domain` stand for the key and the two sides of an address, in one spelling for all databases. What stands
 * between quotation marks or in a comment, and `::text`, is left alone. The key never becomes part of the text of a query. Pure.
 */
import type { KeyPart } from '../placeholders.ts'

/** A query as the database takes it; `parts[i]` is the value of its parameter number i + 1. */
export interface Query {
  readonly text: string
  readonly parts: readonly KeyPart[]
}

const TOKEN =
  /'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|--[^\n]*|\/\*[\s\S]*?\*\/|::|:(key|local|domain)\b|(\$\d+|\?|:\w+)/g

/** `mark(n)` writes parameter number n. Throws an `Error` whose message says what is wrong. */
export function readQuery(source: string, mark: (number: number) => string): Query {
  const parts: KeyPart[] = []
  const text = source.replaceAll(TOKEN, (token, part: KeyPart | undefined, other: string | undefined) => {
    if (other !== undefined) throw new Error(`"${other}" in the query: write :key, :local or :domain`)
    if (part === undefined) return token
    parts.push(part)
    return mark(parts.length)
  })
  if (parts.length === 0) throw new Error('the query must have :key, :local or :domain in it')
  return { text, parts }
}

export type Row = Readonly<Record<string, unknown>>

/** What rows mean: nothing, the one column there is, or all columns. `all`: a list of that for every row. */
export function valueOfRows(rows: readonly Row[], all: boolean): unknown {
  if (rows.length === 0) return null
  return all ? rows.map(valueOfRow) : valueOfRow(rows[0]!)
}

function valueOfRow(row: Row): unknown {
  const columns = Object.values(row)
  return columns.length === 1 ? columns[0] : { ...row }
}
