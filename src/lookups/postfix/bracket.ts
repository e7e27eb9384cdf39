/**
 * Bracket expressions of POSIX and PCRE, `[^][:alnum:]_-]`, made into JavaScript's. Pure.
 */

const CLASSES: Readonly<Record<string, string>> = {
  alnum: 'A-Za-z0-9',
  alpha: 'A-Za-z',
  ascii: '\\x00-\\x7f',
  blank: ' \\t',
  cntrl: '\\x00-\\x1f\\x7f',
  digit: '0-9',
  graph: '\\x21-\\x7e',
  lower: 'a-z',
  print: '\\x20-\\x7e',
  punct: '\\x21-\\x2f\\x3a-\\x40\\x5b-\\x60\\x7b-\\x7e',
  space: ' \\t\\n\\v\\f\\r',
  upper: 'A-Z',
  word: '\\w',
  xdigit: '0-9A-Fa-f',
}

/** A character that means only itself, in a pattern and in a class. */
export const escaped = (char: string): string => (/[\w\s"'#%&,:;<=>@`~!]|[^\0-\x7f]/.test(char) ? char : `\\${char}`)

/** `source[at]` is the opening bracket. `pcre`: a backslash escapes, as in PCRE; else it is itself, as in POSIX. */
export function bracket(source: string, at: number, pcre: boolean): { readonly text: string; readonly end: number } {
  let here = at + 1
  let out = '['
  if (source[here] === '^') {
    out += '^'
    here += 1
  }
  const first = here
  for (;;) {
    const char = source[here]
    if (char === undefined) throw new Error('"[" without "]"')
    if (char === ']' && here > first) return { text: `${out}]`, end: here + 1 }
    const named = /^\[([:.=])(.*?)\1\]/.exec(source.slice(here))
    if (named !== null) {
      out += classOf(named[1]!, named[2]!, pcre)
      here += named[0].length
    } else if (char === '\\' && pcre) {
      const next = source[here + 1]
      if (next === undefined) throw new Error('a backslash at the end')
      out += escapeInClass(next)
      here += 2
    } else {
      // "-" stays: between two characters it is a range in each of the three, at an end itself.
      out += char === '-' ? '-' : /[\\\][^]/.test(char) ? `\\${char}` : char
      here += 1
    }
  }
}

function classOf(mark: string, name: string, pcre: boolean): string {
  if (mark !== ':') {
    if (name.length === 1 && !pcre) return /[\\\][^-]/.test(name) ? `\\${name}` : name
    throw new Error(`"[${mark}${name}${mark}]" is not supported`)
  }
  const characters = CLASSES[name]
  if (characters === undefined || (name === 'ascii' && !pcre) || (name === 'word' && !pcre)) {
    throw new Error(`there is no class [:${name}:]${name.startsWith('^') ? ' here: put "^" before the whole' : ''}`)
  }
  return characters
}

function escapeInClass(next: string): string {
  if (next === 's') return ' \\t\\n\\v\\f\\r'
  if (next === 'h') return ' \\t'
  if (/[dDwWSnrtfbx0]/.test(next)) return `\\${next}`
  if (/[A-Za-z1-9]/.test(next)) throw new Error(`"\\${next}" between brackets is not supported`)
  return `\\${next}`
}
