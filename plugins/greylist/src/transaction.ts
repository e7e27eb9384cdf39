/**
 * What is known of a transaction when a decision is due: a plain value made from the event, so that everything that
 * decides can be tested, and asked by other plugins, without one.
 */
import { type Auth, type Client, type ResultKey, resultKey } from 'milterhost/plugin'
import type { Attempt } from './options.ts'
import type { SenderParts } from './sender.ts'

export interface Transaction {
  readonly client: Client
  readonly helo: string | null
  readonly auth: Auth | null
  readonly sender: SenderParts & { readonly address: string }
  readonly recipients: readonly (SenderParts & { readonly address: string })[]
  readonly macro: (name: string) => string | undefined
  /** What an spf filter before this one found. */
  readonly spf: SpfResult | null
  /** The client spoke before its turn. */
  readonly early: boolean
  /** A tarpit before this one has made the client wait, and it did. */
  readonly waited: boolean
}

/** As `milter-plugin-spf` publishes it; only what is read here. Another filter may publish it, so nothing in it is trusted to be there. */
export interface SpfResult {
  readonly result: string
  /** The domain that was checked. */
  readonly domain?: string
}

export const SPF: ResultKey<SpfResult> = resultKey<SpfResult>('spf')
/** As `milter-plugin-tarpit` publishes it; only what is read here. */
export const TARPIT: ResultKey<{ readonly state?: unknown }> = resultKey<{ readonly state?: unknown }>('tarpit')
/** As `milter-plugin-dkim` publishes it; only what is read here. */
export interface DkimResult {
  /** Domains of the signatures that passed. */
  readonly domains?: readonly string[]
}

export const DKIM: ResultKey<DkimResult> = resultKey<DkimResult>('dkim')
export const EARLY_TALKER: ResultKey<boolean> = resultKey<boolean>('early-talker')

export const attemptOf = ({ client, helo, sender, recipients }: Transaction): Attempt => ({
  client,
  helo,
  sender: sender.address,
  recipients: recipients.map(({ address }) => address),
})

/** Whether an address, or the domain it ends in, is in a list. */
export function isListed(
  list: ReadonlySet<string>,
  { address, domain }: SenderParts & { readonly address: string },
): boolean {
  if (list.size === 0) return false
  const lower = domain.toLowerCase()
  if (list.has(address.toLowerCase()) || list.has(`@${lower}`)) return true
  for (let at = 0; at >= 0; at = lower.indexOf('.', at) + 1 || -1) if (list.has(lower.slice(at))) return true
  return false
}
