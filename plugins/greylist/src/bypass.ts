/**
 * Who does not wait at all, in a fixed order; the first rule that holds is named.
 *
 * Two halves, because the second asks the DNS: it is asked only for a client that would wait. The learned white list, which comes
 * after these, is the store's. The engine calls both.
 */
import { isIP } from 'node:net'
import { type Dns, dnsblLookup } from 'milterhost/plugin'
import { organisation } from './origin.ts'
import type { Bypass } from './read-options.ts'
import { attemptOf, isListed, type Transaction } from './transaction.ts'

export type BypassRule =
  | 'authenticated'
  | 'tls'
  | 'local'
  | 'network'
  | 'backup-mx'
  | 'name'
  | 'tarpit'
  | 'recipient'
  | 'own-rule'
  | 'dnswl'
  | 'sender'
  | 'provider'

/** What can be said without asking anybody. `trap`: a recipient is one, which no wish for mail without delay excuses. */
export async function staticBypass(
  bypass: Bypass,
  transaction: Transaction,
  trap: boolean,
): Promise<BypassRule | null> {
  const { client, auth, recipients, waited } = transaction
  if (bypass.authenticated && auth !== null) return 'authenticated'
  if (bypass.tls && hasTrustedCertificate(transaction)) return 'tls'
  // No address: mail that was made on this machine.
  if (bypass.local.size > 0 && (bypass.local.has(client.address) || isIP(client.address) === 0)) return 'local'
  if (bypass.networks.has(client.address)) return 'network'
  if (bypass.backupMx.has(client.address)) return 'backup-mx'
  if (client.hostname !== null && client.verified && bypass.names(client.hostname.toLowerCase())) return 'name'
  if (waited) return 'tarpit'
  if (!trap && recipients.length > 0 && recipients.every(recipient => isListed(bypass.recipients, recipient)))
    return 'recipient'
  if ((await bypass.when?.(attemptOf(transaction))) === true) return 'own-rule'
  return null
}

/** What needs the DNS. `spfDomain`: finds the domain SPF lets the client speak for. */
export async function askedBypass(
  bypass: Bypass,
  transaction: Transaction,
  dns: Dns,
  spfDomain: () => Promise<string | null>,
  signal: AbortSignal,
): Promise<BypassRule | null> {
  const { client, sender } = transaction
  if (bypass.dnswl !== undefined && (await isWhitelisted(bypass.dnswl, client.address, dns, signal))) return 'dnswl'
  // Anybody can write a sender: it counts for a client that its domain lets speak for it.
  const listed = isListed(bypass.senders, sender)
  const provider = sender.domain !== '' && bypass.providers.has(organisation(sender.domain))
  if ((listed || provider) && (await spfDomain()) !== null) return listed ? 'sender' : 'provider'
  return null
}

/** Postfix names the subject only of a certificate that it trusts, Sendmail says `OK`. */
function hasTrustedCertificate({ macro }: Transaction): boolean {
  const verify = macro('verify')
  return verify === undefined ? (macro('cert_subject') ?? '') !== '' : verify === 'OK'
}

/** 127.0.c.s: c is a category, s the trust, 0 to 3; 127.0.0.255 says that we may not ask (dnswl.org). */
async function isWhitelisted(
  { zone, score }: NonNullable<Bypass['dnswl']>,
  address: string,
  dns: Dns,
  signal: AbortSignal,
): Promise<boolean> {
  if (isIP(address) === 0) return false
  const answer = await dnsblLookup(dns, address, zone, { signal })
  if (answer.kind !== 'listed') return false
  return answer.codes.some(code => {
    const trust = /^127\.0\.\d+\.([0-3])$/.exec(code)?.[1]
    return trust !== undefined && Number(trust) >= score
  })
}
