/**
 * What a postmaster types for an origin, and the origins that it means.
 *
 * A store holds hashes, so an origin is found by saying it again: an address, a network, a domain, its text with its kind as logs
 * have it (`d:example.org`), or its hash as `list` prints it. `list`, `pass`, `forget` and `trap` call it.
 */
import { isIP } from 'node:net'
import type { CommandCall } from 'milterhost/plugin'
import { organisation, originOf } from '../origin.ts'
import type { OriginKey } from '../store.ts'
import { clientByDns } from './client.ts'
import { userError } from './error.ts'
import type { Opened } from './open.ts'

export interface NamedOrigin {
  readonly text: string
  readonly key: OriginKey
}

/**
 * `all`: every origin that it can have stood under, for looking and forgetting; else those under which it is asked about when it
 * comes again without an SPF pass.
 */
export async function originsOf(
  { dns }: CommandCall,
  { options, keys }: Opened,
  given: string,
  all: boolean,
): Promise<readonly NamedOrigin[]> {
  const named = (texts: readonly string[]): readonly NamedOrigin[] =>
    [...new Set(texts)].map(text => ({ text, key: keys.origin(text) }))
  if (/^[dhan]:./.test(given)) return named([given.toLowerCase()])
  if (isIP(given) !== 0) {
    const { s25r } = options.suspect
    const { client, unverified } = await clientByDns(dns, given.toLowerCase())
    const origin = originOf({
      address: client.address,
      name: client.hostname,
      unverifiedName: client.hostname ?? unverified,
      dynamic: hostname => (s25r?.({ address: client.address, hostname, verified: true }) ?? null) !== null,
      spfDomain: null,
    })
    return named(all ? [origin.text, ...bareOrigins(client.address)] : [origin.text])
  }
  const [address = '', prefix] = given.split('/')
  if (isIP(address) !== 0) {
    if (prefix !== (isIP(address) === 4 ? '24' : '64'))
      throw userError(
        `${given}: networks are remembered as /24, IPv6 as /64; for others there is the option bypass.networks`,
      )
    return named([bareOrigins(address)[1]!])
  }
  if (/^[A-Za-z0-9_-]{16}$/.test(given)) return [{ text: given, key: new Uint8Array(Buffer.from(given, 'base64url')) }]
  if (/^[^\s@/:]+\.[^\s@/:]+$/.test(given)) {
    const domain = organisation(given)
    return named([`d:${domain}`, `h:${domain}`])
  }
  throw userError(`${JSON.stringify(given)} is no address, network, domain, origin or hash of one`)
}

/** Of an address about which nothing else is known: as that of an end user, and of its network. */
export function bareOrigins(address: string): readonly [string, string] {
  const facts = { address, name: null, spfDomain: null }
  return [
    originOf({ ...facts, unverifiedName: null, dynamic: () => true }).text,
    originOf({ ...facts, unverifiedName: 'a.name', dynamic: () => false }).text,
  ]
}
