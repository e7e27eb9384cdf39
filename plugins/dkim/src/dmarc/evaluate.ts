/**
 * DMARC (RFC 9989): does the author's domain stand behind this message, and what does it ask for if not.
 *
 * There is always a decision: a From field that names no author, or several domains, is `permerror` and never passed over. SPF
 * counts with the identity MAIL FROM, with HELO only for the null sender (CVE-2019-20790); it is what a filter of this chain
 * found, never what a header says.
 */
import { evaluateDmarc } from 'mailauth/lib/dmarc/index.js'
import { cleanDomain } from '../domain.ts'
import type { Authors } from '../from.ts'
import type { Resolver } from '../resolver.ts'

/** What the SPF filter published, as far as it is of use here. */
export interface SpfResult {
  readonly result: string
  readonly domain?: string | null
  readonly identity?: string
}

export type PolicyName = 'none' | 'quarantine' | 'reject'

export interface DmarcResult {
  readonly result: 'pass' | 'fail' | 'none' | 'temperror' | 'permerror'
  /** The author's domain, `null` if there is none. */
  readonly domain: string | null
  readonly reason: string | null
  /** What the domain asks for, after `sp`, `np` and `t`; `null` without a record. */
  readonly policy: PolicyName | null
  /** The record as published, for reports. */
  readonly published: Published | null
  readonly aligned: { readonly spf: boolean; readonly dkim: boolean }
}

export interface Published {
  /** Where the record is. */
  readonly domain: string
  readonly record: string
  readonly p: string
  readonly sp: string | null
  readonly np: string | null
  readonly adkim: 'r' | 's'
  readonly aspf: 'r' | 's'
  readonly testing: boolean
}

export interface DmarcQuestion {
  readonly authors: Authors
  /** Domains whose signatures passed. */
  readonly signers: readonly string[]
  readonly spf: SpfResult | undefined
  /** The sender is `<>`. */
  readonly nullSender: boolean
  readonly resolver: Resolver
}

export async function evaluate(question: DmarcQuestion): Promise<DmarcResult> {
  const { authors, signers, resolver } = question
  const undecided = { policy: null, published: null, aligned: { spf: false, dkim: false } }
  if (authors.kind === 'invalid')
    return { result: 'permerror', domain: authors.domains[0] ?? null, reason: authors.reason, ...undecided }
  const { domain } = authors
  const { response, reason } = await evaluateDmarc({
    headerFrom: authors.authors.map(author => `author@${author.domain}`),
    fromFields: 1,
    spfDomains: spfDomain(question),
    dkimDomains: signers.map(signer => ({ domain: signer })),
    resolver,
    strict: true,
  })
  if (response === false) return { result: 'permerror', domain, reason: reason ?? 'no author domain', ...undecided }
  const { result } = response.status
  const policy = response.policy ?? null
  const aligned = {
    spf: response.alignment?.spf.result !== undefined,
    dkim: response.alignment?.dkim.result !== undefined,
  }
  const known =
    result === 'pass' || result === 'fail' || result === 'none' || result === 'temperror' ? result : 'permerror'
  const why = known === 'temperror' ? (response.error ?? 'DNS failed') : null
  return { result: known, domain, reason: why, policy, published: publishedOf(response), aligned }
}

function spfDomain({ spf, nullSender }: DmarcQuestion): string[] {
  if (spf?.result !== 'pass') return []
  if (spf.identity !== undefined && spf.identity !== 'mailfrom' && !nullSender) return []
  const domain = cleanDomain(spf.domain)
  return domain === null ? [] : [domain]
}

function publishedOf(
  response: Exclude<Awaited<ReturnType<typeof evaluateDmarc>>['response'], false>,
): Published | null {
  const { policyDomain, rr, p, alignment, testMode, np } = response
  if (policyDomain === undefined || rr === undefined || p === undefined) return null
  const sp = /(?:^|;)\s*sp\s*=\s*(none|quarantine|reject)\s*(?:;|$)/i.exec(rr)?.[1]
  return {
    domain: policyDomain,
    record: rr.slice(0, 1000),
    p,
    sp: sp?.toLowerCase() ?? null,
    np: np ?? null,
    adkim: alignment?.dkim.strict === true ? 's' : 'r',
    aspf: alignment?.spf.strict === true ? 's' : 'r',
    testing: testMode === true,
  }
}
