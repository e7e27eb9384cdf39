/**
 * A hash of a body for each way of canonicalizing it: `relaxed` is ours, `simple` mailauth's, which changes nothing but the end
 * and needs no better, but keeps the end of a piece as it lies: it gets a copy, for a piece may hold only until the next. Used by the verifier, which hands them to mailauth, and by the signer.
 */
import { SimpleHash } from 'mailauth/lib/dkim/body/simple.js'
import { RelaxedHash } from './relaxed.ts'
import { UNLOOKED } from './unlooked.ts'

/** `limit`: the `l=` of the signature, in bytes. */
export function bodyHash(way: 'relaxed' | 'simple', algorithm: string, limit?: number): RelaxedHash | SimpleHash {
  if (way === 'relaxed') return new RelaxedHash(algorithm, limit)
  const hash = new CopyingHash(algorithm, limit)
  hash.mimeStructureStartFinder = UNLOOKED
  return hash
}

class CopyingHash extends SimpleHash {
  override update(piece: Uint8Array): void {
    super.update(new Uint8Array(piece))
  }
}
