/**
 * mailauth's verifier, fed with fields and pieces of a body instead of a stream, and bounded.
 *
 * Only so many signatures are looked at, none that is larger than any real one, keys only of bearable size. It keeps no
 * body: a message of any size is verified in constant memory. Keys are asked for as soon as the headers are known, while
 * the body is hashed.
 */
import { createPublicKey } from 'node:crypto'
import { getARChain } from 'mailauth/lib/arc/index.js'
import { DkimVerifier, type SignatureHeader } from 'mailauth/lib/dkim/dkim-verifier.js'
import { parseDkimHeaders } from 'mailauth/lib/tools.js'
import { bodyHash } from '../body/hash.ts'
import type { Field } from '../fields.ts'
import type { Resolver } from '../resolver.ts'

export interface VerifierOptions {
  readonly resolver: Resolver
  readonly minKeyBits: number
  readonly maxSignatures: number
  /** Milliseconds since 1970, less what clocks may differ. */
  readonly now: number
  /** Also the hash that a seal needs. */
  readonly seals: boolean
}

/** Bytes of a DKIM-Signature or ARC field; real ones have at most a few thousand, with a long `z=`. */
const LONGEST_FIELD = 65_536
/** Names in `h=`: each is looked for among all fields. */
const MOST_NAMES = 500
/** RFC 8301 §3.2: verifiers must take 4096. */
const MOST_BITS = 4096
const MOST_EXPONENT = 2n ** 32n

const SEAL_HASH = 'relaxed:sha256:'

export class BoundedVerifier extends DkimVerifier {
  /** Signatures that were not looked at because there are too many. */
  ignored = 0
  readonly #options: VerifierOptions
  readonly #fields: Field[]

  constructor(fields: Field[], options: VerifierOptions) {
    super({
      resolver: options.resolver,
      strict: true,
      minBitLength: options.minKeyBits,
      curTime: new Date(options.now),
    })
    this.#options = options
    this.#fields = fields
    const { get } = this.keyCache
    this.keyCache.get = (...asked) => {
      const found = get(...asked).then(key => {
        checkSize(key.publicKey)
        return key
      })
      // What is asked for early may fail before anybody waits for it.
      found.catch(() => {})
      return found
    }
  }

  /** Reads the headers and asks for the keys. Whether there is anything to verify, so that the body is needed. */
  begin(): boolean {
    this.headers = { parsed: this.#fields }
    this.#readChain()
    const signatures = this.#fields.filter(({ key }) => key === 'dkim-signature')
    this.ignored = Math.max(0, signatures.length - this.#options.maxSignatures)
    for (const field of signatures.slice(0, this.#options.maxSignatures))
      this.signatureHeaders.push(readSignature(field))
    const last = this.arc.lastEntry?.['arc-message-signature']
    if (last !== undefined) {
      last.type = 'ARC'
      this.signatureHeaders.push(last)
    }
    for (const header of this.signatureHeaders) {
      if (header.skip === undefined && header.invalid === undefined) this.prepareSignature(header)
      const names = String(header.parsed?.h?.value ?? '').split(':', MOST_NAMES + 1)
      if (names.length > MOST_NAMES) header.invalid = 'too many names in h='
      if (header.skip !== undefined || header.invalid !== undefined) continue
      header.bodyHashKey = this.addBodyHash(
        header.bodyCanon ?? 'simple',
        header.hashAlgo ?? 'sha256',
        header.maxBodyLength ?? '',
      )
      this.#prefetch(header)
    }
    if (this.#options.seals) this.addBodyHash('relaxed', 'sha256', '')
    return this.bodyHashes.size > 0
  }

  /** In place of mailauth's, for faster hashes. */
  override addBodyHash(way: string, algorithm: string, length: number | ''): string {
    const key = `${way}:${algorithm}:${length}`
    if (!this.bodyHashes.has(key)) {
      const limit = length === '' ? undefined : length
      this.bodyHashes.set(key, bodyHash(way === 'relaxed' ? 'relaxed' : 'simple', algorithm, limit))
    }
    return key
  }

  update(chunk: Uint8Array): void {
    for (const hash of this.bodyHashes.values()) hash.update(chunk)
  }

  /** The hash of the whole body for a seal, once `finalChunk` is done. */
  get sealHash(): string | undefined {
    return this.bodyHashes.get(SEAL_HASH)?.hash
  }

  #readChain(): void {
    try {
      const long = this.#fields.find(({ key, line }) => key.startsWith('arc-') && line.length > LONGEST_FIELD)
      if (long !== undefined)
        throw Object.assign(new Error(`${long.casedKey} is too long`), { code: 'invalid_arc_tags' })
      this.arc.chain = getARChain(this.headers, { strict: true, warnings: this.arc.warnings })
      const last = this.arc.chain === false ? undefined : this.arc.chain.at(-1)
      if (last !== undefined) this.arc.lastEntry = last
    } catch (error) {
      this.arc.error = error as Error
    }
  }

  #prefetch({ type, selector, signingDomain, hashAlgo }: SignatureHeader): void {
    const name = `${selector}._domainkey.${signingDomain}`
    void this.keyCache.get(type, name, this.#options.minKeyBits, { strict: true, hashAlgo })
  }
}

function readSignature(field: Field): SignatureHeader {
  if (field.line.length > LONGEST_FIELD) return { type: 'DKIM', skip: 'signature too long', parsed: {} }
  const header = parseDkimHeaders(field.line, { strict: true })
  header.type = 'DKIM'
  return header
}

/** A key may be made to be slow (RFC 6376 §8.13): its size and exponent decide what a verification costs. */
function checkSize(key: string | Buffer): void {
  const { modulusLength = 0, publicExponent = 0n } = createPublicKey(key).asymmetricKeyDetails ?? {}
  if (modulusLength > MOST_BITS || publicExponent > MOST_EXPONENT)
    throw Object.assign(new Error('the key is too large'), { code: 'EINVALIDVAL' })
}
