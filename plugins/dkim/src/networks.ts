/**
 * Lists of networks, IPv4 and IPv6: `192.0.2.0/24`, `2001:db8::/32`, or one address.
 */
import { BlockList, isIPv4, isIPv6 } from 'node:net'

/** What is wrong with the text of a network, or `null`. */
export function networkFault(text: string): string | null {
  const [address = '', prefix, ...rest] = text.split('/')
  const bits = isIPv4(address) ? 32 : isIPv6(address) ? 128 : 0
  if (bits === 0 || rest.length > 0) return 'must be an address or a network, such as "192.0.2.0/24"'
  if (prefix === undefined) return null
  return /^\d{1,3}$/.test(prefix) && Number(prefix) <= bits ? null : `has a prefix that is not from 0 to ${bits}`
}

/** Whether an address lies in one of them; of what is no address, a socket's path is local and nothing else is. */
export function networkList(networks: readonly string[]): (address: string) => boolean {
  const list = new BlockList()
  for (const text of networks) {
    const [address = '', prefix] = text.split('/')
    const family = isIPv4(address) ? 'ipv4' : 'ipv6'
    list.addSubnet(address, prefix === undefined ? (family === 'ipv4' ? 32 : 128) : Number(prefix), family)
  }
  return address => {
    if (isIPv4(address)) return list.check(address, 'ipv4')
    if (isIPv6(address)) return list.check(address, 'ipv6')
    return address.startsWith('/')
  }
}
