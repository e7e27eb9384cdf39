/**
 * The part of UCL in which rspamd's workers are configured: `key = value;`, named sections, comments, `.include`.
 *
 * Not the whole language. What holds: sections of the same type and name are one, includes with a priority win over what has
 * less, a variable that is not known leaves its include out, depth and number of files are bounded. The files come through a
 * function, so nothing is opened here.
 */
import type { Setting, SourceText } from '../fact.ts'

/** Section path, `worker/rspamd_proxy`, to its keys. Keys outside of sections are under the empty path. */
export type UclSections = Map<string, Map<string, Setting & { readonly priority: number }>>

const MOST_FILES = 200
const DEEPEST = 16

export class Ucl {
  readonly sections: UclSections = new Map()
  readonly #open: (path: string) => SourceText | null
  readonly #list: (folder: string) => readonly string[]
  readonly #variables: Readonly<Record<string, string>>
  #files = 0

  constructor(
    open: (path: string) => SourceText | null,
    list: (folder: string) => readonly string[],
    variables: Readonly<Record<string, string>>,
  ) {
    this.#open = open
    this.#list = list
    this.#variables = variables
  }

  read(file: SourceText, path: readonly string[] = [], priority = 0): void {
    if (++this.#files > MOST_FILES || path.length > DEEPEST) return
    const stack: string[][] = [[...path]]
    for (const [index, statement] of statements(file.text)) {
      const here = stack.at(-1)!
      if (statement === '}') {
        if (stack.length > 1) stack.pop()
      } else if (statement.endsWith('{')) {
        const head = statement
          .slice(0, -1)
          .trim()
          .replace(/[=:]\s*$/, '')
        stack.push([
          ...here,
          ...head
            .split(/\s+/)
            .filter(part => part !== '')
            .map(unquoted),
        ])
        if (stack.length > DEEPEST) return
      } else if (statement.startsWith('.include')) this.#include(statement, here, priority)
      else {
        const match = /^([\w.-]+|"[^"]*")\s*(?:[=:]\s*|\s+)(.*)$/s.exec(statement)
        if (match === null) continue
        const key = unquoted(match[1]!)
        const keys = this.sections.get(here.join('/')) ?? new Map()
        this.sections.set(here.join('/'), keys)
        const held = keys.get(key)
        if (held !== undefined && held.priority > priority) continue
        const value = this.#expand(unquoted(match[2]!.trim())) ?? ''
        keys.set(key, { value, source: { file: file.file, line: index }, priority })
      }
    }
  }

  #include(statement: string, here: readonly string[], priority: number): void {
    const match = /^\.include\w*\s*(?:\(([^)]*)\))?\s*"([^"]*)"/.exec(statement)
    const path = match && this.#expand(match[2]!)
    if (match === null || path == null) return
    const given = Number(/priority\s*=\s*(\d+)/.exec(match[1] ?? '')?.[1] ?? priority)
    const folder = path.slice(0, path.lastIndexOf('/'))
    const name = path.slice(path.lastIndexOf('/') + 1)
    const names = name.includes('*')
      ? this.#list(folder).filter(entry => entry.endsWith(name.slice(name.lastIndexOf('*') + 1)))
      : [name]
    for (const entry of names) {
      const text = this.#open(`${folder}/${entry}`)
      if (text !== null) this.read(text, here, given)
    }
  }

  #expand(text: string): string | null {
    let known = true
    const expanded = text.replace(/\$\{(\w+)\}|\$(\w+)/g, (_, braced?: string, plain?: string) => {
      const value = this.#variables[braced ?? plain ?? '']
      known &&= value !== undefined
      return value ?? ''
    })
    return known ? expanded : null
  }
}

/** `.include(try=true; priority=1` goes on behind its semicolon. */
const OPEN_MACRO = /^\s*\.\w+\s*\([^)]*$/

const unquoted = (text: string): string => text.replace(/^(["'])(.*)\1$/s, '$2')

/** With the line each begins on; an opening brace ends its statement. */
function statements(text: string): [number, string][] {
  const found: [number, string][] = []
  let current = ''
  let begun = 1
  let line = 1
  let quote = false
  let list = 0
  const finish = (): void => {
    if (current.trim() !== '') found.push([begun, current.trim()])
    current = ''
  }
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!
    if (current.trim() === '') begun = line
    if (character === '\n') line++
    if (quote) {
      if (character === '\\') current += character + (text[++at] ?? '')
      else {
        quote = character !== '"'
        current += character
      }
    } else if (character === '#') {
      while (at + 1 < text.length && text[at + 1] !== '\n') at++
    } else if (text.startsWith('/*', at)) {
      const end = text.indexOf('*/', at + 2)
      line += text.slice(at, end < 0 ? text.length : end).split('\n').length - 1
      at = end < 0 ? text.length : end + 1
    } else if (character === '"') {
      quote = true
      current += character
    } else if (character === '[' || character === ']') {
      list = Math.max(0, list + (character === '[' ? 1 : -1))
      current += character
    } else if (character === '{' && !current.endsWith('$')) {
      current += '{'
      finish()
    } else if (character === '}' && !/\$\{\w*$/.test(current)) {
      finish()
      found.push([line, '}'])
    } else if (list === 0 && (character === '\n' || (character === ';' && !OPEN_MACRO.test(current)))) finish()
    else current += character
  }
  finish()
  return found
}
