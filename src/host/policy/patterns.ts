/**
 * Patterns as the postmaster writes them for addresses and names, compiled to one question each. Pure.
 *
 * Addresses are compared without case: local parts that differ in case alone are one mailbox everywhere that counts.
 */
import { shown } from '../config/problem.ts'
import type { Address } from '../plugin/address.ts'
import { anyName, type NamePattern } from './s25r.ts'

/**
 * `'a@example.org'`: that address. `'a@'`: that local part at any domain. `'@example.org'`: that domain alone. `'example.org'`: that domain and all
 * below it. `''` or `'<>'`: the null sender. Or a regular expression, or a function, on the whole address.
 */
export type AddressPattern = string | RegExp | ((address: Address) => boolean)

/** Throws a `RangeError` for a pattern that is none. */
export function addressMatcher(patterns: readonly AddressPattern[]): (address: Address) => boolean {
  if (patterns.length === 0) throw new RangeError('needs a pattern such as "a@example.org" or "example.org"')
  const addresses = new Set<string>()
  const locals = new Set<string>()
  const domains = new Set<string>()
  const below: NamePattern[] = []
  const tests: ((address: Address) => boolean)[] = []
  for (const pattern of patterns) {
    if (pattern instanceof RegExp) {
      const test = anyName([pattern])
      tests.push(({ address }) => test(address))
    } else if (typeof pattern === 'function') tests.push(pattern)
    else if (typeof pattern !== 'string') {
      throw new RangeError(`${shown(pattern)} is not an address, a domain, a regular expression or a function`)
    } else {
      const text = pattern.trim().toLowerCase()
      const at = text.lastIndexOf('@')
      if (text === '' || text === '<>') addresses.add('')
      else if (at === 0) domains.add(text.slice(1))
      else if (at === text.length - 1) locals.add(text.slice(0, -1))
      else if (at > 0) addresses.add(text.replace(/^<|>$/g, ''))
      else below.push(text)
    }
  }
  const inDomain = anyName(below)
  return address => {
    const { domain } = address
    return (
      addresses.has(address.address.toLowerCase()) ||
      locals.has(address.local.toLowerCase()) ||
      (domain !== '' && (domains.has(domain) || inDomain(domain))) ||
      tests.some(test => test(address))
    )
  }
}

/** As it is shown by `explain`: `sender('a@example.org', /^b/)`. */
export const call = (name: string, given: readonly unknown[] = []): string => {
  const texts = given.slice(0, 3).map(text)
  return `${name}(${texts.join(', ')}${given.length > texts.length ? `, … ${given.length} in all` : ''})`
}

const text = (value: unknown): string => {
  if (value instanceof RegExp) return String(value)
  if (typeof value === 'function') return value.name === '' ? 'a function' : value.name
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : shown(value)
}
