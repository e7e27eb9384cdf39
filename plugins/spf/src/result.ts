/**
 * What other filters read of what was found here: `event.result(resultKey<SpfResult>('spf'))`.
 */
import { type ResultKey, resultKey } from 'milterhost/plugin'
import type { Result } from './engine.ts'

/** One identity and what its domain says about the client. */
export interface CheckedIdentity {
  readonly identity: 'mailfrom' | 'helo'
  /** In lower case, as A-labels; empty when what the client gave is no domain, and then the result is `none`. */
  readonly domain: string
  readonly result: Result
  /** Why, for people. Printable ASCII. */
  readonly reason: string
  /** What the domain's owner says about a `fail` (`exp=`), made printable; `null` when nothing. Foreign text all the same. */
  readonly explanation: string | null
}

/** The identity that counts: MAIL FROM, or HELO for the null sender. Not published for clients that were skipped. */
export interface SpfResult extends CheckedIdentity {
  readonly ip: string
  /** What was found for HELO, when it was looked at. The same as the rest for the null sender. */
  readonly helo: CheckedIdentity | null
}

export const spfKey: ResultKey<SpfResult> = resultKey<SpfResult>('spf')
