/**
 * The words of a milter-manager.conf: enough of Ruby's lexis for the documented subset, each word with its line.
 *
 * Nothing is executed. What a program could do that a configuration does not (here documents, interpolation) is kept as text
 * that no value is made of, so that it is listed and not misread. Throws a coded error for a string that does not end.
 */
import { hostError } from '../../host/errors.ts'

export type Token =
  | { readonly kind: 'word' | 'operator' | 'newline'; readonly text: string; readonly line: number }
  | { readonly kind: 'string' | 'symbol'; readonly text: string; readonly line: number; readonly whole: boolean }
  | { readonly kind: 'number'; readonly value: number; readonly text: string; readonly line: number }
  | {
      readonly kind: 'regexp'
      readonly source: string
      readonly flags: string
      readonly text: string
      readonly line: number
    }

/** After these a `/` begins a regular expression; after anything else it divides. */
const BEFORE_REGEXP = /^(?:[=(,[{|&!;]|=~|!~|\|\||&&|=>|when|if|unless|and|or|not|return|do|then)$/

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', s: ' ', e: '\x1b', '0': '\0' }

export function tokensOf(text: string, file: string): Token[] {
  const tokens: Token[] = []
  let at = 0
  let line = 1
  const next = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at
    const match = pattern.exec(text)
    if (match === null) return null
    at += match[0].length
    return match
  }
  while (at < text.length) {
    const start = line
    if (next(/[ \t\r\f]+|\\\n|#[^\n]*/y) !== null) {
      if (text[at - 1] === '\n') line++
      continue
    }
    if (next(/\n/y) !== null) {
      tokens.push({ kind: 'newline', text: '\n', line: start })
      line++
      const comment = next(/=begin\b[\s\S]*?\n=end\b[^\n]*/y)
      if (comment !== null) line += linesIn(comment[0])
      if (/^__END__\s*$/m.test(text.slice(at).split('\n', 1)[0] ?? '')) break
      continue
    }
    const quote = text[at]
    if (quote === '"' || quote === "'" || quote === '`') {
      const [value, end, whole] = quoted(text, at, quote, `${file}:${start}`)
      line += linesIn(text.slice(at, end))
      at = end
      tokens.push({ kind: 'string', text: value, line: start, whole: whole && quote !== '`' })
      continue
    }
    const words = next(/%[wi]\[([^\]]*)\]|%[wi]\(([^)]*)\)/y)
    if (words !== null) {
      line += linesIn(words[0])
      tokens.push(...wordArray((words[1] ?? words[2] ?? '').trim().split(/\s+/), start))
      continue
    }
    const last = tokens.at(-1)
    if (
      quote === '/' &&
      (last === undefined || last.kind === 'newline' || BEFORE_REGEXP.test(last.text) || startsArgument(text, at, last))
    ) {
      const match = next(/\/((?:[^\\/\n[]|\\.|\[(?:[^\\\]\n]|\\.)*\])*)\/([imxounse]*)/y)
      if (match === null) throw hostError('IMPORT_SYNTAX', `${file}:${start}`, 'a regular expression does not end')
      tokens.push({ kind: 'regexp', source: match[1]!, flags: match[2]!, text: match[0], line: start })
      continue
    }
    const symbol = next(/:(?:"([^"\n]*)"|([A-Za-z_]\w*[?!=]?))(?!:)/y)
    if (symbol !== null) {
      tokens.push({ kind: 'symbol', text: symbol[1] ?? symbol[2] ?? '', line: start, whole: true })
      continue
    }
    const number = next(/\d[\d_]*(?:\.\d+)?(?:e[+-]?\d+)?|0x[\da-f]+/iy)
    if (number !== null) {
      tokens.push({ kind: 'number', value: numberOf(number[0].replaceAll('_', '')), text: number[0], line: start })
      continue
    }
    const word = next(/[@$]*[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*(?:[?!](?!=))?/y)
    if (word !== null) {
      tokens.push({ kind: 'word', text: word[0], line: start })
      continue
    }
    const operator = next(
      /\*\*=?|<=>|===?|=~|=>|![=~]|&&=?|\|\|=?|<<=?|>>=?|[<>]=|::|\.\.\.?|&\.|->|[+\-*/%|&^]=|[\s\S]/y,
    )
    tokens.push({ kind: 'operator', text: operator![0], line: start })
  }
  tokens.push({ kind: 'newline', text: '\n', line })
  return tokens
}

/** `foo /re/`: a space before and none behind, after a name, begins an argument. */
const startsArgument = (text: string, at: number, last: Token): boolean =>
  last.kind === 'word' && /\s/.test(text[at - 1] ?? '') && !/\s/.test(text[at + 1] ?? ' ')

/** `%w[a b]` is an array of strings. */
function wordArray(words: readonly string[], line: number): Token[] {
  const items = words
    .filter(word => word !== '')
    .flatMap((word): Token[] => [
      { kind: 'string', text: word, line, whole: true },
      { kind: 'operator', text: ',', line },
    ])
  return [{ kind: 'operator', text: '[', line }, ...items, { kind: 'operator', text: ']', line }]
}

function quoted(
  text: string,
  from: number,
  quote: string,
  where: string,
): [value: string, end: number, whole: boolean] {
  let value = ''
  let whole = true
  for (let at = from + 1; at < text.length; at++) {
    const character = text[at]!
    if (character === quote) return [value, at + 1, whole]
    if (character === '\\') {
      const escaped = text[++at] ?? ''
      // Between single quotes a backslash is itself, but before a quote and another one.
      if (quote === "'") value += escaped === quote || escaped === '\\' ? escaped : `\\${escaped}`
      else value += ESCAPES[escaped] ?? escaped
    } else {
      if (quote !== "'" && character === '#' && text[at + 1] === '{') whole = false
      value += character
    }
  }
  throw hostError('IMPORT_SYNTAX', where, 'a string does not end')
}

/** A leading zero is octal. */
const numberOf = (text: string): number => (/^0[0-7]+$/.test(text) ? Number.parseInt(text, 8) : Number(text))

const linesIn = (text: string): number => text.split('\n').length - 1
