/**
 * DKIM: what came out for each signature, in the words of RFC 8601, and which domains have signed all of the message.
 *
 * A signature counts only when it covers the whole body, is not from the future, and its domain can be a domain. What is not
 * so is told with its reason and helps nobody's alignment.
 */
import type { SignatureResult } from 'mailauth/lib/dkim/dkim-verifier.js'
import type { AuthResult } from 'milterhost/plugin'
import { cleanDomain } from '../domain.ts'
import type { BoundedVerifier } from './verifier.ts'

/** One signature. */
export interface Signature {
  readonly domain: string | null
  readonly selector: string | null
  readonly result: string
  readonly reason: string | null
}

export interface DkimResult {
  /** `pass` if any signature did; `none` without one. */
  readonly result: string
  readonly signatures: readonly Signature[]
  /** Domains of the signatures that passed. */
  readonly domains: readonly string[]
}

const SELECTOR = /^[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?)*$/

/** `latest`: the newest time that a signature may say, in milliseconds. */
export function dkimResults(
  verifier: BoundedVerifier,
  latest: number,
): { readonly dkim: DkimResult; readonly results: readonly AuthResult[] } {
  const judged = verifier.results.map(result => ({ result, verdict: judge(result, latest) }))
  const signed = judged.filter(({ verdict }) => verdict.result !== 'none')
  const results = judged.map(({ result, verdict }) => written(result, verdict))
  if (verifier.ignored > 0) {
    const reason = `${verifier.ignored} further signatures were not looked at`
    results.push({ method: 'dkim', result: 'policy', reason })
  }
  const signatures = signed.map(({ verdict }) => verdict)
  const passed = signatures.filter(({ result }) => result === 'pass')
  return {
    dkim: {
      result: (passed[0] ?? signatures[0])?.result ?? 'none',
      signatures,
      domains: [...new Set(passed.flatMap(({ domain }) => domain ?? []))],
    },
    results,
  }
}

function judge({ status, signTime, signingDomain, selector: name = '' }: SignatureResult, latest: number): Signature {
  const domain = cleanDomain(signingDomain)
  const selector = name.length <= 253 && SELECTOR.test(name) ? name : null
  const verdict = (result: string, reason: string | null): Signature => ({ domain, selector, result, reason })
  const comment = typeof status.comment === 'string' && status.comment !== '' ? status.comment : null
  if (status.result !== 'pass') return verdict(status.result, comment ?? status.policy?.['dkim-rules'] ?? null)
  if (domain === null) return verdict('neutral', 'the signing domain is none')
  if (!domain.includes('.')) return verdict('policy', 'the signing domain is a public suffix')
  if (signTime && Date.parse(signTime) > latest) return verdict('neutral', 'signed in the future')
  if ((status.underSized ?? 0) > 0) return verdict('policy', `${status.underSized} bytes of the body are not signed`)
  return verdict('pass', status.testing === true ? 'the domain is testing' : null)
}

function written(given: SignatureResult, { domain, selector, result, reason }: Signature): AuthResult {
  if (result === 'none') return { method: 'dkim', result, reason: 'not signed' }
  const { a, b } = given.status.header ?? {}
  return {
    method: 'dkim',
    result,
    reason: reason ?? undefined,
    properties: {
      'header.d': domain ?? undefined,
      'header.s': selector ?? undefined,
      'header.a': typeof a === 'string' && /^[\w-]{1,40}$/.test(a) ? a : undefined,
      'header.b': typeof b === 'string' && /^[A-Za-z0-9+/=]{1,8}$/.test(b) ? b : undefined,
    },
  }
}
