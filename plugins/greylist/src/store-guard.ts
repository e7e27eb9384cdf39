/**
 * The store as the engine uses it: with a time limit, a breaker, and what is done when it is down.
 *
 * What always holds: a call ends within its limit, whatever the store does; while the breaker is open no call waits for the
 * store at all; with `local` the embedded store answers meanwhile, and what it learned goes into the store when that is
 * back, in batches, each mark once; a client that has gone is no failure of the store. What becomes of the mail when
 * there is no store is the engine's to say: it gets a `StoreDown`.
 */
import { Breaker } from './breaker.ts'
import type { EmbeddedStore } from './embedded.ts'
import type { Entry, Problem, Store } from './store.ts'

/** No store could be asked. `message` says why. */
export class StoreDown extends Error {
  readonly code = 'GREYLIST_STORE_DOWN'
}

/** The part of the embedded store that stands in while another one is down. */
export type LocalStore = Store & Pick<EmbeddedStore, 'remove' | 'adoptSecret'>

export interface GuardOptions {
  readonly store: Store
  /** Answers while `store` is down; `null`: nobody does. */
  readonly local: LocalStore | null
  /** Milliseconds that one call may take. */
  readonly limit: number
  readonly problem: Problem
  readonly note: Problem
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Milliseconds, never going back. */
  readonly monotonic?: () => number
  readonly after?: (milliseconds: number, call: () => void) => () => void
}

/** Five failures in ten seconds; then a probe each five seconds. */
const BREAKER = { failures: 5, within: 10_000, probeEvery: 5_000 }

const BATCH = 500

/** Milliseconds until marks that could not be merged are tried again. */
const MERGE_AGAIN = 30_000

const realTimer = (milliseconds: number, call: () => void): (() => void) => {
  const timer = setTimeout(call, milliseconds).unref()
  return () => clearTimeout(timer)
}

export class StoreGuard {
  readonly #options: GuardOptions
  readonly #breaker: Breaker
  readonly #after: (milliseconds: number, call: () => void) => () => void
  readonly #monotonic: () => number
  #merging: Promise<void> | null = null
  /** From when on marks may be lying in the local store; `null`: there are none. Milliseconds of the monotonic clock. */
  #mergeFrom: number | null = 0
  #closed = false

  constructor(options: GuardOptions) {
    const { store, monotonic = () => performance.now(), after = realTimer } = options
    this.#options = options
    this.#after = after
    this.#monotonic = monotonic
    this.#breaker = new Breaker({
      ...BREAKER,
      now: monotonic,
      after,
      probe: () =>
        this.#attempt(() => store.probe()).then(
          () => true,
          () => false,
        ),
      changed: state => this.#changed(state),
    })
  }

  /** Whether the store is being left alone. */
  get down(): boolean {
    return this.#breaker.open
  }

  /** The name of the store, and what it was asked. Rejects with `StoreDown`, or with the signal's reason. */
  async run<T>(
    call: (store: Store) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<{ readonly value: T; readonly store: string }> {
    const { store, local, problem } = this.#options
    let failure: unknown = new Error('the store has failed repeatedly and is left alone for now')
    if (!this.#breaker.open) {
      try {
        const value = await this.#attempt(() => call(store))
        this.#breaker.succeeded()
        if (this.#mergeFrom !== null && this.#monotonic() >= this.#mergeFrom) this.#mergeBack()
        return { value, store: store.name }
      } catch (error) {
        if (signal?.aborted) throw signal.reason
        failure = error
        problem({ store: store.name, error: messageOf(error) }, 'the greylist store failed')
        this.#breaker.failed()
      }
    }
    if (local === null) throw new StoreDown(messageOf(failure))
    try {
      const value = await this.#attempt(() => call(local))
      this.#mergeFrom ??= 0
      return { value, store: `${local.name} for ${store.name}` }
    } catch (error) {
      if (signal?.aborted) throw signal.reason
      problem({ store: local.name, error: messageOf(error) }, 'the greylist store that stands in failed too')
      throw new StoreDown(messageOf(error))
    }
  }

  /** The secret all marks are made with; the local store remembers it for the time when only that one can be asked. */
  async secret(): Promise<Uint8Array> {
    const { store, local } = this.#options
    const { value, store: from } = await this.run(asked => asked.secret())
    if (local !== null && from === store.name) await local.adoptSecret(value)
    return value
  }

  /** Waits for what is under way; both stores are closed. */
  async close(): Promise<void> {
    this.#closed = true
    this.#breaker.end()
    await this.#merging
    const { store, local } = this.#options
    await Promise.allSettled([store.close(), local?.close()])
  }

  async #attempt<T>(call: () => Promise<T>): Promise<T> {
    const { limit } = this.#options
    const late = Promise.withResolvers<never>()
    const cancel = this.#after(limit, () => late.reject(new Error(`no answer in ${limit} ms`)))
    try {
      return await Promise.race([call(), late.promise])
    } finally {
      cancel()
    }
  }

  #changed(state: 'open' | 'closed'): void {
    const { store, local, problem, note } = this.#options
    if (state === 'open')
      problem(
        { store: store.name, instead: local?.name ?? null },
        'the greylist store is down: it is left alone until it works again',
      )
    else {
      note({ store: store.name }, 'the greylist store works again')
      this.#mergeBack()
    }
  }

  /** What was learned while the store was down, and in an earlier run. */
  #mergeBack(): void {
    const { local } = this.#options
    this.#mergeFrom = null
    if (local === null || this.#merging !== null || this.#closed) return
    this.#merging = this.#merge(local).finally(() => {
      this.#merging = null
    })
  }

  async #merge(local: LocalStore): Promise<void> {
    const { store, now, problem, note } = this.#options
    let merged = 0
    let batch: Entry[] = []
    const flush = async (): Promise<void> => {
      if (batch.length === 0) return
      await this.#attempt(() => store.merge(batch, now()))
      await local.remove(batch)
      merged += batch.length
      batch = []
    }
    try {
      for await (const entry of local.entries(now())) {
        if (this.#closed) return
        batch.push(entry)
        if (batch.length >= BATCH) await flush()
      }
      await flush()
      if (merged > 0)
        note({ store: store.name, merged }, 'what was greylisted while the store was down has been merged')
    } catch (error) {
      this.#mergeFrom = this.#monotonic() + MERGE_AGAIN
      problem(
        { store: store.name, merged, error: messageOf(error) },
        'merging into the greylist store failed, later again',
      )
    }
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
