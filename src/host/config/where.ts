/**
 * On which line of a configuration file a mistake stands, as far as its text shows.
 *
 * A configuration is a program, and what is wrong is known of its result only: keys and names are looked for in the text, in the order in which
 * they are nested. What was made elsewhere (an imported file, a computed key) is not found, and then no line is told.
 * `cli/configuration.ts` adds the lines to what `validate.ts` found.
 */

/** `filters[2] (clamav): timeouts.end must …`: the entry's name and the path within it; or a path alone. */
const PLACE =
  /^(?:filters\[\d+\](?: \((?<name>[^)]*)\):? ?)?)?(?<path>[A-Za-z]\w*(?:\[\d+\])?(?:\.[A-Za-z]\w*(?:\[\d+\])?)*)?/

/** Each problem with `line 7: ` before it, where it is known: the line of the innermost key that is written out. */
export function withLines(problems: readonly string[], text: string): string[] {
  const source = new Source(text)
  const exported = Math.max(0, source.code.search(/\bexport\s+default\b|\bmodule\.exports\b|\bdefineConfig\s*\(/))
  return problems.map(problem => {
    const found = find(source, problem, exported) ?? (exported > 0 ? find(source, problem, 0) : null)
    return found === null ? problem : `line ${text.slice(0, found).split('\n').length}: ${problem}`
  })
}

/** A part of the text, from its first character to that after its last. */
type Span = readonly [from: number, to: number]

class Source {
  /** Comments are blank. */
  readonly code: string
  /** What is in strings is blank too, so that brackets are brackets. */
  readonly #shape: string

  constructor(text: string) {
    this.code = text.replaceAll(TOKENS, found => (found.startsWith('/') ? blank(found) : found))
    this.#shape = this.code.replaceAll(TOKENS, blank)
  }

  /** Where the pattern is found within the span. */
  search(pattern: RegExp, [from, to]: Span): number | null {
    const found = this.code.slice(from, to).search(pattern)
    return found < 0 ? null : from + found
  }

  /** From there to where the bracket closes that encloses it, or to the comma before. */
  rest(from: number, comma: boolean): Span {
    let depth = 0
    for (let at = from; at < this.#shape.length; at++) {
      const character = this.#shape[at]!
      if ('([{'.includes(character)) depth++
      else if (')]}'.includes(character) && --depth < 0) return [from, at]
      else if (comma && character === ',' && depth === 0) return [from, at]
    }
    return [from, this.#shape.length]
  }
}

function find(source: Source, problem: string, from: number): number | null {
  const { name, path = '' } = PLACE.exec(problem)?.groups ?? {}
  const keys = path
    .replaceAll(/\[\d+\]/g, '')
    .split('.')
    .filter(key => key !== '')
  const whole: Span = [from, source.code.length]
  if (!problem.startsWith('filters[')) return innermost(source, keys, whole)
  const list = source.search(keyPattern('filters'), whole)
  if (list === null || name === undefined) return list
  const quoted = escaped(name)
  // The name that a socket or the options give, or a plugin that is called by it.
  const entry = source.search(new RegExp(`(['"\`])${quoted}\\1|(?<![\\w.])${quoted}\\(`), source.rest(list, true))
  if (entry === null) return list
  return innermost(source, keys, source.rest(entry, !/['"`]/.test(source.code[entry]!))) ?? entry
}

function innermost(source: Source, keys: readonly string[], span: Span): number | null {
  let found: number | null = null
  let within = span
  for (const key of keys) {
    const at = source.search(keyPattern(key), within)
    if (at === null) return found
    found = at
    within = source.rest(at, true)
  }
  return found
}

/** `key:`, quoted or not, or the shorthand `key,`. */
const keyPattern = (key: string): RegExp => new RegExp(`(?<![\\w.$])(['"]?)${escaped(key)}\\1\\s*[:,}]`)

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\/-]/g, '\\$&')

const TOKENS = /(['"`])(?:\\.|(?!\1)[^\\\n])*\1|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g

/** Blanks in their place, so that everything else stays where it is. */
const blank = (text: string): string => text.replaceAll(/[^\n]/g, ' ')
