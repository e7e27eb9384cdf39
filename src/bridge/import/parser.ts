/**
 * The statements of a milter-manager.conf: assignments, calls with their blocks, and everything else as text.
 *
 * Pure. A statement that is not one of the documented forms becomes `other` as a whole, whatever stands in it, so that a
 * definition inside of a condition is never taken for one that always holds. Throws a coded error where blocks do not close.
 */
import { hostError } from '../../host/errors.ts'
import { type Token, tokensOf } from './lexer.ts'

export type Value =
  | { readonly kind: 'string' | 'symbol'; readonly value: string }
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'nil' }
  | { readonly kind: 'regexp'; readonly source: string; readonly flags: string }
  | { readonly kind: 'array'; readonly items: readonly Value[] }
  | { readonly kind: 'pair'; readonly key: string; readonly value: Value }
  /** A name, such as a block's parameter; or code. */
  | { readonly kind: 'name' | 'code'; readonly text: string }

export interface Block {
  readonly parameters: readonly string[]
  readonly body: readonly Statement[]
}

export type Statement = { readonly line: number; readonly text: string } & (
  | { readonly kind: 'assign'; readonly target: string; readonly value: Value }
  | { readonly kind: 'call'; readonly target: string; readonly values: readonly Value[]; readonly block: Block | null }
  | { readonly kind: 'other' }
)

export function statementsOf(text: string, file: string): Statement[] {
  const reader = new Reader(tokensOf(text, file), file, text.split('\n'))
  return reader.statements(null)
}

