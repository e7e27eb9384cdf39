/**
 * What a plugin's `setup` is given: its own view of the host's services.
 *
 * Everything that a test has to replace comes from here and from the events: a plugin that takes its time from `clock` and its
 * answers from `dns` can be tested without waiting and without a network.
 */
import type { FilterEnvironment } from '../config/entry.ts'
import { hostError } from '../errors.ts'
import type { MaybePromise } from '../filter.ts'
import type { Logger } from '../observe/logger.ts'
import type { Counter, Dns } from './services.ts'
import { type ServiceKey, SharedServices } from './shared.ts'
import { describeThrown } from './thrown.ts'

/** The host's services, given to `setup`. */
export interface Host {
  /** The filter's name in this configuration. Two entries of one plugin have two. */
  readonly name: string
  /** Every line carries the filter's name. `event.log` also carries session and message. */
  readonly log: Logger
  /**
   * The configuration is only tried out, against recorded mail or beside the one that serves: keep what is learned in a state file of
   * the default place, which is one of its own then, and write to nothing that others use. `false` when it serves.
   */
  readonly rehearsal: boolean
  /** Look-ups that take a signal: `host.dns.txt(name, event.signal)`. */
  readonly dns: Dns
  /** `now()`: milliseconds since 1970. */
  readonly clock: { now(): number }
  /** A number for the metrics; `name` becomes `milterhost_<plugin>_<name>`. @example host.counter('deferred_total', 'Recipients deferred') */
  counter(name: string, help: string): Counter
  /**
   * Offers other plugins of this configuration a service, from `setup` on. When two filters offer the same key, the first in
   * the order of `filters` is found; the second is told in the log.
   */
  provide<T>(key: ServiceKey<T>, value: T): void
  /**
   * What another plugin of this configuration offers, or `undefined`. In `setup` only filters that stand before are
   * there already: ask in a hook, and each time, when the order must not matter.
   */
  service<T>(key: ServiceKey<T>): T | undefined
  /** A probe that throws when the plugin could not work now. `milterhost check` and readiness run it. */
  health(name: string, probe: (signal: AbortSignal) => MaybePromise<void>): void
  /** Runs when the plugin is not used any more: after its last session, the last registered first. */
  onClose(close: () => MaybePromise<void>): void
}

export class PluginHost implements Host {
  readonly name: string
  readonly log: Logger
  readonly rehearsal: boolean
  readonly dns: Dns
  readonly clock: { now(): number }
  readonly #plugin: string
  readonly #environment: FilterEnvironment
  readonly #shared: SharedServices
  readonly #probes = new Map<string, (signal: AbortSignal) => MaybePromise<void>>()
  readonly #closers: (() => MaybePromise<void>)[] = []

  constructor(plugin: string, environment: FilterEnvironment) {
    this.#plugin = plugin
    this.#environment = environment
    this.#shared = environment.shared ?? new SharedServices()
    this.name = environment.policy.name
    this.log = environment.log
    this.rehearsal = environment.rehearsal ?? false
    this.dns = environment.services.dns
    const { clock } = environment
    this.clock = { now: () => clock.now() }
  }

  counter(name: string, help: string): Counter {
    const counter = this.#environment.services.metrics.counter(`milterhost_${this.#plugin}_${name}`, help)
    return { add: (amount = 1, labels = {}) => counter.add(amount, { ...labels, filter: this.name }) }
  }

  provide<T>(key: ServiceKey<T>, value: T): void {
    if (value === undefined) throw hostError('PLUGIN_ARGUMENT', this.name, 'provide', `${key.name} has no value`)
    const by = this.#shared.provide(key, value, this.name)
    if (by !== null) this.log.warn({ service: key.name, by }, 'another filter already provides this service')
  }

  service<T>(key: ServiceKey<T>): T | undefined {
    return this.#shared.get(key)
  }

  health(name: string, probe: (signal: AbortSignal) => MaybePromise<void>): void {
    this.#probes.set(name, probe)
  }

  onClose(close: () => MaybePromise<void>): void {
    this.#closers.push(close)
  }

  /** Runs every health probe; throws `PLUGIN_UNHEALTHY` at the first that fails. Names of those that passed. */
  async probe(signal: AbortSignal): Promise<readonly string[]> {
    for (const [name, probe] of this.#probes) {
      try {
        await abortable(Promise.resolve(probe(signal)), signal)
      } catch (thrown) {
        throw hostError('PLUGIN_UNHEALTHY', this.name, name, describeThrown(thrown))
      }
    }
    return [...this.#probes.keys()]
  }

  async close(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) {
      try {
        await close()
      } catch (thrown) {
        this.log.error({ error: describeThrown(thrown) }, 'a plugin failed while it was closed')
      }
    }
  }
}

/** The promise, or a rejection as soon as the signal is aborted. */
async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = (): void => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
