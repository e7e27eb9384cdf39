/**
 * Which keys sign a message: by its author, the envelope's user and the client's network.
 *
 * A key signs only for authors whose domain its own is or lies above, unless a table says otherwise: a signature of another domain would
 * stand for mail it knows nothing of. Keys and tables are read when they are needed, again when they have changed.
 */
import type { Logger } from 'milterhost/plugin'
import { cleanDomain } from '../domain.ts'
import type { Author } from '../from.ts'
import { networkList } from '../networks.ts'
import type { DkimSettings, KeyOptions } from '../options.ts'
import { FileReader } from './files.ts'
import { type PrivateKey, parsePrivateKey } from './keys.ts'
import type { SigningKey } from './signer.ts'
import {
  type KeyRecord,
  matching,
  parseDataSet,
  parseKeyTable,
  parseSigningTable,
  type SigningRecord,
  wildcard,
} from './tables.ts'

/** Who sends this message. */
export interface Origin {
  readonly author: Author
  /** As logged in, or `null`. */
  readonly user: string | null
  readonly address: string
}

export interface KeyEntry {
  /** As a person would name it. */
  readonly name: string
  readonly domain: string
  readonly selector: string
  read(): PrivateKey
}

export class KeyChooser {
  readonly #options: DkimSettings['sign']
  readonly #keys: FileReader<PrivateKey>
  readonly #keyTable: Table<ReadonlyMap<string, KeyRecord>> | null = null
  readonly #signingTable: Table<readonly SigningRecord[]> | null = null
  readonly #rules: readonly { readonly options: KeyOptions; readonly inNetwork: (address: string) => boolean }[]
  readonly #inline = new Map<string, PrivateKey>()

  /** Throws when a file cannot be used. */
  constructor(options: DkimSettings['sign'], around: { readonly log: Logger; now(): number }) {
    this.#options = options
    this.#keys = new FileReader({ ...around, secret: true }, parsePrivateKey)
    const { keyTable, signingTable } = options
    if (keyTable !== undefined && signingTable !== undefined) {
      this.#keyTable = openTable(keyTable, parseKeyTable, around)
      this.#signingTable = openTable(signingTable, parseSigningTable, around)
    }
    this.#rules = options.keys.map(key => ({
      options: key,
      inNetwork: networkList(key.networks ?? ['0.0.0.0/0', '::/0']),
    }))
    for (const entry of this.entries()) entry.read()
    this.#signingTable?.read()
  }

  /** Every key that has a domain of its own: of a line with `%` nobody knows which there will be. */
  entries(): readonly KeyEntry[] {
    const own = this.#options.keys.map(({ domain, selector, file }) => ({
      name: `${selector}._domainkey.${domain}`,
      domain,
      selector,
      read: () => this.#keys.get(file),
    }))
    const table = this.#keyTable === null ? [] : [...this.#keyTable.read()]
    const listed = table.flatMap(([name, record]) =>
      record.domain === '%' || record.key.includes('%')
        ? []
        : [{ name, domain: record.domain, selector: record.selector, read: () => this.#keyOf(record.key) }],
    )
    return [...own, ...listed]
  }

  /** The keys for a message, none when it is not ours to sign. */
  choose(origin: Origin): readonly SigningKey[] {
    const { author, user } = origin
    if (this.#options.userDomain && user?.includes('@') && cleanDomain(user.split('@').at(-1)) !== author.domain)
      return []
    const own = this.#rules.flatMap(({ options, inNetwork }): SigningKey[] => {
      if (!fits(options, inNetwork, origin)) return []
      const { domain, selector, identity, file } = options
      return [{ ...this.#keys.get(file), domain, selector, identity: identityFor(identity ?? null, domain, author) }]
    })
    return [...own, ...this.#listed(author)]
  }

  #listed(author: Author): SigningKey[] {
    if (this.#keyTable === null || this.#signingTable === null) return []
    const { read, patterns } = this.#signingTable
    const matches = matching(read(), patterns, author.address, author.domain)
    const table = this.#keyTable.read()
    const chosen = this.#options.multipleSignatures ? matches : matches.slice(0, 1)
    return chosen.map(({ keyName, identity }) => {
      const name = keyName.replaceAll('%', author.domain)
      const record = table.get(name)
      if (record === undefined)
        throw new Error(`the signing table names the key ${name}, which the key table does not have`)
      const domain = record.domain === '%' ? author.domain : record.domain
      const { selector } = record
      const key = this.#keyOf(record.key.replaceAll('%', author.domain))
      return { ...key, domain, selector, identity: identityFor(identity, domain, author) }
    })
  }

  #keyOf(text: string): PrivateKey {
    if (/^\.{0,2}\//.test(text)) return this.#keys.get(text)
    const known = this.#inline.get(text)
    if (known !== undefined) return known
    const key = parsePrivateKey(text)
    this.#inline.set(text, key)
    return key
  }
}

interface Table<T> {
  /** Keys are patterns with `*`. */
  readonly patterns: boolean
  /** As it is now. */
  read(): T
}

function openTable<T>(
  text: string,
  parse: (lines: string) => T,
  around: { readonly log: Logger; now(): number },
): Table<T> {
  const set = parseDataSet(text)
  if ('lines' in set) {
    const table = parse(set.lines)
    return { patterns: false, read: () => table }
  }
  const file = new FileReader({ ...around, secret: false }, parse)
  return { patterns: set.patterns, read: () => file.get(set.path) }
}

function fits(
  options: KeyOptions,
  inNetwork: (address: string) => boolean,
  { author, user, address }: Origin,
): boolean {
  const { domain, from = [`*@${domain}`, `*@*.${domain}`], users, networks } = options
  if (!from.some(pattern => wildcard(pattern.toLowerCase(), author.address.toLowerCase()))) return false
  if (users !== undefined && !users.some(pattern => wildcard(pattern, user ?? ''))) return false
  return networks === undefined || inNetwork(address)
}

/** `i=` is left out when it does not lie in the domain, as OpenDKIM does. */
function identityFor(identity: string | null, domain: string, author: Author): string | undefined {
  if (identity === null) return undefined
  const text = identity.replaceAll('%', author.domain)
  const host = cleanDomain(text.slice(text.lastIndexOf('@') + 1))
  if (host === null || (host !== domain && !host.endsWith(`.${domain}`))) return undefined
  return text.includes('@') ? text : `@${text}`
}
