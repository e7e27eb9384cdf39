/**
 * Signatures of one message (RFC 6376, RFC 8463): RSA and Ed25519, all canonicalizations, and oversigning.
 *
 * Oversigning names a field once more than it occurs, so that one added afterwards breaks the signature instead of being
 * shown in place of the signed one. The body comes in pieces and is hashed once for each way of canonicalizing it, not
 * kept. `l=` is never written: it would leave the end of the body to anybody.
 */
import { createHash, sign } from 'node:crypto'
import { bodyHash } from '../body/hash.ts'
import { type Field, textOf } from '../fields.ts'
import type { PrivateKey } from './keys.ts'

type Way = 'relaxed' | 'simple'

export interface SigningKey extends PrivateKey {
  readonly domain: string
  readonly selector: string
  /** `i=`, which must lie in the domain. */
  readonly identity?: string | undefined
}

export interface SigningRules {
  /** `header/body`. */
  readonly canonicalization: `${Way}/${Way}`
  /** Names of fields to sign where they occur. */
  readonly headers: readonly string[]
  /** Names of fields of which no further one may be added. */
  readonly oversign: readonly string[]
  /** Milliseconds until `x=`. */
  readonly expiry?: number | undefined
}

/** The MTA, this one or the next, adds these where they are missing: to forbid that would break the signature. */
const ADDED_BY_MTAS: ReadonlySet<string> = new Set(['date', 'message-id', 'from'])

export class MessageSigner {
  readonly #fields: readonly Field[]
  readonly #rules: SigningRules
  readonly #headerWay: Way
  readonly #body: ReturnType<typeof bodyHash>

  constructor(fields: readonly Field[], rules: SigningRules) {
    const [headerWay, bodyWay] = rules.canonicalization.split('/') as [Way, Way]
    this.#fields = fields
    this.#rules = rules
    this.#headerWay = headerWay
    this.#body = bodyHash(bodyWay, 'sha256')
  }

  update(chunk: Uint8Array): void {
    this.#body.update(chunk)
  }

  /** The values of the DKIM-Signature fields, folded by LF and a blank, in the order of the keys. `now`: ms since 1970. */
  finish(keys: readonly SigningKey[], now: number): string[] {
    const bodyHash = this.#body.digest('base64')
    const { names, lines } = this.#signed()
    const signed = lines.map(line => `${this.#canonical(line)}\r\n`).join('')
    return keys.map(key => this.#signature(key, now, bodyHash, names, signed))
  }

  #signature(key: SigningKey, now: number, bodyHash: string, names: readonly string[], signed: string): string {
    const seconds = Math.floor(now / 1000)
    const { expiry, canonicalization } = this.#rules
    const { algorithm, domain, selector, identity } = key
    const tags = [
      'v=1',
      `a=${algorithm}`,
      `c=${canonicalization}`,
      `d=${domain}`,
      `s=${selector}`,
      ...(identity === undefined ? [] : [`i=${quotedPrintable(identity)}`]),
      `t=${seconds}`,
      ...(expiry === undefined ? [] : [`x=${seconds + Math.ceil(expiry / 1000)}`]),
    ]
    const text = ` ${fold(tags)}\n\th=${foldNames(names)};\n\tbh=${bodyHash};\n\tb=`
    const own = this.#canonical(Buffer.from(`DKIM-Signature:${text.replaceAll('\n', '\r\n')}`, 'latin1'))
    const data = Buffer.from(signed + own, 'latin1')
    const signature =
      algorithm === 'rsa-sha256'
        ? sign('sha256', data, key.key)
        : sign(null, createHash('sha256').update(data).digest(), key.key)
    return text + (signature.toString('base64').match(/.{1,72}/g) ?? []).join('\n\t ')
  }

  /** Names for `h=` and the lines they stand for: of several fields of a name the last is the first to be signed. */
  #signed(): { readonly names: readonly string[]; readonly lines: readonly Buffer[] } {
    const byKey = new Map<string, Field[]>()
    for (const field of this.#fields) {
      const same = byKey.get(field.key)
      if (same === undefined) byKey.set(field.key, [field])
      else same.push(field)
    }
    const oversigned = new Set(this.#rules.oversign.map(name => name.toLowerCase()))
    const names: string[] = []
    const lines: Buffer[] = []
    const wanted = [...this.#rules.headers, ...this.#rules.oversign]
    const seen = new Set<string>()
    for (const name of wanted) {
      const key = name.toLowerCase()
      if (seen.has(key)) continue
      seen.add(key)
      const present = byKey.get(key) ?? []
      for (const field of present.toReversed()) {
        names.push(name)
        lines.push(field.line)
      }
      if (oversigned.has(key) && (present.length > 0 || !ADDED_BY_MTAS.has(key))) names.push(name)
    }
    return { names, lines }
  }

  #canonical(line: Buffer): string {
    return this.#headerWay === 'simple' ? line.toString('latin1') : relaxed(line)
  }
}

/** RFC 6376 §3.4.2. */
function relaxed(line: Buffer): string {
  const text = line.toString('latin1')
  const name = text.slice(0, text.indexOf(':')).trimEnd().toLowerCase()
  const value = textOf({ line, key: name, casedKey: name })
    .replaceAll('\r\n', '')
    .replaceAll(/[ \t]+/g, ' ')
  return `${name}:${value.replace(/^ /, '').replace(/ $/, '')}`
}

/** dkim-quoted-printable of an identity (RFC 6376 §2.11). */
const quotedPrintable = (text: string): string =>
  Buffer.from(text, 'utf8')
    .toString('latin1')
    .replaceAll(/[^\x21-\x3a\x3c\x3e-\x7e]/g, c => `=${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)

const WIDTH = 76

/** Tags, a new line where one is full. */
function fold(tags: readonly string[]): string {
  let text = ''
  let column = 'DKIM-Signature: '.length
  for (const tag of tags) {
    if (text !== '' && column + tag.length + 2 > WIDTH) {
      text += '\n\t'
      column = 8
    } else if (text !== '') text += ' '
    text += `${tag};`
    column += tag.length + 2
  }
  return text
}

function foldNames(names: readonly string[]): string {
  let text = ''
  let column = 10
  for (const name of names) {
    if (text !== '') text += ':'
    if (text !== '' && column + name.length + 1 > WIDTH) {
      text += '\n\t '
      column = 9
    }
    text += name
    column += name.length + 1
  }
  return text
}
