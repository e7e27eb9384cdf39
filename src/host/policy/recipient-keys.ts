/**
 * Under which keys a recipient, or a sender, is looked up, and which answer counts: the first that there is.
 *
 * Address, address without extension, domain, parent domains, default. Keys are folded to lower case, as Postfix folds
 * them for its own tables. Pure, but for `findFirst`, which asks.
 */
import type { MaybePromise } from '../filter.ts'
import type { Found, Lookup } from './lookup.ts'

/** The default's key. */
export const DEFAULT_KEY = '*'

/** More labels than any real domain has: what is beyond them is not asked for, so that one address cannot cost 60 look-ups. */
const MOST_PARENTS = 8

export interface RecipientKeyOptions {
  /** Characters that begin an extension, as Postfix's `recipient_delimiter`; `''` for none. @default '+' */
  readonly delimiter?: string
}

/** `local` and `domain` as in `Address`: without quotes, the domain possibly empty. */
export function recipientKeys(
  { local, domain }: { readonly local: string; readonly domain: string },
  { delimiter = '+' }: RecipientKeyOptions = {},
): readonly string[] {
  const at = domain === '' ? '' : `@${domain}`
  const keys = [`${local}${at}`]
  const cut = extensionStart(local, delimiter)
  if (cut > 0) keys.push(`${local.slice(0, cut)}${at}`)
  if (domain !== '') keys.push(...domainKeys(domain))
  keys.push(DEFAULT_KEY)
  return [...new Set(keys.map(key => key.toLowerCase()))]
}

/** The domain and those above it; an address literal has none above. */
function domainKeys(domain: string): readonly string[] {
  const keys = [domain]
  if (domain.startsWith('[')) return keys
  for (let dot = domain.indexOf('.'); dot >= 0 && keys.length <= MOST_PARENTS; dot = domain.indexOf('.', dot + 1)) {
    if (dot + 1 < domain.length) keys.push(domain.slice(dot + 1))
  }
  return keys
}

/** Names that mail systems give a meaning are never split (Postfix 3.7, `split_addr`). */
const WHOLE: readonly string[] = ['postmaster', 'mailer-daemon', 'double-bounce']

function extensionStart(local: string, delimiter: string): number {
  if (WHOLE.includes(local.toLowerCase())) return -1
  for (let at = 1; at < local.length; at++) if (delimiter.includes(local[at]!)) return at
  return -1
}

/**
 * Asks for all keys at once and gives the answer to the first that has one, so that a look-up costs one round trip
 * whatever the number of keys. When none has, `value` is `null` and `key` the first. An error counts only where no earlier key
 * has an answer.
 */
export function findFirst<T>(lookup: Lookup<T>, keys: readonly string[], signal: AbortSignal): MaybePromise<Found<T>> {
  const asked: MaybePromise<Found<T>>[] = []
  for (const key of keys) {
    const found = lookup.find(key, signal)
    if (!(found instanceof Promise) && found.value !== null && asked.length === 0) return found
    asked.push(found)
    // What comes after an answer at hand cannot count.
    if (!(found instanceof Promise) && found.value !== null) break
  }
  if (!asked.some(found => found instanceof Promise)) {
    const all = asked as readonly Found<T>[]
    return all.find(({ value }) => value !== null) ?? all[0]!
  }
  return firstOf(asked)
}

async function firstOf<T>(asked: readonly MaybePromise<Found<T>>[]): Promise<Found<T>> {
  // Those that are not waited for in the end must not count as unhandled; the look-up itself reports its failures.
  void Promise.allSettled(asked)
  let none: Found<T> | null = null
  for (const answer of asked) {
    const found = await answer
    if (found.value !== null) return found
    none ??= found
  }
  return none!
}
