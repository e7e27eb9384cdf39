/**
 * One question to one DNS list of addresses (RFC 5782): block lists and white lists alike.
 *
 * A list answers with addresses of 127/8. Anything else is no answer of a list: a provider's search page for names that do
 * not exist, or an expired domain that answers everything; and 127.255.255.0/24 is how lists say "you may not ask
 * me" (Spamhaus). Both are errors and never hits, or one day all mail would be listed. No cache: the host's resolver has one.
 */
import type { Dns } from '../plugin/services.ts'
import { parseIp } from './ip.ts'
import { type Networks, networks } from './networks.ts'

export interface DnsblOptions {
  /**
   * Answers that count, as addresses or networks, e.g. `['127.0.0.2', '127.0.0.10/31']`; other answers of 127/8 mean
   * that the address is not listed. Compile a list that is asked often with `networks(…)`.
   * @default all of 127/8
   */
  readonly codes?: readonly string[] | Networks
  readonly signal?: AbortSignal
}

export type DnsblAnswer =
  /** `codes`: the answers that count, never empty. */
  | { readonly kind: 'listed'; readonly codes: readonly string[] }
  | { readonly kind: 'clean' }
  /** The list did not answer, or not as a list does. */
  | { readonly kind: 'error'; readonly reason: string }

const CLEAN: DnsblAnswer = Object.freeze({ kind: 'clean' })

/**
 * The name to ask for: `192.0.2.1` in `bl.example` is `1.2.0.192.bl.example`, an IPv6 address its 32 digits backwards.
 * Throws a `RangeError` for what is no address.
 */
export function dnsblName(address: string, list: string): string {
  const ip = parseIp(address)
  if (ip === null) throw new RangeError(`${JSON.stringify(address)} is not an IP address`)
  const zone = list.replace(/^\.+|\.+$/g, '')
  const parts =
    ip.family === 6
      ? [...ip.value.toString(16).padStart(32, '0')]
      : [24n, 16n, 8n, 0n].map(shift => String((ip.value >> shift) & 0xffn))
  return `${parts.reverse().join('.')}.${zone}`
}

/**
 * Asks one list. Never rejects for what the DNS does; an aborted signal is an `error` too.
 * @example const answer = await dnsblLookup(host.dns, event.client.address, 'bl.example', { signal: event.signal })
 */
export async function dnsblLookup(
  dns: Pick<Dns, 'a'>,
  address: string,
  list: string,
  options: DnsblOptions = {},
): Promise<DnsblAnswer> {
  const name = dnsblName(address, list)
  const counts = countingCodes(options.codes)
  let answers: readonly string[]
  try {
    answers = await dns.a(name, options.signal)
  } catch (thrown) {
    const code = (thrown as { code?: unknown } | null)?.code
    if (code === 'ENOTFOUND' || code === 'ENODATA') return CLEAN
    return { kind: 'error', reason: `${name}: ${typeof code === 'string' ? code : String(thrown)}` }
  }
  const strange = answers.find(answer => !isListCode(answer))
  if (strange !== undefined) return { kind: 'error', reason: `${name}: ${strange} is not the answer of a DNS list` }
  const codes = answers.filter(answer => counts(answer))
  return codes.length > 0 ? { kind: 'listed', codes } : CLEAN
}

const isListCode = (answer: string): boolean => /^127\.(?!255\.255\.)\d+\.\d+\.\d+$/.test(answer)

const countingCodes = (codes: DnsblOptions['codes']): ((answer: string) => boolean) => {
  if (codes === undefined) return () => true
  const table = 'has' in codes ? codes : networks(codes)
  return answer => table.has(answer)
}
