/**
 * What is to be refused: which identity, by which rule, and whom a white list saves.
 *
 * White lists are asked only when something would be refused, since two of them need the DNS.
 */
import { type Client, networks } from 'milterhost/plugin'
import { domainOf, isWithin } from './domain.ts'
import type { Around, Engine } from './engine.ts'
import type { Claimed } from './identities.ts'
import type { Refused, Settings } from './options.ts'
import type { CheckedIdentity, SpfResult } from './result.ts'

/** The identity that is to be refused, the one that counts first; `null` when none is. */
export function refusedIdentity(found: SpfResult, settings: Settings): CheckedIdentity | null {
  if (isRefused(found, settings)) return found
  const { helo } = found
  if (settings.helo !== 'enforce' || helo === null) return null
  return isRefused(helo, settings) ? helo : null
}

function isRefused({ domain, result }: CheckedIdentity, { refused, domains }: Settings): boolean {
  return result !== 'pass' && { ...refused, ...ruleFor(domain, domains) }[result] === true
}

/** The domain's own rule, else that of the nearest domain above it. */
function ruleFor(domain: string, domains: Settings['domains']): Refused | undefined {
  const own = domains.get(domain)
  if (own !== undefined || domains.size === 0) return own
  const labels = domain.split('.')
  for (let i = 1; i < labels.length; i++) {
    const rule = domains.get(`*.${labels.slice(i).join('.')}`)
    if (rule !== undefined) return rule
  }
  return undefined
}

/** Which white list the client is on, in words; `null` when on none. */
export async function allowedBy(
  client: Client,
  claimed: Claimed,
  { allow }: Settings,
  engine: Engine,
  around: Around,
): Promise<string | null> {
  if (allow.networks.has(client.address)) return 'network'
  const hostname = client.verified ? domainOf(client.hostname ?? '') : null
  const above = hostname === null ? undefined : allow.hostnames.find(domain => isWithin(hostname, domain))
  if (above !== undefined) return `host name ${above}`
  const helo = domainOf(claimed.helo)
  if (helo !== null && allow.helo.has(helo) && (await leadsTo(helo, client.address, around))) return `HELO name ${helo}`
  for (const domain of allow.domains) {
    const { result } = await engine.evaluate({ ...claimed, sender: `postmaster@${domain}` }, around)
    if (result === 'pass') return `SPF of ${domain}`
  }
  return null
}

/** A name that cannot be looked up leads nowhere: it saves nobody. */
async function leadsTo(name: string, address: string, { dns, signal, time }: Around): Promise<boolean> {
  const inTime = AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(time))])
  try {
    const addresses = await (/:[^.]*$/.test(address) ? dns.aaaa(name, inTime) : dns.a(name, inTime))
    return networks(addresses).has(address)
  } catch {
    signal.throwIfAborted()
    return false
  }
}