/** Words that open what `end` closes, where a statement or an expression begins. */
const OPENERS = /^(?:if|unless|case|while|until|for|begin|def|class|module)$/
const LOOPS = /^(?:while|until|for)$/
/** What may stand before an opener that is no modifier. */
const BEFORE_OPENER = /^(?:[=(,[{|;]|\|\||&&|=>|\n|then|else|do|and|or|not|!|return)$/

class Reader {
  readonly #tokens: readonly Token[]
  readonly #file: string
  readonly #lines: readonly string[]
  #at = 0

  constructor(tokens: readonly Token[], file: string, lines: readonly string[]) {
    this.#tokens = tokens
    this.#file = file
    this.#lines = lines
  }

  /** Up to the word that closes the block, which is taken; `null` reads to the end. */
  statements(closer: 'end' | '}' | null): Statement[] {
    const opened = this.#tokens[this.#at - 1]?.line ?? 1
    const found: Statement[] = []
    for (;;) {
      while (this.#is('\n') || this.#is(';')) this.#at++
      const token = this.#tokens[this.#at]
      if (token === undefined) {
        if (closer === null) return found
        throw hostError('IMPORT_SYNTAX', `${this.#file}:${opened}`, `what begins here is not closed with ${closer}`)
      }
      if (closer !== null && token.text === closer && (token.kind === 'word' || token.kind === 'operator')) {
        this.#at++
        return found
      }
      if (this.#isWord('end') || this.#is('}'))
        throw hostError(
          'IMPORT_SYNTAX',
          `${this.#file}:${token.line}`,
          `${token.text === 'end' ? 'an end' : 'a brace'} closes nothing`,
        )
      found.push(this.#statement())
    }
  }

  #statement(): Statement {
    const from = this.#at
    const line = this.#tokens[from]!.line
    const simple = this.#simple()
    if (simple !== null && this.#ended()) return { ...simple, line, text: this.#source(from) }
    this.#at = from
    this.#skip()
    return { kind: 'other', line, text: this.#source(from) }
  }

  /** An assignment or a call; `null`, with the place anywhere, when it is neither. */
  #simple():
    | Omit<Extract<Statement, { kind: 'assign' }>, 'line' | 'text'>
    | Omit<Extract<Statement, { kind: 'call' }>, 'line' | 'text'>
    | null {
    const target = this.#path()
    if (target === null) return null
    if (this.#is('=')) {
      this.#at++
      while (this.#is('\n')) this.#at++
      const value = this.#value()
      return value === null ? null : { kind: 'assign', target, value }
    }
    const values: Value[] = []
    if (this.#is('(')) {
      this.#at++
      const inside = this.#list(')')
      if (inside === null) return null
      values.push(...inside)
    } else if (!this.#ended() && !this.#isWord('do') && !this.#is('{')) {
      const inside = this.#list(null)
      if (inside === null) return null
      values.push(...inside)
    }
    const closer = this.#isWord('do') ? 'end' : this.#is('{') ? '}' : null
    if (closer === null) return { kind: 'call', target, values, block: null }
    this.#at++
    const parameters = this.#parameters()
    return { kind: 'call', target, values, block: { parameters, body: this.statements(closer) } }
  }

  /** `manager.connection_spec`. */
  #path(): string | null {
    const parts: string[] = []
    for (;;) {
      const token = this.#tokens[this.#at]
      if (token?.kind !== 'word' || OPENERS.test(token.text)) return null
      parts.push(token.text)
      this.#at++
      if (!this.#is('.')) return parts.join('.')
      this.#at++
    }
  }

  #list(closer: ')' | ']' | null): Value[] | null {
    const values: Value[] = []
    for (;;) {
      if (closer !== null) while (this.#is('\n')) this.#at++
      if (closer !== null && this.#is(closer)) break
      const value = this.#value()
      if (value === null) return null
      values.push(value)
      if (closer !== null) while (this.#is('\n')) this.#at++
      if (this.#is(',')) this.#at++
      else if (closer === null || !this.#is(closer)) return closer === null ? values : null
    }
    this.#at++
    return values
  }

  #value(): Value | null {
    const token = this.#tokens[this.#at++]
    if (token === undefined) return null
    switch (token.kind) {
      case 'string':
      case 'symbol':
        if (this.#is('=>')) return this.#pair(token.text)
        return token.whole ? { kind: token.kind, value: token.text } : { kind: 'code', text: token.text }
      case 'number':
        return { kind: 'number', value: token.value }
      case 'regexp':
        return { kind: 'regexp', source: token.source, flags: token.flags }
      case 'word':
        if (token.text === 'true' || token.text === 'false') return { kind: 'boolean', value: token.text === 'true' }
        if (token.text === 'nil') return { kind: 'nil' }
        if (this.#is(':') && /^\w+$/.test(token.text)) return this.#pair(token.text)
        return this.#is('.') || this.#is('(') || OPENERS.test(token.text) ? null : { kind: 'name', text: token.text }
      default: {
        if (token.text === '-' && this.#tokens[this.#at]?.kind === 'number') {
          const number = this.#value()
          return number?.kind === 'number' ? { kind: 'number', value: -number.value } : null
        }
        if (token.text !== '[') return null
        const items = this.#list(']')
        return items === null ? null : { kind: 'array', items }
      }
    }
  }

  #pair(key: string): Value | null {
    this.#at++
    const value = this.#value()
    return value === null ? null : { kind: 'pair', key, value }
  }

  #parameters(): string[] {
    if (!this.#is('|')) return []
    const names: string[] = []
    for (this.#at++; this.#tokens[this.#at] !== undefined && !this.#is('|'); this.#at++) {
      const token = this.#tokens[this.#at]!
      if (token.kind === 'word') names.push(token.text)
    }
    this.#at++
    return names
  }

  /** To the end of the statement, over everything that opens and closes within. */
  #skip(): void {
    let depth = 0
    let loop = false
    for (let first = true; this.#at < this.#tokens.length; this.#at++, first = false) {
      const { kind, text, line } = this.#tokens[this.#at]!
      const before = this.#tokens[this.#at - 1]
      if (depth === 0 && (text === '\n' || text === ';') && kind !== 'string') return
      if (depth === 0 && ((kind === 'word' && text === 'end') || (kind === 'operator' && text === '}'))) return
      if (kind === 'newline') loop = false
      if (kind === 'operator' && '([{'.includes(text)) depth++
      if (kind === 'operator' && ')]}'.includes(text)) depth--
      if (kind !== 'word') continue
      // A method may be named like a keyword.
      const called = before?.kind === 'operator' && (before.text === '.' || before.text === '&.')
      const begins = first || (before !== undefined && before.kind !== 'string' && BEFORE_OPENER.test(before.text))
      if (OPENERS.test(text) && begins && !called) {
        depth++
        loop = LOOPS.test(text)
      } else if (text === 'do' && !loop) depth++
      else if (text === 'end' && !called) depth--
      if (depth < 0) throw hostError('IMPORT_SYNTAX', `${this.#file}:${line}`, 'an end closes nothing')
    }
    if (depth > 0)
      throw hostError('IMPORT_SYNTAX', `${this.#file}:${this.#lines.length}`, 'the file ends inside of a block')
  }

  #ended(): boolean {
    const token = this.#tokens[this.#at]
    if (token === undefined || this.#is('\n') || this.#is(';')) return true
    return this.#isWord('end') || this.#is('}')
  }

  #is(text: string): boolean {
    const token = this.#tokens[this.#at]
    return token !== undefined && token.text === text && (token.kind === 'operator' || token.kind === 'newline')
  }

  #isWord(text: string): boolean {
    const token = this.#tokens[this.#at]
    return token?.kind === 'word' && token.text === text
  }

  /** The first line of it, as written. */
  #source(from: number): string {
    return (this.#lines[this.#tokens[from]!.line - 1] ?? '').trim()
  }
}
