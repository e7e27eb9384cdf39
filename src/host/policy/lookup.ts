/**
 * What a look-up is to those who ask: a key in, a typed value out, from a directory, a database, a table or code.
 *
 * An entry (`sql(…)`, `ldap(…)`, `postfixTable(…)`) is a description, made while the configuration executes; nothing is opened
 * before `open`, which each generation of the configuration does once an entry (`opened.ts`). What stands behind it is a
 * `Source`, which knows nothing of time, caches and repeated failures: that is one engine for all of them (`guard.ts`).
 *
 * What holds: `find` rejects only with a coded error, or with the reason of the caller's own signal; it answers in the same
 * tick when the value is at hand. Entries are known by a mark and not by class, because a configuration may bring its own copy of
 * the package. Conditions, `users:` and `policy:` call it, and `explain` shows what `Found` tells.
 */
import type { MaybePromise } from '../filter.ts'
import type { Logger } from '../observe/logger.ts'
import type { Metrics } from '../plugin/services.ts'
import type { Clock } from '../time/clock.ts'

/** An answer, and where it comes from. */
export interface Found<T> {
  /** `null`: the source has nothing for this key. */
  readonly value: T | null
  /** The key it was found under, of those that were asked. */
  readonly key: string
  /** Name of the look-up. */
  readonly source: string
  /**
   * `source`: just asked; `cache`: asked before; `stale`: an expired answer, because the source cannot be asked; `onError`:
   * what the configuration says for that case.
   */
  readonly from: 'source' | 'cache' | 'stale' | 'onError'
  /** Milliseconds since the source gave it; for a table in memory, since it was read. */
  readonly age: number
  /** Why the source could not be asked, with `stale` and `onError`. */
  readonly error?: Error
}

export interface LookupHealth {
  /** `paused`: it failed again and again and is left alone for a while. */
  readonly state: 'working' | 'failing' | 'paused'
  /** Failures since the last success. */
  readonly failures: number
  readonly lastError: Error | null
  /** Keys in the cache. */
  readonly cached: number
}

/** A look-up at work: shared by all sessions of its generation. */
export interface Lookup<T = unknown> {
  /** In logs, counters and answers. */
  readonly name: string
  /** What it asks, for people: an address without its password, a file. */
  readonly describe: string
  /**
   * Asks for one key. `signal` ends the caller's waiting, not the look-up: the answer still fills the cache.
   * Rejects with `LOOKUP_FAILED`, `LOOKUP_TIMEOUT`, `LOOKUP_PAUSED` or `LOOKUP_VALUE` unless `onError` says otherwise.
   */
  find(key: string, signal: AbortSignal): MaybePromise<Found<T>>
  health(): LookupHealth
  /** For `check`: asks the source whether it could answer now, past the cache. Rejects with a coded error. */
  probe(signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

/** What a look-up is given to work with. */
export interface LookupEnvironment {
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
}

const MARK: unique symbol = Symbol.for('milterhost.lookup') as never

/** A look-up as the configuration describes it. */
export interface LookupEntry<T = unknown> {
  readonly [MARK]: 1
  readonly name: string
  readonly describe: string
  /** Makes it ready; does not wait for a server. Rejects with a coded error: a package or a file is missing. */
  open(environment: LookupEnvironment): Promise<Lookup<T>>
  /** Only where a program may change what is stored: `milterhost policy set`. */
  readonly edit?: (environment: LookupEnvironment) => Promise<PolicyStore>
}

/** A source of the central policy that can be written. Values are those of `switches.ts`. */
export interface PolicyStore {
  get(key: string): Promise<unknown>
  /** `null` takes the key away. Resolves when it is stored. */
  set(key: string, value: Readonly<Record<string, unknown>> | null): Promise<void>
  /** Every key with its value, in the order of the keys. */
  list(): AsyncIterable<readonly [key: string, value: unknown]>
  close(): Promise<void>
}

/** Marks an entry; the only way to make one. */
export const lookupEntry = <T>(entry: Omit<LookupEntry<T>, typeof MARK>): LookupEntry<T> => ({ [MARK]: 1, ...entry })

export const isLookupEntry = (value: unknown): value is LookupEntry =>
  typeof value === 'object' && value !== null && MARK in value

/** What a driver brings: how to ask its backend, and nothing else. */
export interface Source {
  /**
   * The raw value, or `null` when there is nothing under the key. Throws `KeyRefused` when it is the key that is wrong, anything
   * else when the backend cannot answer. `signal` is aborted when nobody needs the answer any more.
   */
  get(key: string, signal: AbortSignal): unknown
  /** Rejects when it could not answer now. */
  probe(signal: AbortSignal): MaybePromise<void>
  /** Of a table held in memory: when it was last read, milliseconds since 1970. */
  readAt?(): number
  close(): MaybePromise<void>
}

/** The backend works, but cannot make anything of this key: no reason to leave it alone for a while. */
export class KeyRefused extends Error {
  override readonly name = 'KeyRefused'
}
