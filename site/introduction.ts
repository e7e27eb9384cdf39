/**
 * What a page or a module says of itself at its beginning: the head of a page of the reference, and the description of every page, which
 * search engines and previews of links show.
 */
import { readFileSync } from 'node:fs'

/** The comment at the head of a file of TypeScript, without its stars; empty where there is none. */
export const introduction = (file: string): string =>
  (/^\/\*\*\n([\s\S]*?)\n \*\//.exec(readFileSync(file, 'utf8'))?.[1] ?? '').replace(/^ \* ?/gm, '')

/** A description is cut at the end of a word here: more is not shown. */
const LONGEST = 200

/** The first paragraph of running text of a page in Markdown, as plain text. */
export function descriptionOf(markdown: string): string {
  const outside = markdown.replace(/^(```+)[\s\S]*?^\1/gm, '').replace(/^---\n[\s\S]*?^---\n/, '')
  const said = outside
    .split(/\n\s*\n/)
    .find(part => /^[\p{L}`*[]/u.test(part) && !/^\[[^\]]*\]\([^)]*\)$/.test(part.trim()))
  const plain = (said ?? '')
    .replace(/\[((?:[^[\]]|\[[^\]]*\])*)\]\([^)]*\)/g, '$1')
    .replace(/`|\*\*|(?<![\p{L}\p{N}])_|_(?![\p{L}\p{N}])/gu, '')
    .replace(/\s+/g, ' ')
    .trim()
  return plain.length <= LONGEST ? plain : `${plain.slice(0, LONGEST).replace(/[\s,;:]+\S*$/, '')} …`
}
