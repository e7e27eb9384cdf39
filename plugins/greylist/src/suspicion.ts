/**
 * What speaks against a client, as a list of reasons; never a verdict.
 *
 * In the default mode a client without any reason does not wait at all. What the DNS does not answer is no reason. The
 * engine calls it once a message and keeps what belongs to the connection.
 */
import { isIP } from 'node:net'
import { type Dns, dnsblLookup } from 'milterhost/plugin'
import type { Suspect } from './read-options.ts'
import { attemptOf, type Transaction } from './transaction.ts'

/** Short names for logs: `s25r:0`, `dnsbl:bl.example`, `spf:fail`, `helo`, `early`, `own-rule`. */
export type Reason = string

/** Reasons of the connection: its address and name. */
export async function clientReasons(
  suspect: Suspect,
  { client }: Pick<Transaction, 'client'>,
  dns: Dns,
  signal: AbortSignal,
): Promise<readonly Reason[]> {
  const rule = suspect.s25r?.(client) ?? null
  const asked = await Promise.all(
    suspect.dnsbl.map(async list => {
      if (isIP(client.address) === 0) return null
      const answer = await dnsblLookup(dns, client.address, list, { signal })
      return answer.kind === 'listed' ? `dnsbl:${list}` : null
    }),
  )
  return [...(rule === null ? [] : [`s25r:${rule}`]), ...asked.filter(reason => reason !== null)]
}

/** Reasons of the message, without waiting for anybody but the postmaster's own rule. */
export async function messageReasons(suspect: Suspect, transaction: Transaction): Promise<readonly Reason[]> {
  const { spf, helo, early } = transaction
  const reasons: Reason[] = []
  if (spf !== null && suspect.spf.has(spf.result)) reasons.push(`spf:${spf.result}`)
  if (suspect.helo && helo !== null && isBadHelo(helo, transaction)) reasons.push('helo')
  if (early) reasons.push('early')
  const own = await suspect.when?.(attemptOf(transaction))
  if (own !== undefined && own !== false) reasons.push(own === true ? 'own-rule' : `own-rule:${own}`)
  return reasons
}

export const isOnList = (reasons: readonly Reason[]): boolean => reasons.some(reason => reason.startsWith('dnsbl:'))

/** A name that no mail server gives itself: ours, a bare address, no domain, or another's address in brackets. */
function isBadHelo(helo: string, { client, macro }: Transaction): boolean {
  const name = helo.toLowerCase().replace(/\.$/, '')
  if (name === (macro('j') ?? '').toLowerCase()) return true
  const literal = /^\[(?:ipv6:)?(.*)\]$/.exec(name)
  if (literal !== null) return literal[1] !== client.address.toLowerCase()
  return !/^[a-z0-9_]([a-z0-9_.-]*[a-z0-9])?$/.test(name) || !name.includes('.') || /^[0-9.]+$/.test(name)
}
