/**
 * What an engine is asked and what it answers: one evaluation of check_host() (RFC 7208 §4), whichever library does it.
 *
 * Bad records and dead servers are results, never exceptions. An engine rejects only when nobody waits any more: with the
 * reason of the signal. It takes its answers from the DNS it is given and ends within the time it is given.
 */
import type { Dns } from 'milterhost/plugin'

export type Result = 'none' | 'neutral' | 'pass' | 'fail' | 'softfail' | 'temperror' | 'permerror'

export interface Question {
  /** IPv4 or IPv6. */
  readonly ip: string
  /** As the client said it. */
  readonly helo: string
  /** The MAIL FROM address; empty checks the HELO identity. */
  readonly sender: string
  /** This MTA's name, for macros. */
  readonly receiver: string
}

export interface Evaluation {
  readonly result: Result
  /** Why, for the log. Hostile text may be in it. */
  readonly reason: string
  /** What the domain's owner has to say about a `fail` (`exp=`). Hostile text. */
  readonly explanation: string | null
}

export interface Engine {
  readonly name: 'mailauth' | 'spf-check' | 'compare'
  evaluate(question: Question, around: Around): Promise<Evaluation>
}

export interface Around {
  readonly dns: Dns
  /** Milliseconds that are left; beyond them is `temperror` (RFC 7208 §4.6.4). */
  readonly time: number
  readonly signal: AbortSignal
}

export type EngineName = Engine['name']

/** The libraries are loaded when they are wanted: one costs a second and 30 MB. */
export async function loadEngine(name: EngineName, onDifference: OnDifference): Promise<Engine> {
  if (name === 'mailauth') return (await import('./engines/mailauth.ts')).mailauth()
  if (name === 'spf-check') return (await import('./engines/spf-check.ts')).spfCheck()
  const { compare } = await import('./engines/compare.ts')
  return compare(await loadEngine('mailauth', onDifference), await loadEngine('spf-check', onDifference), onDifference)
}

export type OnDifference = (question: Question, believed: Evaluation, other: Evaluation) => void
