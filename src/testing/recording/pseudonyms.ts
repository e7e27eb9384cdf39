/**
 * Pseudonyms for addresses: the same for the same address under one key, and alike enough that conditions behave as they did.
 *
 * - the part before the `@` becomes ten letters; what follows it, the domain, stays;
 * - an IPv4 address keeps its /24 and gets another last number, an IPv6 address keeps its /48: two clients stay two, and those of one network
 *   stay neighbours. Loopback addresses stay;
 * - digits of a host name become other digits, since they often spell an address; a name without a dot is a machine's own, and becomes letters.
 *
 * `text` finds them anywhere in a text. Pure but for the hash; the key is a secret, and who has it can test guesses.
 */
import { createHmac } from 'node:crypto'
import ipaddr from 'ipaddr.js'
import { LRUCache } from 'lru-cache'

/** An address of mail, an IPv6 or IPv4 address, or a dotted name, in this order. */
const FOUND =
  /(?<mail>(?:"(?:[^"\\]|\\.){1,64}"|[^\s<>()[\]\\,;:@"=?/]{1,128})@(?=[^\s<>()[\]\\,;:@"?/]))|(?<six>(?:(?<=\bIPv6:)|(?<![\w:.]))(?:[0-9a-f]{1,4}:|:(?=:)){2,7}[0-9a-f.:]*)|(?<four>(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.]*\d))|(?<host>(?<![\w.@-])(?:[a-z0-9_-]+\.)+[a-z][a-z0-9-]+\b)/giu

const LETTERS = 'abcdefghijklmnopqrstuvwxyz'

export class Pseudonyms {
  readonly #key: Uint8Array
  readonly #known = new LRUCache<string, Buffer>({ max: 20_000 })
  readonly #networks = new LRUCache<string, Uint8Array>({ max: 2_000 })

  /** @param key at least 16 bytes */
  constructor(key: Uint8Array) {
    this.#key = key
  }

  /** Of the part before the `@`, in whatever case it was written. */
  local(local: string): string {
    return local === '' ? '' : this.#letters(`local ${local.toLowerCase()}`, 10)
  }

  /** With or without angle brackets; an address without `@` is a local user. */
  address(address: string): string {
    const [, open = '', inner = '', close = ''] = /^(<?)(.*?)(>?)$/s.exec(address) ?? []
    const at = inner.lastIndexOf('@')
    if (at < 0) return `${open}${this.local(inner)}${close}`
    return `${open}${this.local(inner.slice(0, at))}@${inner.slice(at + 1)}${close}`
  }

  /** An IPv4 or IPv6 address as text; anything else stays. */
  ip(text: string): string {
    if (!ipaddr.isValid(text) || !/[.:]/.test(text)) return text
    const address = ipaddr.parse(text)
    if (address.range() === 'loopback') return text
    const bytes = address.toByteArray()
    if (address.kind() === 'ipv4' || (address as ipaddr.IPv6).isIPv4MappedAddress()) {
      const last = bytes.length - 1
      bytes[last] = this.#network(bytes.slice(0, last).join('.'))[bytes[last]!]!
      return ipaddr.fromByteArray(bytes).toString()
    }
    const subnet = this.#hash(`subnet ${bytes.slice(0, 8).join('.')}`)
    const host = this.#hash(`host ${bytes.join('.')}`)
    return ipaddr.fromByteArray([...bytes.slice(0, 6), ...subnet.subarray(0, 2), ...host.subarray(0, 8)]).toString()
  }

  /** A name of a host, or an address in brackets. */
  host(name: string): string {
    const [, prefix = '', literal] = /^\[(IPv6:)?(.*)\]$/i.exec(name) ?? []
    if (literal !== undefined) return `[${prefix}${this.ip(literal)}]`
    if (/[.:]/.test(name) && ipaddr.isValid(name)) return this.ip(name)
    if (name === '' || name === 'localhost' || name === 'unknown') return name
    return name.includes('.') ? this.#digits(name) : this.shape(`name ${name}`, name)
  }

  /** Whatever looks like an address or a host in a text; the rest stays. */
  text(text: string): string {
    return text.replace(FOUND, (found, ...rest) => {
      const { mail, six, four } = rest.at(-1) as Readonly<Record<string, string | undefined>>
      if (mail !== undefined) return `${this.local(mail.slice(0, -1))}@`
      return six !== undefined || four !== undefined ? this.ip(found) : this.#digits(found)
    })
  }

  /** As long, with letters for letters and digits for digits. `of`: what decides which. */
  shape(of: string, text: string): string {
    const hash = this.#hash(`shape ${of.toLowerCase()}`)
    let at = 0
    return text.replace(/\p{L}|\p{N}/gu, one => {
      const byte = hash[at++ % hash.length]!
      return /\p{N}/u.test(one) ? String(byte % 10) : LETTERS[byte % 26]!
    })
  }

  #digits(name: string): string {
    if (!/\d/.test(name)) return name
    const hash = this.#hash(`digits ${name.toLowerCase()}`)
    let at = 0
    return name.replace(/\d/g, () => String(hash[at++ % hash.length]! % 10))
  }

  #letters(of: string, length: number): string {
    return [...this.#hash(of).subarray(0, length)].map(byte => LETTERS[byte % 26]).join('')
  }

  /** Another last number for each, and no two the same. */
  #network(network: string): Uint8Array {
    const known = this.#networks.get(network)
    if (known !== undefined) return known
    const numbers = Uint8Array.from({ length: 256 }, (_, number) => number)
    for (let at = 255; at > 0; at--) {
      const other = this.#hash(`network ${network} ${at}`).readUInt32BE() % (at + 1)
      ;[numbers[at], numbers[other]] = [numbers[other]!, numbers[at]!]
    }
    this.#networks.set(network, numbers)
    return numbers
  }

  #hash(of: string): Buffer {
    const known = this.#known.get(of)
    if (known !== undefined) return known
    const hash = createHmac('sha256', this.#key).update(of).digest()
    this.#known.set(of, hash)
    return hash
  }
}
