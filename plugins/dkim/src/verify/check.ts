/**
 * Everything that is found out about who sent a message: DKIM, ARC, DMARC, in one reading of the body.
 *
 * Bad mail is data: whatever a sender can write ends in a result. What throws is a fault of ours.
 */
import { type ArcVerdict, validateArc } from '../arc/validate.ts'
import { type DmarcResult, evaluate, type SpfResult } from '../dmarc/evaluate.ts'
import { type Field, textOf } from '../fields.ts'
import { type Authors, authorsOf } from '../from.ts'
import type { DkimSettings } from '../options.ts'
import type { Resolver } from '../resolver.ts'
import { type DkimResult, dkimResults } from './dkim.ts'
import { BoundedVerifier } from './verifier.ts'

export interface Findings {
  readonly authors: Authors
  readonly dkim: DkimResult
  readonly dkimWritten: ReturnType<typeof dkimResults>['results']
  readonly arc: ArcVerdict
  /** `null` when it is switched off. */
  readonly dmarc: DmarcResult | null
  readonly verifier: BoundedVerifier
}

export interface CheckRequest {
  readonly fields: Field[]
  readonly settings: DkimSettings
  readonly resolver: Resolver
  readonly spf: SpfResult | undefined
  readonly nullSender: boolean
  /** ms since 1970. */
  readonly now: number
  /** Called only if there is a body to look at. */
  body(): AsyncIterable<Uint8Array>
}

export async function check(request: CheckRequest): Promise<Findings> {
  const { fields, settings, resolver, spf, nullSender, now } = request
  const { maxSignatures, minKeyBits, clockDrift } = settings.verify
  const seals = settings.arc.seal !== undefined
  const verifier = new BoundedVerifier(fields, { resolver, minKeyBits, maxSignatures, now: now - clockDrift, seals })
  const authors = authorsIn(fields)
  const author = authors.kind === 'authors' ? authors.domain : null
  if (author !== null && settings.dmarc !== false) resolver(`_dmarc.${author}`, 'TXT').catch(() => {})
  if (verifier.begin()) for await (const chunk of request.body()) verifier.update(chunk)
  await verifier.finalChunk()
  const { dkim, results } = dkimResults(verifier, now + clockDrift)
  const { trustedSealers } = settings.arc
  const arc = await validateArc(verifier, { resolver, minKeyBits, trustedSealers, author })
  const signers = dkim.domains
  const dmarc = settings.dmarc === false ? null : await evaluate({ authors, signers, spf, nullSender, resolver })
  return { authors, dkim, dkimWritten: results, arc, dmarc, verifier }
}

export const authorsIn = (fields: readonly Field[]): Authors =>
  authorsOf(
    fields.filter(({ key }) => key === 'from').map(field => Buffer.from(textOf(field), 'latin1').toString('utf8')),
  )
