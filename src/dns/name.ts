/**
 * Names as they are asked for: what can be one on the wire, and the names of addresses.
 *
 * The rule is the wire's (RFC 1035 §2.3.4, RFC 2181 §11): labels of 1 to 63 bytes, 255 bytes in all, any character.
 * c-ares refuses `+ = % : ' ! ~ @ & #` and blanks without asking, which breaks SPF macros over VERP senders. Only control
 * characters are refused here, since a name with one is never meant and does harm wherever it is printed.
 */
import { domainToASCII } from 'node:url'
import { dnsblName } from '../host/policy/dnsbl.ts'
import { parseIp } from '../host/policy/ip.ts'

const MOST_LABEL = 63
/** With the length bytes and the root, 255; without them and with dots, 253. */
const MOST_NAME = 253

/** In lower case, without the final dot, non-ASCII labels as A-labels; `null` when it cannot be asked for. */
export function wireName(given: string): string | null {
  const relative = given.endsWith('.') ? given.slice(0, -1) : given
  if (relative === '' || /[\0-\x1f\x7f]/.test(relative)) return null
  const ascii = /^[\x20-\x7e]+$/.test(relative) ? relative : aLabels(relative)
  if (ascii === '' || ascii.length > MOST_NAME) return null
  if (ascii.split('.').some(label => label === '' || label.length > MOST_LABEL)) return null
  return ascii.toLowerCase()
}

/** Empty for what cannot be converted. The conversion is that of URLs, which reads `%41` and gives `:` a meaning. */
const aLabels = (name: string): string => (/^[\w.\-\x80-\u{10ffff}]+$/u.test(name) ? domainToASCII(name) : '')

/** The name under which an address has its PTR records; `null` when it is no address. */
export function reverseName(address: string): string | null {
  const ip = parseIp(address)
  return ip === null ? null : dnsblName(address, ip.family === 4 ? 'in-addr.arpa' : 'ip6.arpa')
}
