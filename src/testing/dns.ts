/**
 * A DNS that answers from a zone a test wrote, and remembers what was asked.
 *
 * The zone is an object (`fakeDns`) or the text of a zone file (`zoneDns`). No network, no cache, no waiting; search domains and a message's
 * share of look-ups do not exist here.
 */
import { reverseName } from '../dns/name.ts'
import type { Dns } from '../host/plugin/services.ts'
import { parseZone } from './zone.ts'

/** How a look-up fails, by its code. `hang`: no answer until the look-up's signal is aborted. */
export type DnsFailure =
  | 'ENOTFOUND'
  | 'ENODATA'
  | 'ESERVFAIL'
  | 'EREFUSED'
  | 'ETIMEOUT'
  | 'EBADNAME'
  | 'EMSGSIZE'
  | 'EBUDGET'
  | 'hang'

/** The records of one name; of an address only `ptr`. What is not there is `ENODATA`. */
export interface FakeRecords {
  readonly a?: readonly string[] | DnsFailure
  readonly aaaa?: readonly string[] | DnsFailure
  readonly mx?: readonly { readonly exchange: string; readonly priority: number }[] | DnsFailure
  readonly txt?: readonly string[] | DnsFailure
  readonly ptr?: readonly string[] | DnsFailure
  /** Every look-up of this name is answered with that one's records. */
  readonly cname?: string
}

/** By name, or by address for `ptr`. A name that is not there is `ENOTFOUND`. */
export type FakeZone = Readonly<Record<string, FakeRecords | DnsFailure>>

export interface FakeDns extends Dns {
  /** Every look-up so far, in order. */
  readonly calls: readonly { readonly type: LookupType; readonly name: string }[]
}

type LookupType = Exclude<keyof FakeRecords, 'cname'>

/**
 * @example
 * ```ts
 * const dns = fakeDns({
 *   'example.org': { txt: ['v=spf1 -all'], mx: 'ETIMEOUT' },
 *   '192.0.2.1': { ptr: ['mx.example.org'] },
 *   'broken.example': 'ESERVFAIL',
 * })
 * ```
 */
export function fakeDns(zone: FakeZone = {}): FakeDns {
  const calls: { type: LookupType; name: string }[] = []
  const names = new Map(Object.entries(zone).map(([name, records]) => [key(name), records]))
  const find = (name: string): FakeRecords | DnsFailure => {
    let at = key(name)
    for (let hops = 0; hops < MOST_CNAMES; hops++) {
      const records = names.get(at) ?? names.get(reverseName(at) ?? '') ?? 'ENOTFOUND'
      if (typeof records === 'string' || records.cname === undefined) return records
      at = key(records.cname)
    }
    return 'ESERVFAIL'
  }
  const look =
    <T extends LookupType>(type: T) =>
    async (name: string, signal?: AbortSignal): Promise<Exclude<NonNullable<FakeRecords[T]>, DnsFailure>> => {
      calls.push({ type, name })
      if (signal?.aborted) throw failure('ECANCELLED', type, name)
      const records = find(name)
      const answer = typeof records === 'string' ? records : (records[type] ?? 'ENODATA')
      if (answer === 'hang') return hang(signal, failure('ECANCELLED', type, name))
      if (typeof answer === 'string') throw failure(answer, type, name)
      return answer as Exclude<NonNullable<FakeRecords[T]>, DnsFailure>
    }
  const dns: FakeDns = {
    calls,
    a: look('a'),
    aaaa: look('aaaa'),
    mx: look('mx'),
    txt: look('txt'),
    ptr: look('ptr'),
    forMessage: () => dns,
  }
  return dns
}

/**
 * A DNS from the text of a zone file (RFC 1035 §5): `$ORIGIN`, `$TTL`, relative names, `@`, parentheses, comments; A, AAAA, MX, TXT, PTR and
 * CNAME, others are read over. In place of a record's data, `!CODE` makes the look-up fail with it. Throws a `SyntaxError` that
 * names the line.
 *
 * @example
 * ```ts
 * const dns = zoneDns(`
 *   $ORIGIN example.org.
 *   @       TXT "v=spf1 a:mail -all"
 *   mail    A   192.0.2.1
 *   broken  TXT !ESERVFAIL
 * `)
 * ```
 */
export const zoneDns = (text: string): FakeDns => fakeDns(parseZone(text))

const MOST_CNAMES = 16

const key = (name: string): string => name.toLowerCase().replace(/\.$/, '')

const failure = (code: string, type: string, name: string): Error =>
  Object.assign(new Error(`query${type.toUpperCase()} ${code} ${name}`), { code, hostname: name })

const hang = (signal: AbortSignal | undefined, error: Error): Promise<never> =>
  new Promise((_, reject) => signal?.addEventListener('abort', () => reject(error), { once: true }))
