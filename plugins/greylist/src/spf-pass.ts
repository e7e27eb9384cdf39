/**
 * Does SPF let this client speak for this domain, and for few others beside it?
 *
 * Not an SPF filter (`milter-plugin-spf` is one): it only finds a pass, in order to name where mail comes from. What it cannot say
 * for sure (macros, `exists`, `ptr`, an error of the DNS, more look-ups than RFC 7208 4.6.4 allows) is no pass, which
 * costs a client nothing but its domain's name. A pass that anybody has is none either: by `all`, or by a network wider
 * than /8 (IPv6: /19).
 */
import { isIP } from 'node:net'
import { type Dns, networks } from 'milterhost/plugin'

export type SpfAnswer =
  /** The client is one of the domain's. */
  | 'pass'
  /** It is, but so is half the world. */
  | 'open'
  /** It is not, or that cannot be said. */
  | 'no'
  /** Macros or mechanisms that are not looked into. */
  | 'unsure'

const MOST_LOOKUPS = 10
const MOST_ADDRESSES = 10
const LONGEST_RECORD = 8_192
const LONGEST_NAME = 253

interface Walk {
  readonly dns: Dns
  readonly address: string
  readonly signal: AbortSignal | undefined
  lookups: number
}

/** Never rejects for what DNS or a record does. */
export async function spfPass(dns: Dns, address: string, domain: string, signal?: AbortSignal): Promise<SpfAnswer> {
  if (isIP(address) === 0) return 'no'
  try {
    return await evaluate({ dns, address, signal, lookups: 0 }, domain)
  } catch (error) {
    if (error instanceof Unsure) return 'unsure'
    if (typeof (error as { code?: unknown } | null)?.code === 'string') return 'no'
    throw error
  }
}

/** Ends the walk: from here on only a full evaluation could say more. */
class Unsure extends Error {}

async function evaluate(walk: Walk, domain: string): Promise<SpfAnswer> {
  const record = await recordOf(walk, domain)
  if (record === null) return 'no'
  let redirect: string | null = null
  for (const term of record.split(/ +/).slice(1)) {
    if (term === '') continue
    const modifier = /^([a-z][a-z0-9_.-]*)=(.*)$/i.exec(term)
    if (modifier !== null) {
      if (modifier[1]!.toLowerCase() === 'redirect') redirect = plain(modifier[2]!)
      continue
    }
    const matched = await mechanism(walk, domain, term)
    if (matched === 'no') continue
    // A match that is not `+` is the end of the record, and no pass.
    return /^[-~?]/.test(term) ? 'no' : matched
  }
  if (redirect === null) return 'no'
  count(walk)
  return evaluate(walk, redirect)
}

/** `no` when it does not match. */
async function mechanism(walk: Walk, domain: string, term: string): Promise<'pass' | 'open' | 'no'> {
  const parts = /^[-+~?]?([a-z0-9]+)(?::([^/]*))?(\/.*)?$/i.exec(term)
  const ip = /^[-+~?]?ip([46]):(.+)$/i.exec(term)
  if (ip !== null) return inNetwork(walk.address, ip[2]!)
  if (parts === null) throw new Unsure()
  const target = parts[2] === undefined ? domain : plain(parts[2])
  const [, prefix4, prefix6] = /^(?:\/(\d{1,2}))?(?:\/\/(\d{1,3}))?$/.exec(parts[3] ?? '') ?? [null, null, null]
  const prefix = walk.address.includes(':') ? prefix6 : prefix4
  switch (parts[1]!.toLowerCase()) {
    case 'all':
      return 'open'
    case 'include': {
      count(walk)
      const answer = await evaluate(walk, target)
      return answer === 'pass' || answer === 'open' ? answer : 'no'
    }
    case 'a':
      count(walk)
      return ofHost(walk, target, prefix)
    case 'mx': {
      count(walk)
      const exchanges = await missing(walk.dns.mx(target, walk.signal))
      for (const { exchange } of exchanges.slice(0, MOST_ADDRESSES)) {
        const answer = await ofHost(walk, exchange, prefix)
        if (answer !== 'no') return answer
      }
      return 'no'
    }
    default:
      throw new Unsure()
  }
}

