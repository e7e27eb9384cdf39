/**
 * Where mail comes from, as far as a greylist is concerned: who has to come back.
 *
 * Not the address: a provider retries from any of hundreds. In this order: the sender's organisational domain when SPF says that it
 * answers for the client; the domain of the client's verified name, unless that is the name of an end user's line; the
 * network, and for clients without a server's name the full address, because in such a network one client must not vouch for
 * its neighbours. An SPF pass names the origin and nothing more: spammers publish SPF too. Pure; the engine calls it.
 */
import { parse } from 'tldts'
import { asciiDomain } from './sender.ts'

/** `domain` by SPF, `name` by PTR, `network`, or the `address` alone. */
export type OriginKind = 'domain' | 'name' | 'network' | 'address'

export interface Origin {
  readonly kind: OriginKind
  /** With its kind in front: `d:example.org`, `h:example.net`, `n:192.0.2.0/24`, `a:192.0.2.1`, `a:2001:db8:1:2::/64`. */
  readonly text: string
}

export interface OriginFacts {
  readonly address: string
  /** The verified name, else `null`. */
  readonly name: string | null
  /** A name that the address has but that does not lead back; `null` when there is none or nobody told. */
  readonly unverifiedName: string | null
  /** Whether a name looks like that of an end user's line. */
  readonly dynamic: (name: string) => boolean
  /** The domain that SPF lets this client speak for, `null` when it does not or when it lets everybody. */
  readonly spfDomain: string | null
}

export function originOf({ address, name, unverifiedName, dynamic, spfDomain }: OriginFacts): Origin {
  if (spfDomain !== null) return { kind: 'domain', text: `d:${organisation(spfDomain)}` }
  const known = name ?? unverifiedName
  if (known === null || dynamic(known)) return { kind: 'address', text: `a:${network(address, 32)}` }
  const domain = name === null ? null : registered(asciiDomain(name))
  if (domain !== null) return { kind: 'name', text: `h:${domain}` }
  return { kind: 'network', text: `n:${network(address, 24)}` }
}

/** Customers of a hosting company that has its own part of the public suffix list are strangers to each other. */
const RULES = { allowPrivateDomains: true, validateHostname: false, detectIp: true } as const

/** The registered domain above a name; the name itself when it has none. */
export function organisation(domain: string): string {
  const ascii = asciiDomain(domain)
  return registered(ascii) ?? ascii
}

function registered(name: string): string | null {
  const { domain, isPrivate } = parse(name, RULES)
  // Some companies list the very names of their customers' machines (`*.compute.amazonaws.com`).
  return domain ?? (isPrivate === true ? name : null)
}

/** The network that holds an address, by the prefix for IPv4; /64 for IPv6. An address that is none stays as it is. */
function network(address: string, prefix: 24 | 32): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  const v4 = /^(\d+\.\d+\.\d+)\.\d+$/.exec(mapped ?? address)
  if (v4 !== null) return prefix === 32 ? (mapped ?? address) : `${v4[1]}.0/24`
  const half = address.includes(':') ? groups(address)?.slice(0, 4) : undefined
  if (half === undefined) return address
  return `${half.map(group => group.toString(16)).join(':')}::/64`
}

/** The eight groups of an IPv6 address. */
function groups(address: string): readonly number[] | null {
  const [head, tail, ...rest] = address.split('%')[0]!.split('::')
  const read = (text: string | undefined): number[] =>
    text === undefined || text === '' ? [] : text.split(':').map(group => Number.parseInt(group, 16))
  const [before, after] = [read(head), read(tail)]
  const missing = 8 - before.length - after.length
  if (rest.length > 0 || (tail === undefined ? missing !== 0 : missing < 1)) return null
  const all = [...before, ...Array<number>(Math.max(0, missing)).fill(0), ...after]
  return all.every(group => group >= 0 && group <= 0xffff) ? all : null
}
