/**
 * A store that only looks: what it would decide, by the same rules, of what another store holds now.
 *
 * `check` gives it to the engine, so that what is explained is what would be answered, and nothing is remembered.
 */
import type { CommandCall } from 'milterhost/plugin'
import { decide } from '../decide.ts'
import type { Decision, Question, Seen, Store } from '../store.ts'
import { StoreGuard } from '../store-guard.ts'
import type { Opened } from './open.ts'

export class PreviewStore implements Store {
  readonly name: string
  readonly #store: Store
  /** What the last question was answered from. */
  seen: Seen | null = null

  constructor(store: Store) {
    this.name = store.name
    this.#store = store
  }

  secret(): Promise<Uint8Array> {
    return this.#store.secret()
  }

  async check(question: Question, signal?: AbortSignal): Promise<Decision> {
    return decide(await this.look(question, signal), question.policy, question.now).decision
  }

  async look(question: Parameters<Store['look']>[0], signal?: AbortSignal): Promise<Seen> {
    this.seen = await this.#store.look(question, signal)
    return this.seen
  }

  entries(now: number): ReturnType<Store['entries']> {
    return this.#store.entries(now)
  }

  stats(): ReturnType<Store['stats']> {
    return this.#store.stats()
  }

  probe(signal?: AbortSignal): Promise<void> {
    return this.#store.probe(signal)
  }

  async note(): Promise<void> {}
  async credit(): Promise<void> {}
  async pass(): Promise<void> {}
  async trap(): Promise<void> {}
  async count(): Promise<void> {}
  async close(): Promise<void> {}

  async forget(): Promise<number> {
    return 0
  }

  async merge(): Promise<number> {
    return 0
  }
}

/** The preview as the engine takes it. */
export const previewGuard = (
  call: CommandCall,
  { options }: Pick<Opened, 'options'>,
  store: PreviewStore,
): StoreGuard =>
  new StoreGuard({
    store,
    local: null,
    limit: options.limits.storeTime,
    problem: (fields, message) => call.complain(`${message}: ${JSON.stringify(fields)}`),
    note: () => {},
    now: () => call.clock.now(),
  })
