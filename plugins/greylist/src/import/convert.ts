/**
 * Marks of our own from what another greylist remembered.
 *
 * The others know addresses, ours knows origins: so each client is looked at as if it came now, its name and its sender's SPF in
 * the DNS, by the engine itself. Without the DNS a client is learned as a bare address and as its network. What always holds:
 * the same line makes the same marks, however often it is imported.
 */
import { isIP } from 'node:net'
import type { Dns } from 'milterhost/plugin'
import { clientByDns, type NamedClient, unnamed } from '../commands/client.ts'
import type { Opened } from '../commands/open.ts'
import { bareOrigins } from '../commands/origins.ts'
import type { Engine } from '../engine.ts'
import { asciiDomain, recipientText, type SenderParts, senderText } from '../sender.ts'
import type { Entry, Mark } from '../store.ts'
import type { Old } from './old.ts'

/** Clients whose names are remembered while an import runs. */
const MOST_CLIENTS = 10_000
const TRAP_LIFE = 86_400_000

export interface ConverterParts extends Pick<Opened, 'options' | 'keys'> {
  readonly engine: Engine
  /** `null`: names are not looked up. */
  readonly dns: Dns | null
}

export class Converter {
  readonly #parts: ConverterParts
  readonly #clients = new Map<string, Promise<NamedClient>>()

  constructor(parts: ConverterParts) {
    this.#parts = parts
  }

  /** No more than four marks. */
  async marks(old: Exclude<Old, { readonly kind: 'left-out' }>): Promise<readonly Entry[]> {
    const { options, keys } = this.#parts
    if (old.kind === 'mark') return [old.entry]
    const sender = senderOf(old)
    const texts = await this.#origins(old.client, sender)
    return texts.flatMap((text): readonly Entry[] => {
      const origin = keys.origin(text)
      const mark = (kind: Entry['kind'], item: Uint8Array | null, given: Mark): Entry => ({
        kind,
        origin,
        item,
        ...given,
      })
      switch (old.kind) {
        case 'waiting': {
          const item = keys.tuple(senderText(sender, options.sender), recipientText(partsOf(old.recipient)))
          const { first, last } = old
          return [mark('tuple', item, { first, last, count: 0, expires: first + options.window })]
        }
        case 'passed': {
          const { first, last } = old
          const passed = { first, last, count: 1, expires: last + options.life }
          return [mark('domain', keys.domain(asciiDomain(sender.domain)), passed), mark('origin', null, passed)]
        }
        case 'known': {
          const { first, last } = old
          const count = Math.max(options.known.after, options.known.suspicious, 1)
          return [mark('origin', null, { first, last, count, expires: last + options.life })]
        }
        default: {
          const first = Math.max(0, old.until - TRAP_LIFE)
          return [mark('trap', null, { first, last: first, count: 0, expires: old.until })]
        }
      }
    })
  }

  async #origins(given: string, sender: SenderParts): Promise<readonly string[]> {
    const [address = '', prefix] = given.split('/')
    if (isIP(address) === 0) return []
    if (prefix !== undefined) return [bareOrigins(address)[1]]
    const { engine, dns } = this.#parts
    if (dns === null) return bareOrigins(address)
    const { client, unverified } = await this.#client(dns, address)
    const full = { ...sender, address: sender.domain === '' ? '' : `${sender.local}@${sender.domain}` }
    const macro = (name: string): string | undefined => (name === 'client_ptr' ? (unverified ?? undefined) : undefined)
    const origin = await engine.originOf(
      { client, helo: null, sender: full, spf: null, macro },
      new AbortController().signal,
    )
    return [origin.text]
  }

  #client(dns: Dns, address: string): Promise<NamedClient> {
    const known = this.#clients.get(address)
    if (known !== undefined) return known
    const asked = clientByDns(dns, address).catch(() => ({ client: unnamed(address), unverified: null }))
    const [oldest] = this.#clients.keys()
    if (this.#clients.size >= MOST_CLIENTS && oldest !== undefined) this.#clients.delete(oldest)
    this.#clients.set(address, asked)
    return asked
  }
}

function senderOf(old: Old): SenderParts {
  if (old.kind === 'waiting') return partsOf(old.sender)
  return old.kind === 'passed' ? { local: old.domain === '' ? '' : 'x', domain: old.domain } : partsOf('')
}

function partsOf(address: string): SenderParts {
  const at = address.lastIndexOf('@')
  return at < 0
    ? { local: address, domain: '' }
    : { local: address.slice(0, at), domain: address.slice(at + 1).toLowerCase() }
}
