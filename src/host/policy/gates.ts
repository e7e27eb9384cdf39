/**
 * The gates of one generation: made when its filters are, closed when they are.
 *
 * Opens each look-up that conditions, users or policy name once. Entries without any of these have no gate.
 */
import type { EntryPolicy } from '../config/entry.ts'
import type { Logger } from '../observe/logger.ts'
import type { Services } from '../plugin/services.ts'
import type { Clock } from '../time/clock.ts'
import { type Condition, wantsOf } from './condition.ts'
import type { FactServices, Load } from './facts.ts'
import { Gate } from './gate.ts'
import type { Lookup, LookupEntry } from './lookup.ts'
import { OpenedLookups } from './opened.ts'
import { type CentralPolicy, PolicySource, usersCondition } from './users.ts'

export interface GateEnvironment {
  readonly clock: Clock
  readonly log: Logger
  readonly services: Services
  /** How busy this host is; nothing is going on where it is not known. */
  readonly busy?: () => Load
}

const IDLE: Load = { sessions: 0, limit: null, perProcessor: 0 }

/** What an entry has beside its own conditions. */
const OPEN = { when: null, users: null, recipients: 'any', mixed: 'apply' } as const

export class Gates {
  readonly #services: FactServices
  readonly #opened = new Map<LookupEntry, Lookup>()
  readonly #policy: PolicySource | null
  #closing: Promise<void> | null = null

  constructor({ clock, log, services, busy = () => IDLE }: GateEnvironment, policy: CentralPolicy | null) {
    const lookups = new OpenedLookups({ clock, log, metrics: services.metrics })
    this.#services = { now: () => clock.now(), load: busy, dns: services.dns, lookups, opened: this.#opened }
    this.#policy = policy === null ? null : new PolicySource(policy)
  }

  /** Rejects with a coded error when a look-up cannot be made ready. */
  async gateOf({ name, selection }: EntryPolicy): Promise<Gate | null> {
    if (selection === undefined && this.#policy === null) return null
    const chosen = selection ?? OPEN
    // `recipients` and `mixed` alone choose nobody.
    if (chosen.when === null && chosen.users === null && this.#policy === null) return null
    const options = new WeakMap()
    const more: Condition[] = []
    if (this.#policy !== null) more.push(this.#policy.condition(name, options))
    if (chosen.users !== null) more.push(usersCondition(chosen.users, options))
    const parts = [...(chosen.when === null ? [] : [chosen.when]), ...more]
    const lookups = await Promise.all(parts.flatMap(part => wantsOf(part).lookups).map(entry => this.#open(entry)))
    const close = (): Promise<void> => this.close()
    return new Gate({ selection: chosen, more, services: this.#services, options, lookups, close })
  }

  close(): Promise<void> {
    this.#closing ??= this.#services.lookups.close()
    return this.#closing
  }

  async #open(entry: LookupEntry): Promise<Lookup> {
    const lookup = await this.#services.lookups.open(entry)
    this.#opened.set(entry, lookup)
    return lookup
  }
}
