/**
 * Marks as fields of a hash in Redis: names of keys and fields, and their strict reading.
 *
 * An origin's key is the prefix and its hash in braces, the hash tag of a Cluster. Who can write to Redis can put anything
 * there: what does not look exactly like a mark is none. Pure; the Redis store calls it.
 */
import type { Entry, ItemKey, Kind, Mark, OriginKey } from './store.ts'

const ORIGIN_TEXT = /^[A-Za-z0-9_-]{16}$/
const ITEM_TEXT = /^[A-Za-z0-9_-]{11}$/

/** Letters of the kinds; `redis-lua.ts` has them too. */
const LETTERS: Readonly<Record<Kind, string>> = {
  origin: 'o',
  pending: 'p',
  trap: 'x',
  pin: 'i',
  domain: 'd',
  tuple: 't',
}
const KIND_OF = new Map(Object.entries(LETTERS).map(([kind, letter]) => [letter, kind as Kind]))

/** Seconds; beyond the year 9999 no clock is right. */
const MOST = 253_402_300_799

export const originKey = (prefix: string, origin: OriginKey): string => `${prefix}{${base64(origin)}}`

export const fieldOf = (kind: Kind, item: ItemKey | null): string =>
  kind === 'domain' || kind === 'tuple' ? `${LETTERS[kind]}${base64(item ?? new Uint8Array(8))}` : LETTERS[kind]

/** The origin a key is for; `null` when it is none of ours. */
export function readOrigin(prefix: string, key: string): OriginKey | null {
  const [open, text, close] = [key.slice(0, prefix.length + 1), key.slice(prefix.length + 1, -1), key.at(-1)]
  if (open !== `${prefix}{` || close !== '}' || !ORIGIN_TEXT.test(text)) return null
  return new Uint8Array(Buffer.from(text, 'base64url'))
}

export function readField(field: string): Pick<Entry, 'kind' | 'item'> | null {
  const kind = KIND_OF.get(field.slice(0, 1))
  if (kind === undefined) return null
  const rest = field.slice(1)
  if (kind !== 'domain' && kind !== 'tuple') return rest === '' ? { kind, item: null } : null
  return ITEM_TEXT.test(rest) ? { kind, item: new Uint8Array(Buffer.from(rest, 'base64url')) } : null
}

/** A value as it lies in Redis. */
export function readValue(text: string): Mark | null {
  const parts = text.length > 60 ? null : /^(\d+),(-?\d+),(\d+),(-?\d+)$/.exec(text)
  if (parts === null) return null
  const [first, last, count, expires] = parts.slice(1).map(Number) as [number, number, number, number]
  const seconds = [first, first + last, count, first + expires]
  if (!seconds.every(value => value >= 0 && value <= MOST)) return null
  return { first: first * 1000, last: (first + last) * 1000, count, expires: (first + expires) * 1000 }
}

/** A mark as a script replies it: four numbers, or nothing. */
export function readReply(reply: unknown): Mark | null {
  const [first, last, count, expires] = reply as readonly number[]
  return first === undefined ? null : { first, last: last!, count: count!, expires: expires! }
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url')
