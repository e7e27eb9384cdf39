/**
 * What is used of mailauth's inner modules, which have no types of their own: deep imports leave out what is not needed
 * (BIMI, MTA-STS, reports), a third of the memory and most of the time to load.
 */

declare module 'mailauth/lib/dkim/dkim-verifier.js' {
  import type { Writable } from 'node:stream'

  export interface ParsedField {
    readonly key: string
    readonly casedKey: string
    readonly line: Buffer
  }

  export interface ParsedHeaders {
    readonly parsed: ParsedField[]
  }

  export interface TagList {
    readonly parsed?: Readonly<Record<string, { readonly value?: string | number } | undefined>>
  }

  export interface SignatureHeader extends TagList {
    type: 'DKIM' | 'ARC'
    skip?: string
    invalid?: string
    signAlgo?: string
    hashAlgo?: string
    bodyCanon?: string
    signingDomain?: string
    selector?: string
    timestamp?: Date | null
    maxBodyLength?: number | ''
    bodyHashKey?: string
  }

  export interface SignatureStatus {
    result: string
    comment?: string | false
    readonly header?: {
      readonly d?: string | false
      readonly s?: string
      readonly a?: string
      readonly b?: string | false
    }
    readonly underSized?: number
    readonly testing?: boolean
    readonly policy?: Readonly<Record<string, string>>
  }

  export interface SignatureResult {
    readonly id?: string
    readonly signingDomain?: string
    readonly selector?: string
    readonly signTime?: string | null
    readonly modulusLength?: number
    readonly status: SignatureStatus
  }

  export interface BodyHasher {
    update(chunk: Uint8Array): void
    digest(encoding: 'base64'): string
    mimeStructureStartFinder: { update(chunk: Uint8Array): void; getMimeStructureStart(): unknown }
  }

  export interface KeyCache {
    readonly resolver: unknown
    get(
      type: string,
      name: string,
      minBitLength: number,
      options: { readonly strict: boolean; readonly hashAlgo?: string | undefined },
    ): Promise<{ readonly publicKey: string | Buffer; readonly modulusLength?: number; readonly keyType?: string }>
  }

  export interface ArcSet {
    readonly i: number
    readonly 'arc-seal'?: TagList
    readonly 'arc-message-signature'?: SignatureHeader
    readonly 'arc-authentication-results'?: { readonly parsed?: Record<string, unknown> }
    messageSignature?: SignatureResult
  }

  export interface ArcData {
    chain: ArcSet[] | false
    lastEntry?: ArcSet
    error?: Error
    warnings: string[]
    keyCache?: KeyCache
  }

  export class DkimVerifier extends Writable {
    constructor(options: {
      readonly resolver: (name: string, type: string) => Promise<unknown>
      readonly strict: boolean
      readonly minBitLength: number
      readonly curTime: Date
    })
    headers: ParsedHeaders
    results: SignatureResult[]
    signatureHeaders: SignatureHeader[]
    bodyHashes: Map<string, BodyHasher & { hash?: string }>
    arc: ArcData
    keyCache: KeyCache
    /** Every hash is made here. Returns its key in `bodyHashes`. */
    addBodyHash(canonicalization: string, algorithm: string, length: number | ''): string
    prepareSignature(header: SignatureHeader): void
    finalChunk(): Promise<void>
  }
}

declare module 'mailauth/lib/tools.js' {
  import type { SignatureHeader } from 'mailauth/lib/dkim/dkim-verifier.js'

  export function parseDkimHeaders(line: Buffer, options: { readonly strict: boolean }): SignatureHeader
}

declare module 'mailauth/lib/arc/index.js' {
  import type { ArcData, ArcSet, ParsedHeaders } from 'mailauth/lib/dkim/dkim-verifier.js'

  export interface ArcResult {
    readonly i?: number | false
    readonly chain?: ArcSet[] | false
    readonly status: { readonly result: string; readonly comment?: string; readonly shouldSeal?: boolean }
  }

  export function getARChain(
    headers: ParsedHeaders,
    options: { readonly strict: boolean; readonly warnings: string[] },
  ): ArcSet[] | false
  export function arc(
    data: ArcData,
    options: {
      readonly resolver: (name: string, type: string) => Promise<unknown>
      readonly strict: boolean
      readonly minBitLength: number
    },
  ): Promise<ArcResult>
  export function createSeal(
    input: false,
    data: {
      readonly headers: ParsedHeaders
      readonly arc: ArcData
      readonly seal: {
        readonly bodyHash: string
        readonly signingDomain: string
        readonly selector: string
        readonly privateKey: string
        readonly signTime: Date
        readonly cv: string
        readonly authResults: string
        readonly headerList?: string
      }
      readonly strict: boolean
    },
  ): Promise<{
    readonly headers: string[]
    readonly errors: readonly { readonly err?: Error }[]
  }>
}

declare module 'mailauth/lib/dmarc/index.js' {
  export interface DmarcResponse {
    readonly status: { readonly result: string; readonly comment?: string }
    /** The organizational domain. */
    readonly domain: string
    /** Where the policy was published. */
    readonly policyDomain?: string
    /** The policy that applies, after `sp`, `np` and `t`. */
    readonly policy?: 'none' | 'quarantine' | 'reject'
    readonly p?: string
    readonly sp?: string
    readonly np?: string
    readonly testMode?: boolean
    readonly rr?: string
    readonly error?: string
    readonly alignment?: {
      readonly spf: { readonly result?: string; readonly strict: boolean }
      readonly dkim: { readonly result?: string; readonly strict: boolean }
    }
  }

  export function evaluateDmarc(options: {
    readonly headerFrom: readonly string[]
    readonly fromFields: number
    readonly spfDomains: readonly string[]
    readonly dkimDomains: readonly { readonly domain: string }[]
    readonly resolver: (name: string, type: string) => Promise<unknown>
    readonly strict: boolean
  }): Promise<{
    readonly response: DmarcResponse | false
    readonly reason?: string
    readonly authorDomains?: readonly string[]
    readonly dkimAligned?: ReadonlySet<string>
  }>
}

declare module 'mailauth/lib/dkim/body/simple.js' {
  export class SimpleHash {
    constructor(algorithm: string, maxBodyLength: number | undefined)
    update(chunk: Uint8Array): void
    digest(encoding: 'base64'): string
    mimeStructureStartFinder: { update(chunk: Uint8Array): void; getMimeStructureStart(): unknown }
  }
}

declare module 'mailauth/lib/dkim/body/relaxed.js' {
  export class RelaxedHash {
    constructor(algorithm: string, maxBodyLength: number | undefined)
    update(chunk: Uint8Array): void
    digest(encoding: 'base64'): string
    readonly byteLength: number
    readonly canonicalizedLength: number
    readonly bodyHashedBytes: number
  }
}
