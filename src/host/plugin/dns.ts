/**
 * The DNS that plugins get outside of tests: Node's resolver, with a bound on time and with abortable look-ups.
 *
 * Look-ups do not read `/etc/hosts`. Each has its own c-ares channel, since Node can cancel a channel but not one query.
 */
import { Resolver } from 'node:dns/promises'
import type { Dns } from './services.ts'

export interface DnsOptions {
  /** Milliseconds one try may take. @default 5000 */
  readonly timeout?: number
  /** @default 2 */
  readonly tries?: number
  /** Servers as `address` or `address:port`. @default those of the system */
  readonly servers?: readonly string[]
}

export function systemDns(options: DnsOptions = {}): Dns {
  const { timeout = 5000, tries = 2, servers } = options
  const look = async <T>(signal: AbortSignal | undefined, query: (resolver: Resolver) => Promise<T>): Promise<T> => {
    if (signal?.aborted) throw cancelled()
    const resolver = new Resolver({ timeout, tries })
    if (servers !== undefined) resolver.setServers(servers)
    const cancel = (): void => resolver.cancel()
    signal?.addEventListener('abort', cancel, { once: true })
    try {
      return await query(resolver)
    } finally {
      signal?.removeEventListener('abort', cancel)
    }
  }
  return {
    a: (name, signal) => look(signal, resolver => resolver.resolve4(name)),
    aaaa: (name, signal) => look(signal, resolver => resolver.resolve6(name)),
    mx: (name, signal) => look(signal, resolver => resolver.resolveMx(name)),
    txt: async (name, signal) =>
      (await look(signal, resolver => resolver.resolveTxt(name))).map(pieces => pieces.join('')),
    ptr: (address, signal) => look(signal, resolver => resolver.reverse(address)),
  }
}

const cancelled = (): Error => Object.assign(new Error('the look-up was cancelled'), { code: 'ECANCELLED' })
