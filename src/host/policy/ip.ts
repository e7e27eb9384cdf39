/**
 * IP addresses as numbers, for comparing and for taking apart. No look-up and no socket.
 *
 * An IPv4 address inside IPv6 (`::ffff:192.0.2.1`) is that IPv4 address everywhere, since MTAs differ in how they spell
 * one. Only the four-part decimal form of IPv4 is an address: `010.0.0.1` is octal to some programs and ten to others.
 */
import ipaddr from 'ipaddr.js'

export interface IpAddress {
  readonly family: 4 | 6
  readonly value: bigint
}

const MAPPED = 0xffff_0000_0000n

export const bitsOf = (family: 4 | 6): 32 | 128 => (family === 4 ? 32 : 128)

/** `null` for what is no address: a host name, a socket's path, nothing. */
export function parseIp(text: string): IpAddress | null {
  const raw = parseUnmapped(text)
  return raw !== null && isMapped(raw) ? { family: 4, value: raw.value & 0xffff_ffffn } : raw
}

/** As written, an IPv4 address inside IPv6 still counted in 128 bits. */
export function parseUnmapped(text: string): IpAddress | null {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) {
    const [a, b, c, d] = text.split('.').map(Number) as [number, number, number, number]
    return { family: 4, value: BigInt(((a << 24) | (b << 16) | (c << 8) | d) >>> 0) }
  }
  // A zone (`%eth0`) names an interface of one machine: no list means it.
  if (!text.includes(':') || text.includes('%') || !ipaddr.IPv6.isValid(text)) return null
  let value = 0n
  for (const part of ipaddr.IPv6.parse(text).parts) value = (value << 16n) | BigInt(part)
  return { family: 6, value }
}

/** Inside `::ffff:0:0/96`. */
export const isMapped = ({ family, value }: IpAddress): boolean => family === 6 && (value & ~0xffff_ffffn) === MAPPED
