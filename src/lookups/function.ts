/**
 * `lookup(name, ask)`: any function as a look-up, with cache, deadline, breaker and counters around it.
 */
import { hostError } from '../host/errors.ts'
import type { MaybePromise } from '../host/filter.ts'
import { guardedEntry } from '../host/policy/guard.ts'
import type { LookupEntry } from '../host/policy/lookup.ts'
import { type LookupOptions, readLookupOptions } from '../host/policy/lookup-options.ts'

/**
 * A look-up that a function answers.
 *
 * @param ask gives the value of a key, `null` or `undefined` for none; it may throw. `signal` is aborted when the time is over.
 * @example lookup('crm', async (key, signal) => (await fetch(`https://crm.example/${encodeURIComponent(key)}`, { signal })).json())
 */
export function lookup<T>(
  name: string,
  ask: (key: string, signal: AbortSignal) => MaybePromise<T | null | undefined>,
  options: Omit<LookupOptions<T>, 'name' | 'schema'> = {},
): LookupEntry<T> {
  if (typeof ask !== 'function') throw hostError('LOOKUP_OPTIONS', 'lookup', 'write lookup("name", (key, signal) => …)')
  const { settings } = readLookupOptions<T, Record<never, never>>('lookup', {}, { ...options, name }, false)
  return guardedEntry(`function ${name}`, settings, () => ({ get: ask, probe: () => {}, close: () => {} }))
}
