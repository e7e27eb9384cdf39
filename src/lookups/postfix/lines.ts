/**
 * The text that Postfix's tables are written in: logical lines (postmap(1), regexp_table(5), cidr_table(5)).
 *
 * Empty lines and lines that begin with `#` are left out wherever they stand; a line that begins with white space continues the one
 * before. Pure.
 */

export interface LogicalLine {
  /** Where it begins, counted from 1. */
  readonly number: number
  readonly text: string
}

/** Wrong text, with its line; the file is named by whoever reads it. */
export class TableError extends Error {
  constructor(line: number, what: string) {
    super(`line ${line}: ${what}`)
  }
}

export function logicalLines(text: string): readonly LogicalLine[] {
  const lines: { number: number; text: string }[] = []
  for (const [index, line] of text.split('\n').entries()) {
    if (/^[ \t\r\v\f]*(?:#|$)/.test(line)) continue
    const last = lines.at(-1)
    if (/^[ \t\r\v\f]/.test(line) && last !== undefined) last.text += line
    else lines.push({ number: index + 1, text: line })
  }
  return lines.map(({ number, text: whole }) => ({ number, text: whole.trim() }))
}
