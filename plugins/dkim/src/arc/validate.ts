/**
 * ARC (RFC 8617): is the chain of seals whole, and has a sealer that is trusted here seen the message pass.
 *
 * A chain proves who sealed and nothing else: anybody may seal anything. So it never helps a message unless every sealer from
 * the newest down to the one that saw it pass is on the postmaster's list.
 */
import { type ArcResult, arc } from 'mailauth/lib/arc/index.js'
import type { ArcSet } from 'mailauth/lib/dkim/dkim-verifier.js'
import type { AuthResult } from 'milterhost/plugin'
import { cleanDomain, domainMatches } from '../domain.ts'
import type { Resolver } from '../resolver.ts'
import type { BoundedVerifier } from '../verify/verifier.ts'

export interface ArcVerdict {
  readonly result: 'none' | 'pass' | 'fail'
  readonly reason: string | null
  /** Of the newest set, 0 without a chain. */
  readonly instance: number
  /** Domains of the seals, the newest first; only of a chain that passed. */
  readonly sealers: readonly string[]
  /** A trusted sealer that has seen the message pass DMARC for its author. */
  readonly trusted: string | null
  /** What mailauth found, for a seal on top. */
  readonly raw: ArcResult
}

export async function validateArc(
  verifier: BoundedVerifier,
  { resolver, minKeyBits, trustedSealers, author }: ArcQuestion,
): Promise<ArcVerdict> {
  // Read before mailauth validates: it takes what the newest set says apart.
  const passedAt = new Set(
    verifier.arc.chain ? verifier.arc.chain.filter(set => sawPass(set, author)).map(({ i }) => i) : [],
  )
  const raw = await arc(verifier.arc, { resolver, strict: true, minBitLength: minKeyBits })
  const { result, comment } = raw.status
  const known = result === 'pass' || result === 'none' ? result : 'fail'
  const sets = known === 'pass' && raw.chain ? [...raw.chain].sort((a, b) => b.i - a.i) : []
  return {
    result: known,
    reason: known === 'fail' ? (comment ?? 'the chain is broken') : null,
    instance: typeof raw.i === 'number' ? raw.i : 0,
    sealers: sets.flatMap(set => sealerOf(set) ?? []),
    trusted: trustedSealer(sets, trustedSealers, passedAt),
    raw,
  }
}

interface ArcQuestion {
  readonly resolver: Resolver
  readonly minKeyBits: number
  readonly trustedSealers: readonly string[]
  /** The author's domain. */
  readonly author: string | null
}

export const arcResult = ({ result, reason, sealers }: ArcVerdict, address: string): AuthResult => ({
  method: 'arc',
  result,
  reason: reason ?? undefined,
  properties: {
    'header.d': sealers[0],
    'smtp.remote-ip': address === '' ? undefined : address,
  },
})

function trustedSealer(
  sets: readonly ArcSet[],
  trusted: readonly string[],
  passedAt: ReadonlySet<number>,
): string | null {
  for (const set of sets) {
    const sealer = sealerOf(set)
    if (sealer === null || !trusted.some(pattern => domainMatches(sealer, pattern))) return null
    if (passedAt.has(set.i)) return sealer
  }
  return null
}

const sealerOf = (set: ArcSet): string | null => cleanDomain(set['arc-seal']?.parsed?.d?.value)

/** `dmarc=pass header.from=<the author's domain>` in what the sealer wrote down. */
function sawPass(set: ArcSet, author: string | null): boolean {
  const { dmarc } = (set['arc-authentication-results']?.parsed ?? {}) as {
    readonly dmarc?: {
      readonly value?: unknown
      readonly header?: { readonly from?: unknown }
    }
  }
  return author !== null && dmarc?.value === 'pass' && cleanDomain(dmarc.header?.from) === author
}
