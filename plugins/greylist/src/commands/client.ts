/**
 * A client as the MTA would tell of it, from its address alone: its name, and whether that leads back.
 *
 * `check` and the import look at clients that are not connected. What the DNS does not answer is no name, as with the MTA.
 */
import { isIP } from 'node:net'
import type { Client, Dns } from 'milterhost/plugin'
import { userError } from './error.ts'

export interface NamedClient {
  readonly client: Client
  /** A name that does not lead back to the address; `null` when there is none. */
  readonly unverified: string | null
}

/** Names of one address that are looked at: some have hundreds. */
const MOST_NAMES = 5

export function addressOf(text: string): string {
  if (isIP(text) === 0) throw userError(`${JSON.stringify(text)} is no address of a client`)
  return text.toLowerCase()
}

export async function clientByDns(dns: Dns, address: string): Promise<NamedClient> {
  const names = await absent(dns.ptr(address))
  for (const name of names.slice(0, MOST_NAMES)) {
    const addresses = await absent(isIP(address) === 6 ? dns.aaaa(name) : dns.a(name))
    if (addresses.some(found => same(found, address)))
      return { client: { address, port: 0, hostname: name, verified: true }, unverified: null }
  }
  return { client: unnamed(address), unverified: names[0] ?? null }
}

export const unnamed = (address: string): Client => ({ address, port: 0, hostname: null, verified: false })

const same = (a: string, b: string): boolean => a === b || (isIP(a) === 6 && isIP(b) === 6 && long(a) === long(b))

/** One spelling of an IPv6 address. */
const long = (address: string): string => new URL(`http://[${address}]/`).hostname

async function absent<T>(answer: Promise<readonly T[]>): Promise<readonly T[]> {
  try {
    return await answer
  } catch (error) {
    if (typeof (error as { code?: unknown } | null)?.code === 'string') return []
    throw error
  }
}
