/**
 * POSIX extended regular expressions, as `regexp:` tables have them, made into JavaScript's.
 *
 * What is different there: a backslash is an ordinary character between brackets, `[[:alpha:]]` and its like, `a+?` is `(a+)?` and not lazy,
 * `\<` and `\>`. Whether a key matches is the same as in Postfix; POSIX takes the longest of several possible matches and JavaScript
 * the first, which can show only in what `$1` stands for. Throws an `Error` whose message says what is wrong. Pure.
 */
import { bracket, escaped } from './bracket.ts'

export function translateEre(source: string): string {
  let out = ''
  /** Where the last atom begins, for a repetition; `null` where there is nothing to repeat. */
  let atom: number | null = null
  let repeated = false
  const groups: number[] = []
  const add = (text: string): void => {
    atom = out.length
    repeated = false
    out += text
  }
  for (let at = 0; at < source.length; ) {
    const char = source[at]!
    if (char === '\\') {
      const next = source[at + 1]
      if (next === undefined) throw new Error('a backslash at the end')
      if (ANCHORS[next] !== undefined) {
        out += ANCHORS[next]
        atom = null
      } else add(/[wWsS1-9]/.test(next) ? `\\${next}` : escaped(next))
      at += 2
    } else if (char === '[') {
      const { text, end } = bracket(source, at, false)
      add(text)
      at = end
    } else if (char === '(') {
      if (source[at + 1] === '?') throw new Error('"(?" is not POSIX syntax: use a pcre table')
      groups.push(out.length)
      out += '('
      atom = null
      at += 1
    } else if (char === ')') {
      const start = groups.pop()
      if (start === undefined) throw new Error('")" without "("')
      out += ')'
      atom = start
      repeated = false
      at += 1
    } else if (/[*+?{]/.test(char)) {
      const repetition = /^(?:[*+?]|\{\d+(?:,\d*)?\}|\{,\d+\})/.exec(source.slice(at))?.[0]
      if (repetition === undefined) throw new Error('"{" begins no repetition: write "\\{"')
      if (atom === null) throw new Error(`nothing stands before "${repetition}"`)
      if (repeated) out = `${out.slice(0, atom)}(?:${out.slice(atom)})`
      out += repetition.startsWith('{,') ? `{0${repetition.slice(1)}` : repetition
      repeated = true
      at += repetition.length
    } else {
      if (char === '|' || char === '^' || char === '$') {
        out += char
        atom = null
      } else add(char === '.' ? char : escaped(char))
      at += 1
    }
  }
  if (groups.length > 0) throw new Error('"(" without ")"')
  return out
}

/** GNU's, which Postfix has on Linux. */
const ANCHORS: Readonly<Record<string, string>> = {
  '<': '\\b(?=\\w)',
  '>': '\\b(?<=\\w)',
  b: '\\b',
  B: '\\B',
  '`': '(?<![^])',
  "'": '(?![^])',
}
