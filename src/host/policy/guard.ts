/**
 * The engine around a source: cache, one call a key at a time, deadline, breaker, types, counters, and what a failure means.
 *
 * Written once for every kind of source, and pure but for the clock it is given. What holds: a caller waits no longer than
 * the deadline or its own signal; callers with the same key share one call; an answer that comes after its caller has gone still
 * fills the cache; a key that no source can have is never sent to one, so that a client cannot make a backend fail.
 */
import { HostError, hostError } from '../errors.ts'
import type { MaybePromise } from '../filter.ts'
import { JunkFilter } from '../observe/junk.ts'
import type { Schema, SchemaResult } from '../plugin/schema.ts'
import type { Counter } from '../plugin/services.ts'
import { describeThrown } from '../plugin/thrown.ts'
import { Breaker } from './breaker.ts'
import { LookupCache } from './cache.ts'
import {
  type Found,
  KeyRefused,
  type Lookup,
  type LookupEntry,
  type LookupEnvironment,
  type LookupHealth,
  lookupEntry,
  type Source,
} from './lookup.ts'
import type { LookupSettings } from './lookup-options.ts'

/** Longest key: an address has at most 256 octets (RFC 5321 §4.5.3.1.3), a name 255. */
const LONGEST_KEY = 512

type Result = 'cache' | 'found' | 'none' | 'stale' | 'onError' | 'failed' | 'unaskable'

export class GuardedLookup<T> implements Lookup<T> {
  readonly name: string
  readonly describe: string
  readonly #settings: LookupSettings<T>
  readonly #source: Source
  readonly #around: LookupEnvironment
  readonly #cache: LookupCache<T> | null
  readonly #breaker: Breaker
  readonly #underway = new Map<string, Promise<Found<T>>>()
  readonly #closing = new AbortController()
  readonly #results: Counter
  readonly #labels = new Map<Result, Readonly<Record<string, string>>>()
  readonly #junk: JunkFilter
  #lastError: Error | null = null

  constructor(describe: string, settings: LookupSettings<T>, source: Source, around: LookupEnvironment) {
    this.name = settings.name
    this.describe = describe
    this.#settings = settings
    this.#source = source
    this.#around = around
    this.#cache = settings.cache === null ? null : new LookupCache(settings.cache)
    this.#breaker = new Breaker(settings.breaker)
    this.#results = around.metrics.counter('milterhost_lookups_total', 'Look-ups, by how they were answered')
    this.#junk = new JunkFilter(around.clock)
  }

  find(key: string, signal: AbortSignal): MaybePromise<Found<T>> {
    if (!isAskable(key)) {
      this.#count('unaskable')
      return this.#found(key, null, 'source', 0)
    }
    const cached = this.#cache?.fresh(key, this.#around.clock.monotonic())
    if (cached !== undefined) {
      this.#count('cache')
      return this.#found(key, cached.value, 'cache', this.#around.clock.monotonic() - cached.at)
    }
    if (signal.aborted) return Promise.reject(signal.reason)
    const answer = this.#underway.get(key) ?? this.#ask(key)
    return answer instanceof Promise ? waitFor(answer, signal) : answer
  }

