/**
 * Which Authentication-Results fields of a message claim to be ours (RFC 8601 §5), whatever they look like.
 *
 * Readers differ in how well they parse such a field, so the test is the union of what they would take for our name: with
 * comments, quotes, folds, a version, a job id, a trailing dot or none, in any case. A field of another name is left alone,
 * also one that only begins like ours.
 */
import { type ByteString, decodeText } from '../bytes.ts'
import type { Edit } from '../message/edit.ts'
import { keyOf } from '../message/layout.ts'
import type { HeaderField } from '../message/snapshot.ts'

const FIELD = 'authentication-results'

/** No real name or comment before it is longer; what is does not get to cost more. Bytes. */
const LOOKED_AT = 4096

/** Removes every field that claims one of the names (in lower case), the last first: no removal moves another. */
export function forgedFields(headers: readonly HeaderField[], names: ReadonlySet<string>): Edit[] {
  const edits: Edit[] = []
  const seen = new Map<string, number>()
  for (const { name, value } of headers) {
    // A blank before the colon is of the name for one reader and not for the next.
    if (name.length < FIELD.length || name.trimEnd().toLowerCase() !== FIELD) continue
    const key = keyOf(name)
    const occurrence = (seen.get(key) ?? 0) + 1
    seen.set(key, occurrence)
    if (claims(value, names)) edits.push({ kind: 'removeHeader', occurrence, name })
  }
  return edits.reverse()
}

export function claims(value: ByteString, names: ReadonlySet<string>): boolean {
  const bytes = value.slice(0, LOOKED_AT)
  for (const reading of [decodeText(bytes), bytes]) {
    const outside = withoutComments(reading)
    const text = outside ?? reading
    const head = text
      .split(';', 1)[0]!
      .replaceAll(/["\\\x00-\x08\x0e-\x1f\x7f]/g, '')
      .toLowerCase()
    const words = head.split(/[\s/]+/).filter(word => word !== '')
    const unversioned = /^\d+$/.test(words.at(-1) ?? '') ? words.slice(0, -1) : words
    for (const candidate of [words[0] ?? '', words.join(''), unversioned.join('')])
      if (names.has(candidate.replace(/\.+$/, ''))) return true
    // Nobody can say where a comment ends that does not: any of our names in it may be taken for the claim.
    if (outside === null) for (const name of names) if (reading.toLowerCase().includes(name)) return true
  }
  return false
}

/** Comments become nothing; `null` when one does not end. */
function withoutComments(text: string): string | null {
  let out = ''
  let depth = 0
  let quoted = false
  for (let i = 0; i < text.length; i++) {
    const character = text[i]!
    if (character === '\\') {
      if (depth === 0) out += text[i + 1] ?? ''
      i++
    } else if (depth === 0 && character === '"') quoted = !quoted
    else if (!quoted && character === '(') depth++
    else if (!quoted && depth > 0 && character === ')') depth--
    else if (depth === 0) out += quoted && character === ';' ? '' : character
  }
  return depth > 0 || quoted ? null : out
}
