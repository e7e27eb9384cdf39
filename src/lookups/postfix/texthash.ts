/**
 * Tables of key and value as text: `texthash:` files, and `inline:` ones written into the configuration.
 *
 * After postmap(1) and DATABASE_README of Postfix 3.7: a key ends at white space unless that is in quotation marks, keys are
 * folded to lower case, and of a key that stands twice the first counts. Pure.
 */
import { braced } from './inline.ts'
import { logicalLines, TableError } from './lines.ts'

export function readTexthash(text: string): ReadonlyMap<string, string> {
  const table = new Map<string, string>()
  for (const { number, text: line } of logicalLines(text)) {
    // A quoted local part may hold white space, and keeps its quotation marks: "a b"@example.org.
    const [key] = /^(?:"(?:[^"\\]|\\.)*")?\S*/s.exec(line)!
    const value = line.slice(key.length).trim()
    if (value === '') throw new TableError(number, `there is no value for ${key}`)
    const folded = key.toLowerCase()
    if (!table.has(folded)) table.set(folded, value)
  }
  return table
}

/** `{ key=value, { key = value with spaces } }`. Here the last of two counts, as in Postfix. */
export function readInline(text: string): ReadonlyMap<string, string> {
  const table = new Map<string, string>()
  for (const item of braced(text)) {
    const [, key, value] = /^([^=]*?)\s*=\s*(.*)$/s.exec(item) ?? []
    if (key === undefined || key === '' || value === undefined) throw new Error(`"${item}" is not "key = value"`)
    table.set(key.toLowerCase(), value)
  }
  return table
}
