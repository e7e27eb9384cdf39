/**
 * Words as a shell and systemd split them: quotes, backslashes, `$NAME`, `${NAME:-default}`.
 *
 * Reads, never runs: a command substitution makes the word unknown. What holds: any text ends in a result, and no
 * expansion grows without bound. Used for command lines, for assignments, and for `Environment=`.
 */

export type Variables = (name: string) => string | undefined

export interface Word {
  readonly value: string
  /** False when a part of it is only known to a shell that runs it. */
  readonly known: boolean
}

/** A variable that holds itself twice, thirty lines long, is a bomb. */
const LONGEST = 16_384
const DEEPEST = 8

interface Scan {
  readonly fields: string[]
  readonly known: boolean
  readonly end: number
}

/** All words of a line. Without `variable` a `$` is a character like any other. */
export function words(text: string, variable: Variables | null): Word[] {
  const found: Word[] = []
  for (let at = 0; at < text.length; ) {
    if (/\s/.test(text[at]!)) {
      at++
      continue
    }
    const { fields, known, end } = scan(text, at, variable, 0)
    found.push(...fields.map(value => ({ value, known })))
    at = Math.max(end, at + 1)
  }
  return found
}

/** The one word that begins at `at`, as the value of an assignment is read: expansions do not split it. */
export function value(text: string, at: number, variable: Variables | null): Word & { readonly end: number } {
  const { fields, known, end } = scan(text, at, variable, 0)
  return { value: fields.join(' '), known, end }
}

function scan(text: string, from: number, variable: Variables | null, depth: number): Scan {
  const fields: string[] = []
  let current: string | null = null
  let known = true
  let quote = ''
  let at = from
  const add = (part: string): void => {
    current = ((current ?? '') + part).slice(0, LONGEST)
  }
  for (; at < text.length; at++) {
    const character = text[at]!
    if (quote === '' && /[\s;&|]/.test(character)) break
    if (character === '\\' && quote !== "'") {
      const next = text[++at] ?? ''
      add(quote === '"' && !/["\\$`\n]/.test(next) ? `\\${next}` : next)
    } else if (character === quote) quote = ''
    else if (quote === '' && (character === '"' || character === "'")) {
      quote = character
      add('')
    } else if (variable !== null && quote !== "'" && (character === '`' || text.startsWith('$(', at))) {
      known = false
      at = afterSubstitution(text, at) - 1
    } else if (variable !== null && quote !== "'" && character === '$') {
      const expansion = expand(text, at, variable, depth)
      known &&= expansion.known
      at = expansion.end - 1
      if (quote === '"') add(expansion.value)
      else {
        const [first = '', ...more] = expansion.value.split(/\s+/)
        if (first !== '' || more.length > 0) add(first)
        for (const part of more) {
          if (current) fields.push(current)
          current = part
        }
      }
    } else add(character)
  }
  if (current !== null && (current !== '' || quoted(text, from, at))) fields.push(current)
  return { fields, known, end: at }
}

const quoted = (text: string, from: number, to: number): boolean => /["']/.test(text.slice(from, to))

function expand(text: string, at: number, variable: Variables, depth: number): Word & { end: number } {
  const plain = /\$([A-Za-z_]\w*)/y
  plain.lastIndex = at
  const simple = plain.exec(text)
  if (simple !== null) return { value: variable(simple[1]!) ?? '', known: true, end: plain.lastIndex }
  const braced = /\$\{([A-Za-z_]\w*)(?:(:?[-=+])|\})/y
  braced.lastIndex = at
  const match = braced.exec(text)
  if (match === null) return { value: '$', known: !/^\$[{@*#0-9?!]/.test(text.slice(at, at + 2)), end: at + 1 }
  const [, name = '', operator] = match
  const held = variable(name)
  if (operator === undefined) return { value: held ?? '', known: true, end: braced.lastIndex }
  const end = closing(text, braced.lastIndex)
  const set = operator.startsWith(':') ? held !== undefined && held !== '' : held !== undefined
  const other = text.slice(braced.lastIndex, end)
  const inner = (): Word => (depth >= DEEPEST ? { value: '', known: false } : quotedText(other, variable, depth + 1))
  if (operator.endsWith('+')) return { ...(set ? inner() : { value: '', known: true }), end: end + 1 }
  return { ...(set ? { value: held ?? '', known: true } : inner()), end: end + 1 }
}

/** The default inside `${NAME:-…}`: spaces stay in it. */
export function quotedText(text: string, variable: Variables, depth = 0): Word {
  const parts: string[] = []
  let known = true
  for (let at = 0; at < text.length; ) {
    const { fields, known: sure, end } = scan(text, at, variable, depth)
    parts.push(...fields)
    known &&= sure
    at = Math.max(end, at + 1)
  }
  return { value: parts.join(' '), known }
}

/** Index of the brace that ends the expansion that `from` is in. */
export function closing(text: string, from: number): number {
  let open = 1
  for (let at = from; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text.startsWith('${', at)) open++
    else if (text[at] === '}' && --open === 0) return at
  }
  return text.length
}

function afterSubstitution(text: string, at: number): number {
  if (text[at] === '`') {
    const end = text.indexOf('`', at + 1)
    return end < 0 ? text.length : end + 1
  }
  let open = 0
  for (let index = at + 1; index < text.length; index++) {
    if (text[index] === '(') open++
    else if (text[index] === ')' && --open === 0) return index + 1
  }
  return text.length
}
