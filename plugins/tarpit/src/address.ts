/**
 * What a client and a recipient are remembered by.
 *
 * A failure counts against the full address alone, since neighbours must not pay for it; who passed is its address too, or its IPv6
 * /64, which is one customer. Suspicious clients have no better name than that. Pure.
 */
import { isIP, isIPv6 } from 'node:net'

/** Lower case; an IPv4 address inside IPv6 is that IPv4 address. */
export const plainAddress = (address: string): string => address.toLowerCase().replace(/^::ffff:(?=\d+\.)/, '')

export const isAddress = (address: string): boolean => isIP(address) !== 0

/** The address, or the four groups of its /64. */
export function customerOf(address: string): string {
  const plain = plainAddress(address)
  if (!isIPv6(plain)) return plain
  const [head = '', tail] = plain.replace(/%.*$/, '').split('::')
  const before = head === '' ? [] : head.split(':')
  // An IPv4 ending stands for the last two of eight groups, so never for one of the first four.
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const missing = tail === undefined ? 0 : 8 - before.length - after.length - (tail.includes('.') ? 1 : 0)
  const groups = [...before, ...Array<string>(Math.max(0, missing)).fill('0'), ...after]
  return `${groups
    .slice(0, 4)
    .map(group => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`
}

/** Whether an address, or a domain it ends in, is in a list. */
export function isListed(list: ReadonlySet<string>, address: string): boolean {
  if (list.size === 0) return false
  const lower = address.toLowerCase()
  if (list.has(lower)) return true
  const domain = lower.slice(lower.lastIndexOf('@') + 1)
  for (let at = 0; at >= 0; at = domain.indexOf('.', at) + 1 || -1) if (list.has(domain.slice(at))) return true
  return false
}
