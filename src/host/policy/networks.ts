/**
 * Lists of networks: which entry holds an address, by the longest prefix or by the order written.
 *
 * Compiled once, then each question costs one map look-up for each prefix length in the list, so that ten thousand
 * networks are as quick to ask as ten. An IPv4 address inside IPv6 is that IPv4 address, in the list and in the question.
 * Conditions, white lists and plugins use it.
 */
import { bitsOf, type IpAddress, isMapped, parseIp, parseUnmapped } from './ip.ts'

/**
 * Networks that no mail comes from over the internet: loopback, RFC 1918, link-local (RFC 3927, RFC 4291), unique local
 * (RFC 4193). Not the providers' shared 100.64.0.0/10 (RFC 6598), behind which a provider's customers are.
 */
export const PRIVATE_NETWORKS: readonly string[] = Object.freeze([
  '127.0.0.0/8',
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '169.254.0.0/16',
  '::1/128',
  'fe80::/10',
  'fc00::/7',
])

/** A compiled table of networks, each with a value. */
export interface NetworkTable<T> {
  /** The value of the entry that holds the address; `undefined` if none does or if it is not an IP address. */
  get(address: string): T | undefined
  readonly size: number
}

interface Slot<T> {
  readonly value: T
  readonly order: number
}

interface Level<T> {
  readonly shift: bigint
  readonly slots: Map<bigint, Slot<T>>
}

/**
 * Compiles networks with values. Where several hold an address, `longest` (the default) answers with the most specific and
 * `first` with the one written first, as Postfix's cidr tables do; the same network twice: the first counts.
 *
 * Throws a `RangeError` that names the entry which is no network: prefix too long, bits beyond the prefix, not an address.
 * @example networkTable([['192.0.2.0/24', 'office'], ['2001:db8::/32', 'lab']]).get('192.0.2.7') // 'office'
 */
export function networkTable<T>(
  entries: Iterable<readonly [network: string, value: T]>,
  match: 'longest' | 'first' = 'longest',
): NetworkTable<T> {
  const levels = { 4: new Map<number, Level<T>>(), 6: new Map<number, Level<T>>() }
  let order = 0
  for (const [network, value] of entries) {
    const { family, base, prefix } = parseNetwork(network)
    const shift = BigInt(bitsOf(family) - prefix)
    let level = levels[family].get(prefix)
    if (level === undefined) {
      level = { shift, slots: new Map() }
      levels[family].set(prefix, level)
    }
    const key = base >> shift
    if (!level.slots.has(key)) level.slots.set(key, { value, order: order++ })
  }
  // Longest prefix first, so that the first hit is the most specific.
  const sorted = (family: 4 | 6): Level<T>[] => [...levels[family]].sort(([a], [b]) => b - a).map(([, level]) => level)
  const tables = { 4: sorted(4), 6: sorted(6) }
  const find = ({ family, value }: IpAddress): Slot<T> | undefined => {
    let best: Slot<T> | undefined
    for (const { shift, slots } of tables[family]) {
      const slot = slots.get(value >> shift)
      if (slot === undefined) continue
      if (match === 'longest') return slot
      if (best === undefined || slot.order < best.order) best = slot
    }
    return best
  }
  return {
    size: order,
    get(address) {
      const ip = parseIp(address)
      return ip === null ? undefined : find(ip)?.value
    },
  }
}

/** A compiled list of networks. */
export interface Networks {
  /** `false` also for what is no IP address. */
  has(address: string): boolean
  readonly size: number
}

/**
 * Compiles a list of networks and single addresses. Throws a `RangeError` that names the entry which is none.
 * @example networks([...PRIVATE_NETWORKS, '192.0.2.0/24', '2001:db8::1']).has('10.1.2.3') // true
 */
export function networks(list: Iterable<string>): Networks {
  const table = networkTable(entries(list))
  return { size: table.size, has: address => table.get(address) === true }
}

function* entries(list: Iterable<string>): Generator<readonly [string, true]> {
  for (const network of list) yield [network, true]
}

function parseNetwork(text: string): { readonly family: 4 | 6; readonly base: bigint; readonly prefix: number } {
  const refuse = (why: string): never => {
    throw new RangeError(`${JSON.stringify(text)} is not a network such as "192.0.2.0/24" or "2001:db8::/32": ${why}`)
  }
  if (typeof text !== 'string') return refuse('it is not a text')
  const [address, length, ...rest] = text.trim().split('/')
  // Brackets as Postfix writes them: [2001:db8::]/32.
  const ip = parseUnmapped(address!.replace(/^\[(.*)\]$/, '$1'))
  if (ip === null || rest.length > 0) return refuse('the address is not one')
  const bits = bitsOf(ip.family)
  if (length !== undefined && !/^\d{1,3}$/.test(length)) return refuse('the prefix is not a number')
  const prefix = length === undefined ? bits : Number(length)
  if (prefix > bits) return refuse(`the prefix is longer than ${bits} bits`)
  if ((ip.value & ((1n << BigInt(bits - prefix)) - 1n)) !== 0n) return refuse('the address has bits beyond the prefix')
  if (isMapped(ip) && prefix >= 96) return { family: 4, base: ip.value & 0xffff_ffffn, prefix: prefix - 96 }
  return { family: ip.family, base: ip.value, prefix }
}
