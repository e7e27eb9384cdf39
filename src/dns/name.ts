/**
 * Names as they are asked for: what can be one on the wire, and the names of addresses.
 *
 * The rule is the wire's (RFC 1035 §2.3.4, RFC 2181 §11): labels of 1 to 63 bytes, 255 bytes in all, any character.
 * c-ares refuses `+ = % : ' ! ~ @ & #` and blanks without asking, which breaks SPF macros over VERP senders. Only control
 * characters are refused here, since a name with one is never meant and does harm wherever it is printed.
 */
import { isIPv4, isIPv6 } from 'node:net'
import { domainToASCII } from 'node:url'

const MOST_LABEL = 63
/** With the length bytes and the root, 255; without them and with dots, 253. */
const MOST_NAME = 253

/** In lower case, without the final dot, non-ASCII labels as A-labels; `null` when it cannot be asked for. */
export function wireName(given: string): string | null {
  const relative = given.endsWith('.') ? given.slice(0, -1) : given
  if (relative === '' || /[\0-\x1f\x7f]/.test(relative)) return null
  const ascii = /^[\x20-\x7e]+$/.test(relative) ? relative : domainToASCII(relative)
  if (ascii === '' || ascii.length > MOST_NAME) return null
  if (ascii.split('.').some(label => label === '' || label.length > MOST_LABEL)) return null
  return ascii.toLowerCase()
}

/** The name under which an address has its PTR records; `null` when it is no address. */
export function reverseName(address: string): string | null {
  if (isIPv4(address)) return `${address.split('.').reverse().join('.')}.in-addr.arpa`
  if (!isIPv6(address) || address.includes('%')) return null
  const digits = groupsOf(address).map(group => group.padStart(4, '0'))
  return `${[...digits.join('')].reverse().join('.')}.ip6.arpa`
}

/** The eight groups of an IPv6 address, in lower case. */
function groupsOf(address: string): string[] {
  const tail = /(?<=:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address)
  const groups = (tail === null ? address : `${address.slice(0, tail.index)}${pair(tail, 1)}:${pair(tail, 3)}`)
    .toLowerCase()
    .split('::')
    .map(half => (half === '' ? [] : half.split(':')))
  const [head = [], rest] = groups
  if (rest === undefined) return head
  return [...head, ...Array<string>(8 - head.length - rest.length).fill('0'), ...rest]
}

const pair = (match: RegExpExecArray, at: number): string =>
  (Number(match[at]) * 256 + Number(match[at + 1])).toString(16)
