/**
 * Whose a client is, for limits: its own address, and the network around it, as keys of a map.
 *
 * An IPv6 customer has at least a /64 to himself, so that is his address, and the /48 around it is the network; an IPv4 address
 * stands for itself in its /24. An IPv4 address written as IPv6 is the IPv4 address. A client without an address (a UNIX
 * socket, an MTA that does not tell) has no origin and shares a limit with nobody.
 */
import type { Client } from '../events.ts'
import { parseIp } from '../policy/ip.ts'

export interface Origin {
  /** The address in plain form, or the /64. */
  readonly client: string
  readonly network: string
}

export function originOf({ address }: Pick<Client, 'address'>): Origin | null {
  // A zone (`fe80::1%eth0`) tells neighbours' links apart, not clients.
  const ip = parseIp(address.replace(/%.*$/, ''))
  if (ip === null) return null
  if (ip.family === 4) {
    const bytes = [24n, 16n, 8n, 0n].map(shift => (ip.value >> shift) & 0xffn)
    return { client: bytes.join('.'), network: `${bytes.slice(0, 3).join('.')}.0/24` }
  }
  const groups = [112n, 96n, 80n, 64n].map(shift => ((ip.value >> shift) & 0xffffn).toString(16))
  return { client: `${groups.join(':')}::/64`, network: `${groups.slice(0, 3).join(':')}::/48` }
}
