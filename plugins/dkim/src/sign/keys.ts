/**
 * Private keys: RSA and Ed25519, as PEM, or as the base64 of their DER as OpenDKIM also takes them.
 */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'

export type Algorithm = 'rsa-sha256' | 'ed25519-sha256'

export interface PrivateKey {
  readonly key: KeyObject
  readonly algorithm: Algorithm
  /** Of the modulus; 256 for Ed25519. */
  readonly bits: number
}

const ED25519_SEED = Buffer.from('302e020100300506032b657004220420', 'hex')

/** Throws with what is wrong, never with any of the key. */
export function parsePrivateKey(text: string): PrivateKey {
  const key = read(text.trim())
  const { modulusLength = 256 } = key.asymmetricKeyDetails ?? {}
  if (key.asymmetricKeyType === 'ed25519') return { key, algorithm: 'ed25519-sha256', bits: 256 }
  if (key.asymmetricKeyType !== 'rsa')
    throw new Error(`a key of type ${key.asymmetricKeyType}, DKIM knows RSA and Ed25519`)
  if (modulusLength < 1024) throw new Error(`an RSA key of ${modulusLength} bits: verifiers refuse less than 1024`)
  return { key, algorithm: 'rsa-sha256', bits: modulusLength }
}

function read(text: string): KeyObject {
  if (text.includes('-----BEGIN')) {
    try {
      return createPrivateKey(text)
    } catch {
      throw new Error('not a private key in PEM that can be read without a passphrase')
    }
  }
  const der = Buffer.from(text.replaceAll(/\s+/g, ''), 'base64')
  // dkimpy writes the bare seed.
  const forms =
    der.length === 32
      ? [{ key: Buffer.concat([ED25519_SEED, der]), type: 'pkcs8' as const }]
      : [
          { key: der, type: 'pkcs8' as const },
          { key: der, type: 'pkcs1' as const },
        ]
  for (const form of forms) {
    try {
      return createPrivateKey({ ...form, format: 'der' })
    } catch {
      // The next form.
    }
  }
  throw new Error('not a private key')
}

/** What DNS has to say for this key: the value of the TXT record. */
export function publicRecord({ key, algorithm }: PrivateKey): string {
  const der = createPublicKey(key).export({ type: 'spki', format: 'der' })
  // RFC 8463 §4 publishes the bare 32 bytes.
  const [type, bytes] = algorithm === 'rsa-sha256' ? ['rsa', der] : ['ed25519', der.subarray(-32)]
  return `v=DKIM1; k=${type}; p=${bytes.toString('base64')}`
}
