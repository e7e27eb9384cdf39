/**
 * LDAP search filters with a place for the key: `(&(objectClass=person)(mail=%s))`.
 *
 * `%s` is the key, `%u` and `%d` the two sides of an address, as in Postfix's ldap_table(5); `%%` is a percent sign. What is filled in is
 * escaped (RFC 4515 §3), so that `*`, brackets and NUL in an address are themselves. Pure.
 */
import { type KeyPart, partsOf } from './placeholders.ts'

const PARTS: Readonly<Record<string, KeyPart>> = { s: 'key', u: 'local', d: 'domain' }

/** The filter for a key; `null` when the key has not the part it needs. Throws an `Error` when the template is wrong. */
export function filterTemplate(template: string): (key: string) => string | null {
  const parts: KeyPart[] = []
  const texts: string[] = ['']
  for (const [, plain = '', mark = ''] of template.matchAll(/([^%]+)|%(.?)/gs)) {
    if (plain !== '') texts[texts.length - 1] += plain
    else if (mark === '%') texts[texts.length - 1] += '%'
    else if (PARTS[mark] === undefined)
      throw new Error(`"%${mark}" in the filter: write %s, %u, %d, or %% for a percent sign`)
    else {
      parts.push(PARTS[mark])
      texts.push('')
    }
  }
  if (parts.length === 0) throw new Error('the filter must have %s, %u or %d in it')
  return key => {
    const values = partsOf(key, parts)
    return values && texts.reduce((whole, text, index) => `${whole}${escapeValue(values[index - 1]!)}${text}`)
  }
}

const escapeValue = (value: string): string =>
  value.replace(/[\\*()\0]/g, char => `\\${char.charCodeAt(0).toString(16).padStart(2, '0')}`)