  health(): LookupHealth {
    const { failures } = this.#breaker
    const state = this.#breaker.isPaused(this.#around.clock.monotonic())
      ? 'paused'
      : failures > 0
        ? 'failing'
        : 'working'
    return { state, failures, lastError: this.#lastError, cached: this.#cache?.size ?? 0 }
  }

  async probe(signal: AbortSignal): Promise<void> {
    try {
      await this.#bounded(ours => waitFor(Promise.resolve(this.#source.probe(ours)), signal), new AbortController())
    } catch (thrown) {
      throw thrown === signal.reason ? thrown : this.#coded(thrown)
    }
  }

  async close(): Promise<void> {
    this.#closing.abort(hostError('LOOKUP_FAILED', this.name, 'it is being closed'))
    this.#cache?.clear()
    await this.#source.close()
  }

  #ask(key: string): MaybePromise<Found<T>> {
    if (!this.#breaker.admit(this.#around.clock.monotonic())) {
      const why = this.#lastError?.message ?? ''
      return this.#afterError(key, hostError('LOOKUP_PAUSED', this.name, this.#breaker.failures, why))
    }
    // What lies in memory answers at once, and has no use for a signal of its own.
    const controller = this.#source.readAt === undefined ? new AbortController() : null
    let raw: unknown
    try {
      raw = this.#source.get(key, (controller ?? this.#closing).signal)
      if (!(raw instanceof Promise)) {
        const value = this.#typed(key, raw)
        if (!(value instanceof Promise)) return this.#answered(key, value)
        raw = value
      }
    } catch (thrown) {
      return this.#failed(key, thrown)
    }
    const pending = this.#awaited(key, raw as Promise<unknown>, controller ?? new AbortController()).finally(() =>
      this.#underway.delete(key),
    )
    this.#underway.set(key, pending)
    return pending
  }

  async #awaited(key: string, raw: Promise<unknown>, controller: AbortController): Promise<Found<T>> {
    let value: T | null
    try {
      value = await this.#bounded(async () => this.#typed(key, await raw), controller)
    } catch (thrown) {
      return this.#failed(key, thrown)
    }
    return this.#answered(key, value)
  }

  /** Runs it against the deadline; its signal is aborted when that has passed or the look-up is closed. */
  async #bounded<R>(run: (signal: AbortSignal) => Promise<R>, controller: AbortController): Promise<R> {
    const { clock } = this.#around
    const { timeout } = this.#settings
    const closing = this.#closing.signal
    const { promise, reject } = Promise.withResolvers<never>()
    const end = (reason: Error): void => {
      reject(reason)
      controller.abort(reason)
    }
    const onClose = (): void => end(closing.reason as Error)
    const cancel = clock.after(timeout, () => end(hostError('LOOKUP_TIMEOUT', this.name, timeout / 1000)))
    if (closing.aborted) onClose()
    closing.addEventListener('abort', onClose, { once: true })
    try {
      return await Promise.race([run(controller.signal), promise])
    } finally {
      cancel()
      closing.removeEventListener('abort', onClose)
    }
  }

  #typed(key: string, raw: unknown): MaybePromise<T | null> {
    if (raw === null || raw === undefined) return null
    const { schema } = this.#settings
    if (schema === null) return raw as T
    const result = (schema as Schema<unknown, T>)['~standard'].validate(raw)
    return result instanceof Promise ? result.then(done => this.#checked(key, done)) : this.#checked(key, result)
  }

  #checked(key: string, result: SchemaResult<T>): T {
    if (result.issues === undefined) return result.value
    const what = result.issues.map(({ message }) => message).join('; ')
    throw hostError('LOOKUP_VALUE', this.name, key, what)
  }

  #answered(key: string, value: T | null): Found<T> {
    this.#works()
    const now = this.#around.clock.monotonic()
    this.#cache?.put(key, { value, at: now })
    this.#count(value === null ? 'none' : 'found')
    const readAt = this.#source.readAt?.()
    return this.#found(key, value, 'source', readAt === undefined ? 0 : this.#around.clock.now() - readAt)
  }

  #works(): void {
    this.#lastError = null
    if (this.#breaker.succeeded()) this.#around.log.info({ lookup: this.name }, 'a look-up works again')
  }

  #failed(key: string, thrown: unknown): MaybePromise<Found<T>> {
    const error = this.#coded(thrown)
    if (thrown instanceof KeyRefused || error.code === 'LOOKUP_VALUE') {
      // It answered, whatever that is worth: the backend itself works.
      this.#works()
      return this.#afterError(key, error)
    }
    this.#lastError = error
    if (this.#breaker.failed(this.#around.clock.monotonic())) {
      const { failures } = this.#breaker
      const pause = this.#settings.breaker.pause / 1000
      this.#say('pause', { failures, pause, error: error.message }, 'a look-up failed again and again and pauses')
    }
    return this.#afterError(key, error)
  }

  #afterError(key: string, error: HostError): MaybePromise<Found<T>> {
    const { onError } = this.#settings
    const { clock } = this.#around
    if (onError === 'stale') {
      const cached = this.#cache?.stale(key, clock.monotonic())
      if (cached !== undefined) {
        this.#say('stale', { error: error.message }, 'a look-up failed: an old answer serves')
        this.#count('stale')
        return { ...this.#found(key, cached.value, 'stale', clock.monotonic() - cached.at), error }
      }
    } else if (onError !== 'fail') {
      this.#say('onError', { error: error.message }, 'a look-up failed: onError serves')
      this.#count('onError')
      return { ...this.#found(key, onError === 'none' ? null : onError.value, 'onError', 0), error }
    }
    this.#count('failed')
    return Promise.reject(error)
  }

  /** Failures go to whoever asked; only what would else go unseen is logged here, and not a line for each mail. */
  #say(kind: string, fields: object, message: string): void {
    const unsaid = this.#junk.admit(kind)
    if (unsaid === null) return
    this.#around.log.warn({ lookup: this.name, ...fields, ...(unsaid > 0 ? { unsaid } : {}) }, message)
  }

  #coded(thrown: unknown): HostError {
    if (thrown instanceof HostError) return thrown
    return hostError('LOOKUP_FAILED', this.name, wordsOf(thrown))
  }

  #found(key: string, value: T | null, from: Found<T>['from'], age: number): Found<T> {
    return { value, key, source: this.name, from, age }
  }

  #count(result: Result): void {
    let labels = this.#labels.get(result)
    if (labels === undefined) {
      labels = Object.freeze({ lookup: this.name, result })
      this.#labels.set(result, labels)
    }
    this.#results.add(1, labels)
  }
}

/** One line of valid text, not too long. Databases refuse some of the rest (PostgreSQL: U+0000), and no source can have it as a key. */
const isAskable = (key: string): boolean =>
  key !== '' && key.length <= LONGEST_KEY && !/[\0-\x1f\x7f]/.test(key) && key.isWellFormed()

/** A backend's own words. Where it is the code that is wrong, as in a function of the configuration, also the line. */
function wordsOf(thrown: unknown): string {
  // Several addresses were tried (a name with IPv4 and IPv6): Node puts no words into the error of them all.
  if (thrown instanceof AggregateError && thrown.message === '') return wordsOf(thrown.errors[0])
  const isPlain = thrown instanceof Error && typeof thrown.message === 'string' && thrown.message !== ''
  return isPlain && !/^(?:Type|Reference|Range|Syntax)Error$/.test(thrown.name)
    ? thrown.message
    : describeThrown(thrown)
}

/** The answer, or the reason of the caller's signal when that comes first. */
async function waitFor<R>(answer: Promise<R>, signal: AbortSignal): Promise<R> {
  signal.throwIfAborted()
  const { promise, reject } = Promise.withResolvers<never>()
  const onAbort = (): void => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([answer, promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** The entry of a source behind this engine; `open` makes the source ready and does not wait for a server. */
export const guardedEntry = <T>(
  describe: string,
  settings: LookupSettings<T>,
  open: (around: LookupEnvironment) => MaybePromise<Source>,
  edit?: LookupEntry<T>['edit'],
): LookupEntry<T> =>
  lookupEntry<T>({
    name: settings.name,
    describe,
    open: async around => new GuardedLookup(describe, settings, await open(around), around),
    ...(edit === undefined ? {} : { edit }),
  })
