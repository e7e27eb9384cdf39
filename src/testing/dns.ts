/**
 * A DNS that answers from a zone a test wrote, and remembers what was asked.
 */
import type { Dns } from '../host/plugin/services.ts'

/** How a look-up fails, by Node's code. `hang`: no answer until the look-up's signal is aborted. */
export type DnsFailure = 'ENOTFOUND' | 'ENODATA' | 'ESERVFAIL' | 'EREFUSED' | 'ETIMEOUT' | 'hang'

/** The records of one name; of an address only `ptr`. What is not there is `ENODATA`. */
export interface FakeRecords {
  readonly a?: readonly string[] | DnsFailure
  readonly aaaa?: readonly string[] | DnsFailure
  readonly mx?: readonly { readonly exchange: string; readonly priority: number }[] | DnsFailure
  readonly txt?: readonly string[] | DnsFailure
  readonly ptr?: readonly string[] | DnsFailure
}

/** By name, or by address for `ptr`. A name that is not there is `ENOTFOUND`. */
export type FakeZone = Readonly<Record<string, FakeRecords | DnsFailure>>

export interface FakeDns extends Dns {
  /** Every look-up so far, in order. */
  readonly calls: readonly { readonly type: keyof FakeRecords; readonly name: string }[]
}

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
  const calls: { type: keyof FakeRecords; name: string }[] = []
  const names = new Map(Object.entries(zone).map(([name, records]) => [key(name), records]))
  const look =
    <T extends keyof FakeRecords>(type: T) =>
    async (name: string, signal?: AbortSignal): Promise<Exclude<NonNullable<FakeRecords[T]>, DnsFailure>> => {
      calls.push({ type, name })
      if (signal?.aborted) throw failure('ECANCELLED', type, name)
      const records = names.get(key(name)) ?? 'ENOTFOUND'
      const answer = typeof records === 'string' ? records : (records[type] ?? 'ENODATA')
      if (answer === 'hang') return hang(signal, failure('ECANCELLED', type, name))
      if (typeof answer === 'string') throw failure(answer, type, name)
      return answer as Exclude<NonNullable<FakeRecords[T]>, DnsFailure>
    }
  return { calls, a: look('a'), aaaa: look('aaaa'), mx: look('mx'), txt: look('txt'), ptr: look('ptr') }
}

const key = (name: string): string => name.toLowerCase().replace(/\.$/, '')

const failure = (code: string, type: string, name: string): Error =>
  Object.assign(new Error(`query${type.toUpperCase()} ${code} ${name}`), { code, hostname: name })

const hang = (signal: AbortSignal | undefined, error: Error): Promise<never> =>
  new Promise((_, reject) => signal?.addEventListener('abort', () => reject(error), { once: true }))
