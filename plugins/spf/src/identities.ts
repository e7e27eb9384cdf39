/**
 * The identities of a message (RFC 7208 §2.3, §2.4) and their evaluation, side by side.
 *
 * MAIL FROM, and with the null sender `postmaster` at the HELO name in its place; HELO besides, when it is a domain. What is no
 * domain is `none` without any look-up.
 */
import { domainOf } from './domain.ts'
import type { Around, Engine } from './engine.ts'
import type { CheckedIdentity, SpfResult } from './result.ts'
import { printable } from './text.ts'

export interface Claimed {
  readonly ip: string
  readonly helo: string
  /** Empty for the null sender. */
  readonly sender: string
  readonly senderDomain: string
  readonly receiver: string
}

export async function checkIdentities(
  engine: Engine,
  claimed: Claimed,
  withHelo: boolean,
  around: Around,
): Promise<SpfResult> {
  const isNull = claimed.sender === ''
  const check = async (identity: CheckedIdentity['identity'], given: string): Promise<CheckedIdentity> => {
    const domain = domainOf(given)
    if (domain === null)
      return { identity, domain: '', result: 'none', reason: `no domain in ${identity}`, explanation: null }
    const sender = identity === 'helo' ? '' : claimed.sender
    const { result, reason, explanation } = await engine.evaluate({ ...claimed, sender }, around)
    return {
      identity,
      domain,
      result,
      reason: printable(reason, 300),
      explanation: explanation && printable(explanation, 200),
    }
  }
  const heloCheck = isNull || (withHelo && domainOf(claimed.helo) !== null) ? check('helo', claimed.helo) : null
  const [helo, mailfrom] = await Promise.all([heloCheck, isNull ? null : check('mailfrom', claimed.senderDomain)])
  return { ...(mailfrom ?? helo!), ip: claimed.ip, helo }
}
