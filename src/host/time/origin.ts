/**
 * Whose a client is, for limits: its own address, and the network around it, as keys of a map.
 *
 * An IPv6 customer has at least a /64 to himself, so that is his address, and the /48 around it is the network; an IPv4 address
 * stands for itself in its /24. An IPv4 address written as IPv6 is the IPv4 address. A client without an address (a UNIX
 * socket, an MTA that does not tell) has no origin and shares a limit with nobody.
 */
import { isIPv4, isIPv6 } from 'node:net'
import type { Client } from '../events.ts'

export interface Origin {
  readonly client: string
  readonly network: string
}

export function originOf({ address }: Pick<Client, 'address'>): Origin | null {
  if (isIPv4(address)) return { client: address, network: `${address.split('.').slice(0, 3).join('.')}.0/24` }
  if (!isIPv6(address)) return null
  const groups = groupsOf(address)
  if (groups.slice(0, 5).every(group => group === 0) && groups[5] === 0xffff) {
    const [high, low] = groups.slice(6) as [number, number]
    return originOf({ address: [high >> 8, high & 255, low >> 8, low & 255].join('.') })
  }
  const hex = groups.map(group => group.toString(16))
  return { client: `${hex.slice(0, 4).join(':')}::/64`, network: `${hex.slice(0, 3).join(':')}::/48` }
}

/** The eight groups of an address that is known to be IPv6. */
function groupsOf(address: string): number[] {
  const plain = address.replace(/%.*$/, '').replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...bytes: string[]) => {
    const [a, b, c, d] = bytes.map(Number) as [number, number, number, number]
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
  })
  const [head = '', tail] = plain.split('::')
  const read = (text: string): number[] => (text === '' ? [] : text.split(':').map(group => Number.parseInt(group, 16)))
  const [before, after] = [read(head), read(tail ?? '')]
  return [...before, ...Array<number>(Math.max(0, 8 - before.length - after.length)).fill(0), ...after]
}
