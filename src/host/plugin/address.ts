/**
 * An envelope address as a plugin sees it: taken apart, with the bytes still at hand.
 *
 * Made from the path the client gave, whatever that was: parsing never fails. A source route (`<@a,@b:user@c>`) is left
 * out, as RFC 5321 appendix C asks; a quoted local part is given without its quotes in `local`.
 */
import { type ByteString, bytesOf, decodeText } from '../bytes.ts'

/** An envelope address. */
export interface Address {
  /** As given, without angle brackets and source route; empty for the null sender. UTF-8 is decoded. */
  readonly address: string
  /** Before the last `@`, quotes and backslashes resolved. Upper and lower case may differ in meaning. */
  readonly local: string
  /** After the last `@`, in lower case; empty when there is none, as in `<postmaster>`. */
  readonly domain: string
  /** `<>`: a bounce or another automatic message. */
  readonly isNull: boolean
  /** The exact bytes the client gave, with angle brackets. */
  readonly raw: Uint8Array
}

export class EnvelopeAddress implements Address {
  readonly #path: ByteString
  readonly address: string
  readonly local: string
  readonly domain: string

  /** `path`: in angle brackets. */
  constructor(path: ByteString) {
    this.#path = path
    const inner = bare(path)
    const at = domainStart(inner)
    this.address = decodeText(inner)
    this.local = unquote(decodeText(at < 0 ? inner : inner.slice(0, at)))
    this.domain = at < 0 ? '' : decodeText(inner.slice(at + 1)).toLowerCase()
  }

  get isNull(): boolean {
    return this.address === ''
  }

  get raw(): Uint8Array {
    return bytesOf(this.#path)
  }

  toString(): string {
    return this.address
  }
}

/** Without angle brackets and source route. */
function bare(path: ByteString): ByteString {
  const inner = path.startsWith('<') && path.endsWith('>') ? path.slice(1, -1) : path
  if (!inner.startsWith('@')) return inner
  const colon = inner.indexOf(':')
  return colon < 0 ? inner : inner.slice(colon + 1)
}

/** The `@` that divides: the last one, unless it is inside a quoted local part. */
function domainStart(address: ByteString): number {
  const at = address.lastIndexOf('@')
  const quotedLocal = /^"(?:[^"\\]|\\.)*"/s.exec(address)
  return quotedLocal !== null && at < quotedLocal[0].length ? -1 : at
}

const unquote = (local: string): string =>
  local.length >= 2 && local.startsWith('"') && local.endsWith('"')
    ? local.slice(1, -1).replace(/\\(.)/gs, '$1')
    : local