async function ofHost(walk: Walk, host: string, prefix: string | null | undefined): Promise<'pass' | 'open' | 'no'> {
  const v6 = walk.address.includes(':')
  const addresses = await missing(v6 ? walk.dns.aaaa(host, walk.signal) : walk.dns.a(host, walk.signal))
  let best: 'pass' | 'open' | 'no' = 'no'
  for (const address of addresses.slice(0, MOST_ADDRESSES)) {
    const answer = inNetwork(walk.address, prefix == null ? address : `${address}/${prefix}`)
    if (answer === 'pass') return 'pass'
    if (answer === 'open') best = 'open'
  }
  return best
}

/** Whether a network holds the address; `open` when it holds too much beside it. Bits beyond the prefix do not count. */
function inNetwork(address: string, network: string): 'pass' | 'open' | 'no' {
  const [base, length] = network.split('/') as [string, string | undefined]
  const v6 = base.includes(':')
  const prefix = length === undefined ? (v6 ? 128 : 32) : Number(length)
  if (!Number.isInteger(prefix) || prefix < 0 || prefix > (v6 ? 128 : 32) || v6 !== address.includes(':')) return 'no'
  try {
    if (!networks([masked(base, prefix)]).has(address)) return 'no'
  } catch (error) {
    // What is no address holds nothing.
    if (error instanceof RangeError || error instanceof TypeError) return 'no'
    throw error
  }
  return prefix < (v6 ? 19 : 8) ? 'open' : 'pass'
}

/** A network list takes no bits beyond the prefix, SPF does. */
function masked(base: string, prefix: number): string {
  if (base.includes(':')) {
    const bits = [...new URL(`http://[${base}]/`).hostname.slice(1, -1).matchAll(/[^:]+|::/g)].map(([part]) => part)
    const gap = bits.indexOf('::')
    const before = gap < 0 ? bits : bits.slice(0, gap)
    const after = gap < 0 ? [] : bits.slice(gap + 1)
    const groups = [...before, ...Array<string>(8 - before.length - after.length).fill('0'), ...after]
    const cut = groups.map((group, at) => {
      const left = Math.min(16, Math.max(0, prefix - at * 16))
      return (Number.parseInt(group, 16) & (0xffff << (16 - left)) & 0xffff).toString(16)
    })
    return `${cut.join(':')}/${prefix}`
  }
  const octets = base.split('.').map((octet, at) => {
    const left = Math.min(8, Math.max(0, prefix - at * 8))
    return Number(octet) & (0xff << (8 - left)) & 0xff
  })
  return `${octets.join('.')}/${prefix}`
}

async function recordOf({ dns, signal }: Walk, domain: string): Promise<string | null> {
  const records = (await missing(dns.txt(plain(domain), signal))).filter(text => /^v=spf1(?: |$)/i.test(text))
  const [record] = records
  // Two records are an error of the domain, and so is one that is longer than any honest one.
  return records.length === 1 && record!.length <= LONGEST_RECORD ? record! : null
}

/** What is not there is an empty answer; every other trouble ends the walk. */
async function missing<T>(answer: Promise<readonly T[]>): Promise<readonly T[]> {
  try {
    return await answer
  } catch (error) {
    const code = (error as { code?: unknown } | null)?.code
    if (code === 'ENOTFOUND' || code === 'ENODATA') return []
    throw error
  }
}

/** A name without macros. */
function plain(name: string): string {
  if (name.includes('%') || name.length > LONGEST_NAME || name === '') throw new Unsure()
  return name
}

function count(walk: Walk): void {
  if (++walk.lookups > MOST_LOOKUPS) throw new Unsure()
}
