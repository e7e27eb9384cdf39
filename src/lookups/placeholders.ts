/**
 * What of a key may stand in a query, a filter or an address: the whole, and the two sides of an address.
 *
 * How a value is made safe for its place is the driver's own business. Pure.
 */

export type KeyPart = 'key' | 'local' | 'domain'

/** `null` where the key has no such part: then nothing can be found, and nothing is asked. */
export function partOf(key: string, part: KeyPart): string | null {
  if (part === 'key') return key
  const at = key.lastIndexOf('@')
  if (at < 0) return part === 'domain' ? key : null
  return part === 'local' ? key.slice(0, at) : key.slice(at + 1)
}

/** The values of these parts, or `null` when one is missing. */
export function partsOf(key: string, parts: readonly KeyPart[]): readonly string[] | null {
  const values: string[] = []
  for (const part of parts) {
    const value = partOf(key, part)
    if (value === null || value === '') return null
    values.push(value)
  }
  return values
}
