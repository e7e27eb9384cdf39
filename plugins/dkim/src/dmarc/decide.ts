/**
 * What is done about a DMARC result: the published policy, held down by the postmaster's own.
 *
 * Pure. Overrides, the strongest first: a domain's entry in `domains`; a message that a trusted sealer has seen pass (ARC);
 * then `policy`, the most that is ever done.
 */
import { domainMatches } from '../domain.ts'
import type { DmarcResult, PolicyName } from './evaluate.ts'

/** `report-only` is `none` that tells in log and counters what would have been done. */
export type PolicyLimit = PolicyName | 'report-only'

export interface DmarcRules {
  readonly policy: PolicyLimit
  readonly domains: Readonly<Record<string, PolicyName>>
  readonly badFrom: 'accept' | 'quarantine' | 'reject'
  readonly temperror: 'accept' | 'tempfail'
}

export interface Disposition {
  readonly action: PolicyName | 'tempfail'
  /** What would be done without `policy`. */
  readonly wanted: PolicyName
  /** Why the published policy was not followed, in the words of RFC 9990. */
  readonly override: 'local_policy' | 'trusted_forwarder' | null
}

const STRENGTH: Readonly<Record<PolicyName, number>> = { none: 0, quarantine: 1, reject: 2 }

/** `sealer`: a trusted sealer of the message that has seen it pass. */
export function disposition(dmarc: DmarcResult, rules: DmarcRules, sealer: string | null): Disposition {
  const { result, domain, policy } = dmarc
  if (result === 'permerror') {
    const action = rules.badFrom === 'accept' ? 'none' : rules.badFrom
    return { action, wanted: action, override: null }
  }
  if (result === 'temperror') {
    const action = rules.temperror === 'tempfail' ? 'tempfail' : 'none'
    return { action, wanted: 'none', override: null }
  }
  if (result !== 'fail' || policy === null) return { action: 'none', wanted: 'none', override: null }
  const own = domain === null ? undefined : ownPolicy(domain, rules.domains)
  if (own !== undefined) return { action: own, wanted: own, override: own === policy ? null : 'local_policy' }
  if (sealer !== null)
    return { action: 'none', wanted: 'none', override: policy === 'none' ? null : 'trusted_forwarder' }
  const limit = rules.policy === 'report-only' ? 'none' : rules.policy
  const action = STRENGTH[policy] > STRENGTH[limit] ? limit : policy
  return { action, wanted: policy, override: action === policy ? null : 'local_policy' }
}

/** The entry that says most: the name itself, then the longest `.suffix`, then `*`. */
function ownPolicy(domain: string, domains: DmarcRules['domains']): PolicyName | undefined {
  const [best] = Object.keys(domains)
    .filter(pattern => domainMatches(domain, pattern))
    .sort((a, b) => specificity(b) - specificity(a))
  return best === undefined ? undefined : domains[best]
}

/** A pattern fits by its own length at most, a name wholly. */
const specificity = (pattern: string): number =>
  pattern === '*' ? 0 : pattern.startsWith('.') ? pattern.length : Number.POSITIVE_INFINITY
