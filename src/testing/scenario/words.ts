/**
 * Cuts a line of a scenario file into words: bare, "quoted", /pattern/ and <address>.
 *
 * Pure. A word remembers how it was written, because `<>` is an address and `""` is an empty text. Called by `parse.ts`.
 */
import { badScenario } from './problem.ts'

export interface Word {
  readonly form: 'bare' | 'quoted' | 'pattern' | 'address'
  /** Without quotes, slashes or angle brackets. */
  readonly text: string
  /** Of a pattern. */
  readonly flags: string
  /** Where it begins in the line. */
  readonly at: number
}

const WORD = /\s*(?:"((?:[^"\\]|\\.)*)"(?=\s|$)|\/((?:[^/\\]|\\.)+)\/([a-z]*)(?=\s|$)|<([^<>\s]*)>(?=\s|$)|(\S+))/y

/** All words from `from` on; throws a `ScenarioError` on a quote that is not closed. */
export function wordsOf(line: string, where: { readonly file: string; readonly line: number }, from = 0): Word[] {
  const words: Word[] = []
  WORD.lastIndex = from
  while (WORD.lastIndex < line.length && line.slice(WORD.lastIndex).trim() !== '') {
    const match = WORD.exec(line)!
    const [whole, quoted, pattern, flags, address, bare] = match
    const at = match.index + whole.length - whole.trimStart().length
    if (quoted !== undefined) words.push({ form: 'quoted', text: unescaped(quoted), flags: '', at })
    else if (pattern !== undefined) words.push({ form: 'pattern', text: pattern, flags: flags!, at })
    else if (address !== undefined) words.push({ form: 'address', text: address, flags: '', at })
    else if (bare!.startsWith('"')) throw badScenario(where, 'a quote is not closed')
    else words.push({ form: 'bare', text: bare!, flags: '', at })
  }
  return words
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '0': '\0' }

const unescaped = (text: string): string =>
  text.replace(/\\(?:x([0-9a-f]{2})|(.))/gi, (_, hex: string | undefined, one: string) =>
    hex === undefined ? (ESCAPES[one] ?? one) : String.fromCharCode(Number.parseInt(hex, 16)),
  )

/** The same text as a quoted word. */
export const quoted = (text: string): string => `"${text.replace(/["\\\p{Cc}]/gu, escaped)}"`

function escaped(one: string): string {
  if (one === '"' || one === '\\') return `\\${one}`
  const name = Object.entries(ESCAPES).find(([, is]) => is === one)?.[0]
  return `\\${name ?? `x${one.charCodeAt(0).toString(16).padStart(2, '0')}`}`
}
