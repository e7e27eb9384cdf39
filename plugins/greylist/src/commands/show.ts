/**
 * How the commands show marks and times.
 */
import type { Entry } from '../store.ts'

export const time = (milliseconds: number): string => new Date(milliseconds).toISOString().replace('.000Z', 'Z')

export const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url')

/** A mark as an object of JSON: hashes in base64url, times in ISO 8601. */
export const shown = ({
  kind,
  origin,
  item,
  first,
  last,
  count,
  expires,
}: Entry): Readonly<Record<string, unknown>> => ({
  kind,
  origin: base64(origin),
  ...(item === null ? {} : { item: base64(item) }),
  first: time(first),
  last: time(last),
  count,
  expires: time(expires),
})

/** A length of time for people. */
export function span(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000))
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`
}
