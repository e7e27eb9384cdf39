/**
 * Perl-compatible regular expressions, as `pcre:` tables have them, made into JavaScript's.
 *
 * Most is written the same way; what differs is translated, and what JavaScript cannot do (possessive repetition, atomic groups,
 * recursion, named back-references) is an error that says so rather than a pattern that means something else. Pure.
 */
import { bracket, escaped } from './bracket.ts'

/** `extended`: white space outside of brackets means nothing. */
export function translatePcre(source: string, extended: boolean): string {
  let out = ''
  /** For each open group, how many "(?i:" were opened for the rest of it. */
  const open: number[] = [0]
  for (let at = 0; at < source.length; ) {
    const char = source[at]!
    if (extended && /\s/.test(char)) at += 1
    else if (char === '\\') {
      const literal = /^\\Q(.*?)(?:\\E|$)/s.exec(source.slice(at))
      if (literal !== null) {
        out += [...literal[1]!].map(escaped).join('')
        at += literal[0].length
      } else {
        out += escapeOf(source[at + 1])
        at += 2
      }
    } else if (char === '[') {
      const { text, end } = bracket(source, at, true)
      out += text
      at = end
    } else if (char === '(') {
      const group = readGroup(source.slice(at))
      out += group.text
      at += group.length
      if (group.opens === 'group') open.push(0)
      else if (group.opens === 'rest') open[open.length - 1]! += 1
    } else if (char === ')') {
      const inner = open.pop()
      if (inner === undefined || open.length === 0) throw new Error('")" without "("')
      out += ')'.repeat(inner + 1)
      at += 1
    } else {
      const repetition = /^(?:[*+?]|\{\d+(?:,\d*)?\})/.exec(source.slice(at))?.[0]
      if (repetition !== undefined) {
        if (source[at + repetition.length] === '+') throw new Error(`"${repetition}+" (possessive) is not supported`)
        out += repetition
        at += repetition.length
      } else {
        // "{" that begins no repetition is itself.
        out += /[.^$|]/.test(char) ? char : escaped(char)
        at += 1
      }
    }
  }
  if (open.length > 1) throw new Error('"(" without ")"')
  return out + ')'.repeat(open[0]!)
}

interface Group {
  readonly text: string
  readonly length: number
  /** `rest`: it holds for what is left of the group it stands in. */
  readonly opens: 'group' | 'rest' | 'nothing'
}

function readGroup(source: string): Group {
  const taken = (match: RegExp): RegExpExecArray | null => match.exec(source)
  const comment = taken(/^\(\?#[^)]*\)/)
  if (comment !== null) return { text: '', length: comment[0].length, opens: 'nothing' }
  const plain = taken(/^\((?:\?(?::|=|!|<=|<!))/)
  if (plain !== null) return { text: plain[0], length: plain[0].length, opens: 'group' }
  // Numbers are all that a result can name.
  const named = taken(/^\(\?P?(?:<[A-Za-z_]\w*>|'[A-Za-z_]\w*')/)
  if (named !== null) return { text: '(', length: named[0].length, opens: 'group' }
  const flags = taken(/^\(\?([ims]*(?:-[ims]+)?)([:)])/)
  if (flags !== null && flags[1] !== '') {
    return { text: `(?${flags[1]}:`, length: flags[0].length, opens: flags[2] === ':' ? 'group' : 'rest' }
  }
  const other = taken(/^\((?:\?.?|\*)/)
  if (other !== null) throw new Error(`"${other[0]}" is not supported`)
  return { text: '(', length: 1, opens: 'group' }
}

const ESCAPES: Readonly<Record<string, string>> = {
  A: '(?<![^])',
  z: '(?![^])',
  Z: '(?=\\n?(?![^]))',
  a: '\\x07',
  e: '\\x1b',
  h: '[ \\t]',
  H: '[^ \\t]',
  s: '[ \\t\\n\\v\\f\\r]',
  S: '[^ \\t\\n\\v\\f\\r]',
  v: '[\\n\\v\\f\\r]',
  R: '(?:\\r\\n|[\\n\\v\\f\\r])',
  N: '[^\\n]',
  E: '',
}

function escapeOf(next: string | undefined): string {
  if (next === undefined) throw new Error('a backslash at the end')
  const known = ESCAPES[next]
  if (known !== undefined) return known
  if (/[dDwWbBnrtfx0-9]/.test(next)) return `\\${next}`
  if (/[A-Za-z]/.test(next)) throw new Error(`"\\${next}" is not supported`)
  return escaped(next)
}
