/**
 * Who is not asked to wait at all, and what speaks against the others, as a list of reasons; never a verdict.
 *
 * A client without any reason goes on at once. What the DNS does not answer is no reason. Called once a connection for the client
 * and once more for what a message adds.
 */
import { type Auth, type Client, type Dns, dnsblLookup } from 'milterhost/plugin'
import { isAddress, isListed } from './address.ts'
import type { Attempt } from './options.ts'
import type { Bypass, Suspect } from './read-options.ts'

export type BypassRule = 'authenticated' | 'tls' | 'local' | 'network' | 'name' | 'recipient' | 'own-rule'

/** What an event tells of the connection. */
export interface Connected {
  readonly client: Client
  readonly auth: Auth | null
  macro(name: string): string | undefined
}

/** The first rule that lets this client go on, `null` for none. */
export async function bypassOf(bypass: Bypass, event: Connected, attempt: Attempt): Promise<BypassRule | null> {
  const { client, auth } = event
  if (bypass.authenticated && auth !== null) return 'authenticated'
  if (bypass.tls && hasTrustedCertificate(event)) return 'tls'
  // No address: mail that was made on this machine.
  if (bypass.local.size > 0 && (bypass.local.has(client.address) || !isAddress(client.address))) return 'local'
  if (bypass.networks.has(client.address)) return 'network'
  if (client.hostname !== null && client.verified && bypass.names(client.hostname.toLowerCase())) return 'name'
  if (attempt.recipient !== null && isListed(bypass.recipients, attempt.recipient)) return 'recipient'
  if ((await bypass.when?.(attempt)) === true) return 'own-rule'
  return null
}

/** Short names for logs: `unnamed`, `s25r:1`, `dnsbl:bl.example`. */
export async function clientReasons(
  suspect: Suspect,
  client: Client,
  dns: Pick<Dns, 'a'>,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const reasons: string[] = []
  if (suspect.unnamed && (client.hostname === null || !client.verified)) reasons.push('unnamed')
  const rule = suspect.s25r?.(client) ?? null
  if (rule !== null && !(rule === 0 && reasons.length > 0)) reasons.push(`s25r:${rule}`)
  if (!isAddress(client.address)) return reasons
  const listed = await Promise.all(
    suspect.dnsbl.map(async list => {
      const { kind } = await dnsblLookup(dns, client.address, list, { signal })
      return kind === 'listed' ? [`dnsbl:${list}`] : []
    }),
  )
  return [...reasons, ...listed.flat()]
}

export async function ownReason({ when }: Suspect, attempt: Attempt): Promise<readonly string[]> {
  const own = await when?.(attempt)
  if (own === undefined || own === false || own === '') return []
  return [own === true ? 'own-rule' : `own-rule:${own}`]
}

/** Postfix names the subject only of a certificate that it trusts, Sendmail says `OK`. */
function hasTrustedCertificate(event: Connected): boolean {
  const verify = event.macro('verify')
  return verify === undefined ? (event.macro('cert_subject') ?? '') !== '' : verify === 'OK'
}
