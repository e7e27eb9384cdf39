/**
 * Who a message says it is from: the addresses of its From field (RFC 5322 §3.4, groups included), or why nobody can say.
 *
 * Readers disagree about malformed fields, and that is how a forger shows one author to the filter and another to the person. So
 * whatever is not plainly one list of addresses is an error here and never a guess (CVE-2019-16378, CVE-2021-34555).
 */
import { cleanDomain } from './domain.ts'

export interface Author {
  readonly address: string
  /** Clean; see `cleanDomain`. */
  readonly domain: string
}

export type Authors =
  | { readonly kind: 'authors'; readonly authors: readonly Author[]; readonly domain: string }
  | { readonly kind: 'invalid'; readonly reason: string; readonly domains: readonly string[] }

/** A field of a person is below this. Bytes. */
const LONGEST = 16_384
const MOST = 100

/** `values`: what follows the colon of every From field, decoded. */
export function authorsOf(values: readonly string[]): Authors {
  const invalid = (reason: string, authors: readonly Author[] = []): Authors => ({
    kind: 'invalid',
    reason,
    domains: [...new Set(authors.map(({ domain }) => domain))],
  })
  const [value] = values
  if (value === undefined) return invalid('no From field')
  if (values.length > 1) return invalid(`${values.length} From fields`)
  if (value.length > LONGEST) return invalid('the From field is too long')
  if (/[\0-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n(?![ \t])/.test(value))
    return invalid('a control character in From')
  let authors: readonly Author[]
  try {
    authors = new Parser(value.replaceAll(/\r?\n/g, '')).list()
  } catch (error) {
    if (error instanceof Malformed) return invalid(error.message)
    throw error
  }
  const domains = [...new Set(authors.map(({ domain }) => domain))]
  if (domains.length === 0) return invalid('no address in From')
  if (domains.length > 1) return invalid(`${domains.length} domains in From`, authors)
  return { kind: 'authors', authors, domain: domains[0]! }
}

class Malformed extends Error {}

class Parser {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  list(): Author[] {
    const authors: Author[] = []
    let inGroup = false
    for (;;) {
      this.#blanks()
      const character = this.#text[this.#at]
      if (character === undefined) {
        if (inGroup) throw new Malformed('a group in From that does not end')
        return authors
      }
      if (character === ',') this.#at++
      else if (character === ';' && inGroup) {
        inGroup = false
        this.#at++
      } else if (authors.length >= MOST) throw new Malformed('too many addresses in From')
      else {
        const words = this.#words()
        const next = this.#text[this.#at]
        if (next === ':' && !inGroup && words.length > 0) {
          inGroup = true
          this.#at++
        } else if (next === '<') authors.push(this.#named(words))
        else authors.push(this.#bare(words))
        this.#blanks()
        const after = this.#text[this.#at]
        if (after !== undefined && after !== ',' && !(after === ';' && inGroup) && next !== ':')
          throw new Malformed('an address in From with something behind it')
      }
    }
  }

  /** A display name, or an address without brackets, in pieces. */
  #words(): string[] {
    const words: string[] = []
    for (;;) {
      this.#blanks()
      const character = this.#text[this.#at]
      if (character === undefined || ',;:<>'.includes(character)) return words
      if (character === '"') words.push(this.#quoted())
      else if (character === '@' || character === '.') {
        words.push(character)
        this.#at++
      } else if (character === '[') words.push(this.#literal())
      else {
        const [atom] = /^[^\s"(),.:;<>@[\\\]]+/.exec(this.#text.slice(this.#at, this.#at + 1000)) ?? []
        if (atom === undefined) throw new Malformed('a From field that cannot be read')
        words.push(atom)
        this.#at += atom.length
      }
    }
  }

  #bare(words: readonly string[]): Author {
    const at = words.indexOf('@')
    if (at < 0 || words.lastIndexOf('@') !== at) throw new Malformed('a From field that is no address')
    return author(words.slice(0, at), words.slice(at + 1))
  }

  /** A display name that looks like an address must not show another domain than the address has. */
  #named(name: readonly string[]): Author {
    const real = this.#angle()
    if (name.includes('@') && this.#bare(name).domain !== real.domain)
      throw new Malformed('a name in From that is another address')
    return real
  }

  #angle(): Author {
    this.#at++
    const words = this.#words()
    // An obsolete route, `<@relay:user@host>`: nobody sends it but to mislead.
    if (this.#text[this.#at] !== '>') throw new Malformed('an address in From that cannot be read')
    this.#at++
    return this.#bare(words)
  }

  #quoted(): string {
    const start = this.#at++
    for (; this.#at < this.#text.length; this.#at++) {
      const character = this.#text[this.#at]
      if (character === '\\') this.#at++
      else if (character === '"') return this.#text.slice(start, ++this.#at)
    }
    throw new Malformed('a quote in From that does not end')
  }

  #literal(): string {
    const end = this.#text.indexOf(']', this.#at)
    if (end < 0) throw new Malformed('a bracket in From that does not end')
    const literal = this.#text.slice(this.#at, end + 1)
    this.#at = end + 1
    return literal
  }

  /** White space and comments. */
  #blanks(): void {
    let depth = 0
    for (; this.#at < this.#text.length; this.#at++) {
      const character = this.#text[this.#at]!
      if (character === '(') depth++
      else if (depth === 0) {
        if (character !== ' ' && character !== '\t') return
      } else if (character === '\\') this.#at++
      else if (character === ')') depth--
    }
    if (depth > 0) throw new Malformed('a comment in From that does not end')
  }
}

function author(local: readonly string[], host: readonly string[]): Author {
  const domain = cleanDomain(host.join(''))
  const dotted = local.every((word, index) => (word === '.') === (index % 2 === 1))
  if (local.length === 0 || !dotted || local.at(-1) === '.')
    throw new Malformed('an address in From that cannot be read')
  if (domain === null) throw new Malformed('a domain in From that is none')
  return { address: `${local.join('')}@${domain}`, domain }
}
