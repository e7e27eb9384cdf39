/**
 * The row of a report that a message makes: only where a policy is published and something was decided.
 */
import type { Disposition } from '../dmarc/decide.ts'
import type { DmarcResult, SpfResult } from '../dmarc/evaluate.ts'
import { cleanDomain } from '../domain.ts'
import type { DkimResult } from '../verify/dkim.ts'
import type { ReportRow } from './store.ts'

const MOST_SIGNATURES = 10

export function reportRow(found: {
  readonly dmarc: DmarcResult
  readonly dkim: DkimResult
  readonly spf: SpfResult | undefined
  readonly disposition: Disposition
  readonly address: string
  readonly senderDomain: string | null
}): ReportRow | null {
  const { dmarc, dkim, spf, disposition, address, senderDomain } = found
  const { published, domain, result, aligned } = dmarc
  if (published === null || domain === null || (result !== 'pass' && result !== 'fail')) return null
  const { action, override } = disposition
  const spfDomain = cleanDomain(spf?.domain)
  return {
    address,
    headerFrom: domain,
    envelopeFrom: cleanDomain(senderDomain) ?? '',
    published,
    disposition: result === 'pass' ? 'pass' : action === 'tempfail' ? 'none' : action,
    override,
    aligned,
    dkim: dkim.signatures.slice(0, MOST_SIGNATURES),
    spf:
      spf === undefined || spfDomain === null
        ? null
        : { domain: spfDomain, result: spf.result, scope: spf.identity === 'helo' ? 'helo' : 'mfrom' },
  }
}
