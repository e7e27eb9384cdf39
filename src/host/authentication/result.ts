/**
 * One result of checking who sent a message, as a filter contributes it and as it is written (RFC 8601 §2.2).
 *
 * Values come from mail and are hostile: they are quoted so that nothing in them can end a field, a result or a comment, and
 * characters that no reader should see become `?`. Names come from a plugin's author: a wrong one is refused.
 */
import { type ByteString, encodeText } from '../bytes.ts'

/** What one method found. */
export interface AuthResult {
  /** The method's name in IANA's registry: `spf`, `dkim`, `dmarc`, `arc`, `iprev`, … */
  readonly method: string
  /** The method's word for what came out: `pass`, `fail`, `temperror`, … */
  readonly result: string
  /** Why, for people. */
  readonly reason?: string | undefined
  /**
   * What was looked at, by `ptype.property`, in the order they are to be written; one that is `undefined` is left out.
   * @example { 'smtp.mailfrom': 'example.org' }
   */
  readonly properties?: Readonly<Record<string, string | undefined>> | undefined
}

const KEYWORD = '[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?'
const WORD = new RegExp(`^${KEYWORD}$`)
const PROPERTY = new RegExp(`^${KEYWORD}\\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?$`)

/** More of a value is cut: an address has at most 320 bytes, nothing else of use is longer. Characters. */
const LONGEST_VALUE = 500
/** Lines are folded before this many characters where they can be (RFC 5322 §2.1.1). */
const LINE = 78

/** What is wrong with a result in words, or `null`. */
export function authResultFault(given: unknown): string | null {
  const { method, result, reason, properties } = (given ?? {}) as Partial<AuthResult>
  if (typeof method !== 'string' || !WORD.test(method)) return 'method must be a word of letters, digits and "-"'
  if (typeof result !== 'string' || !WORD.test(result)) return 'result must be a word of letters, digits and "-"'
  if (reason !== undefined && typeof reason !== 'string') return 'reason must be text'
  if (properties !== undefined && (typeof properties !== 'object' || properties === null))
    return 'properties must be an object'
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (!PROPERTY.test(name)) return `the property ${JSON.stringify(name)} is not ptype.property, such as smtp.mailfrom`
    if (value !== undefined && typeof value !== 'string') return `the property ${name} must be text`
  }
  return null
}

/** A copy that nobody else holds. */
export const copyOf = ({ method, result, reason, properties }: AuthResult): AuthResult => ({
  method: method.toLowerCase(),
  result: result.toLowerCase(),
  reason,
  properties: { ...properties },
})

/**
 * The value of an Authentication-Results field: `mx.example.com; spf=pass smtp.mailfrom=example.org`, folded by line feed and
 * tab. Without any result it says `none`.
 */
export function authenticationResults(authservId: string, results: readonly AuthResult[]): string {
  if (results.length === 0) return `${value(authservId)}; none`
  return [value(authservId), ...results.map(written)].join(';\n\t')
}

function written({ method, result, reason, properties = {} }: AuthResult): string {
  const words = [`${method}=${result}`]
  if (reason !== undefined && reason !== '') words.push(`reason=${quoted(reason)}`)
  for (const [name, text] of Object.entries(properties)) if (text !== undefined) words.push(`${name}=${value(text)}`)
  let text = ''
  let column = 8
  for (const word of words) {
    if (text !== '' && column + word.length >= LINE) {
      text += '\n\t '
      column = 9
    } else if (text !== '') text += ' '
    text += word
    column += word.length + 1
  }
  return text
}

/** A token of RFC 2045, or an address of such tokens, goes as it is. */
const value = (text: string): string =>
  /^[\w!#$%&'*+.^`{|}~-]+(?:@[\w.-]+)?$|^@[\w.-]+$/.test(text) ? text : quoted(text)

const quoted = (text: string): string => `"${safe(text).replaceAll(/["\\]/g, '\\$&')}"`

/** Printable text: controls, format characters (bidirectional ones too), line separators and lone surrogates are hidden. */
const safe = (text: string): string =>
  text.slice(0, LONGEST_VALUE).replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu, '?')

/** The same as the bytes of a field's value, with the space after the colon. */
export const fieldValue = (authservId: string, results: readonly AuthResult[]): ByteString =>
  encodeText(` ${authenticationResults(authservId, results)}`)
