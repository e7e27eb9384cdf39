/** Tables in Markdown as the formatter of the repository lays them out, and links as pages of `docs/` write them. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { slugOf } from '../slug.ts'

/** Columns that are empty in every row are left out. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const used = head.map((_, column) => column).filter(column => rows.some(row => row[column] !== ''))
  const lines = [head, ...rows].map(row => used.map(column => row[column]!.replaceAll('|', '\\|')))
  const widths = used.map((_, column) => Math.max(3, ...lines.map(line => line[column]!.length)))
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`
  const [first, ...others] = lines
  return [line(first!), line(widths.map(width => '-'.repeat(width))), ...others.map(line)].join('\n')
}

/** What a doc comment calls `docs/replay.md#shadow` is a link with the words of that heading, on the page at `from`. */
export const withLinks = (root: string, from: string, text: string): string =>
  text.replace(/(?<![`\w/])docs\/([\w-]+\.md)(?:#([\w-]+))?/g, (written, file: string, anchor?: string) => {
    if (!existsSync(join(root, 'docs', file))) throw new Error(`a doc comment names ${written}, which is not there`)
    const headings = [...readFileSync(join(root, 'docs', file), 'utf8').matchAll(/^#+ (.+)$/gm)].map(
      ([, words]) => words!,
    )
    const words = anchor === undefined ? headings[0] : headings.find(heading => slugOf(heading) === anchor)
    if (words === undefined) throw new Error(`a doc comment names ${written}, and that page has no such heading`)
    const target = `${`docs/${file}` === from ? '' : file}${anchor === undefined ? '' : `#${anchor}`}`
    return `[${words}](${target === '' ? `#${slugOf(words)}` : target})`
  })

export const inOneLine = (text: string): string => text.replaceAll(/\n+/g, ' ')

/** What is more to say of names than fits into a table, below it. */
export const notes = (said: readonly (readonly [name: string, remarks: string])[]): readonly string[] =>
  said
    .filter(([, remarks]) => remarks !== '')
    .map(([name, remarks]) => `\`${name}\`:${remarks.startsWith('- ') ? '\n\n' : ' '}${remarks}`)
