/**
 * An ARC set of ours on top of a message: what was found about it, signed, for whoever gets it after the next change.
 *
 * A chain that is whole is sealed with `cv=pass`, a missing one with `cv=none`; a broken one once with `cv=fail` if it was
 * whole when it was last sealed, and never again after that (RFC 8617 §5.1).
 */
import { createSeal } from 'mailauth/lib/arc/index.js'
import { type AuthResult, authenticationResults } from 'milterhost/plugin'
import type { Field } from '../fields.ts'
import type { SigningKey } from '../sign/signer.ts'
import type { BoundedVerifier } from '../verify/verifier.ts'
import type { ArcVerdict } from './validate.ts'

export interface SealRequest {
  readonly fields: Field[]
  readonly verifier: BoundedVerifier
  readonly arc: ArcVerdict
  readonly key: SigningKey
  readonly authservId: string
  readonly results: readonly AuthResult[]
  /** ms since 1970. */
  readonly now: number
}

/** Name and value of the three fields, the topmost first; none when the chain must not be sealed. Throws when it should be and cannot. */
export async function sealFields(
  request: SealRequest,
): Promise<readonly { readonly name: string; readonly value: string }[]> {
  const { fields, verifier, arc, key, authservId, results, now } = request
  const { result, shouldSeal } = arc.raw.status
  if (result !== 'none' && result !== 'pass' && shouldSeal !== true) return []
  const bodyHash = verifier.sealHash
  if (bodyHash === undefined) throw new Error('the body was not hashed for the seal')
  const { headers, errors } = await createSeal(false, {
    headers: { parsed: fields },
    arc: verifier.arc,
    seal: {
      bodyHash,
      signingDomain: key.domain,
      selector: key.selector,
      privateKey: key.key.export({ type: 'pkcs8', format: 'pem' }) as string,
      signTime: new Date(now),
      cv: result,
      authResults: authenticationResults(authservId, results).replaceAll('\n', '\r\n'),
    },
    strict: true,
  })
  if (headers.length === 0)
    throw new Error(`the message cannot be sealed: ${errors[0]?.err?.message ?? 'no reason given'}`)
  return headers.map(line => {
    const text = line.toString().replaceAll('\r\n', '\n').trimEnd()
    const colon = text.indexOf(':')
    return { name: text.slice(0, colon), value: text.slice(colon + 1) }
  })
}
