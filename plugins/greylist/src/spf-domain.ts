/**
 * The domain that SPF lets a client speak for: from an spf filter that ran before, else from the DNS.
 *
 * Remembers answers for some minutes, so that the recipients of one message, and a tarpit that asks for the same client, cost one
 * walk through a record. Never rejects for what the DNS does: what cannot be found out is no domain.
 */
import type { Dns } from 'milterhost/plugin'
import { spfPass } from './spf-pass.ts'
import type { Transaction } from './transaction.ts'

const KEPT = 600_000
const MOST_KEPT = 10_000

export class SpfDomains {
  readonly #dns: Dns
  readonly #now: () => number
  readonly #limit: number
  readonly #known = new Map<string, { readonly domain: string | null; readonly until: number }>()

  /** `limit`: milliseconds for one walk. */
  constructor(dns: Dns, now: () => number, limit: number) {
    this.#dns = dns
    this.#now = now
    this.#limit = limit
  }

  async find(
    transaction: Pick<Transaction, 'client' | 'helo' | 'sender' | 'spf'>,
    signal: AbortSignal,
  ): Promise<string | null> {
    const { client, helo, sender, spf } = transaction
    // A bounce speaks for its server, by the name it gives itself.
    const domain = sender.domain !== '' ? sender.domain : (helo ?? '')
    if (!/^[^\s.][^\s]*\.[^\s.]+\.?$/.test(domain) || domain.startsWith('[')) return null
    const published = spf?.result
    if (published !== undefined && published !== 'pass' && sender.domain !== '') return null
    const key = `${client.address} ${domain}`
    const now = this.#now()
    const before = this.#known.get(key)
    if (before !== undefined && before.until > now) return before.domain
    const answer = await spfPass(
      this.#dns,
      client.address,
      domain,
      AbortSignal.any([signal, AbortSignal.timeout(this.#limit)]),
    )
    signal.throwIfAborted()
    // Where our own walk stops, at macros, the spf filter has gone on.
    const found = answer === 'pass' || (answer === 'unsure' && published === 'pass') ? domain : null
    if (this.#known.size >= MOST_KEPT) this.#known.delete(this.#known.keys().next().value!)
    this.#known.set(key, { domain: found, until: now + KEPT })
    return found
  }
}
