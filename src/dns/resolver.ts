/**
 * The DNS that plugins get outside of tests: a stub resolver with a cache, for one process.
 *
 * It asks the site's own resolver and does no recursion and no validation of its own. Every look-up ends: with an
 * answer, with one of the codes that `Dns` promises, or with its signal. The composition root makes one, closes nothing, and gives it
 * the settings of each new configuration; what is in the cache stays true across them unless other servers are asked.
 */
import { randomInt } from 'node:crypto'
import type { DnsSettings } from '../host/config/settings.ts'
import type { Logger } from '../host/observe/logger.ts'
import { messageDns } from '../host/plugin/dns-share.ts'
import type { Dns } from '../host/plugin/services.ts'
import type { Clock } from '../host/time/clock.ts'
import type { Outcome, Records } from './answer.ts'
import { Cache, type Known } from './cache.ts'
import { DnsError, isDnsError } from './error.ts'
import { Exchange } from './exchange.ts'
import { Flights } from './flights.ts'
import { reverseName, wireName } from './name.ts'
import type { RecordType } from './query.ts'
import { ResolvConf, type Surroundings } from './servers.ts'

export interface ResolverOptions {
  readonly clock: Clock
  readonly log: Logger
  readonly settings: DnsSettings
  /** Where the servers are named that `settings` does not name. @default '/etc/resolv.conf' */
  readonly resolvConf?: string
  /** 0 to 65535, not to be guessed. @default from the system's secure source */
  readonly randomId?: () => number
}

export class Resolver implements Dns {
  readonly #clock: Clock
  readonly #resolvConf: ResolvConf
  readonly #exchange: Exchange
  readonly #flights = new Flights<Outcome>()
  #settings: DnsSettings
  #cache: Cache

  constructor({ clock, log, settings, resolvConf = '/etc/resolv.conf', randomId }: ResolverOptions) {
    this.#clock = clock
    this.#settings = settings
    this.#resolvConf = new ResolvConf(resolvConf, clock, log)
    this.#exchange = new Exchange(clock, randomId ?? (() => randomInt(0x1_0000)))
    this.#cache = new Cache(clock, settings.cache)
  }

  /** Look-ups that begin from now on go by these. */
  configure(settings: DnsSettings): void {
    const before = this.#settings
    this.#settings = settings
    const same = JSON.stringify([before.servers, before.cache]) === JSON.stringify([settings.servers, settings.cache])
    if (!same) this.#cache = new Cache(this.#clock, settings.cache)
  }

  a(name: string, signal?: AbortSignal): Promise<readonly string[]> {
    return this.#find(name, 'A', signal)
  }

  aaaa(name: string, signal?: AbortSignal): Promise<readonly string[]> {
    return this.#find(name, 'AAAA', signal)
  }

  mx(name: string, signal?: AbortSignal): Promise<readonly Records['MX'][]> {
    return this.#find(name, 'MX', signal)
  }

  txt(name: string, signal?: AbortSignal): Promise<readonly string[]> {
    return this.#find(name, 'TXT', signal)
  }

  async ptr(address: string, signal?: AbortSignal): Promise<readonly string[]> {
    const name = reverseName(address)
    if (name === null) throw new DnsError('EBADNAME', 'PTR', address, 'this is no address')
    return this.#find(name, 'PTR', signal)
  }

  forMessage(signal?: AbortSignal): Dns {
    const { messageLookups: lookups, messageTime: time } = this.#settings
    return messageDns(this, { clock: this.#clock, lookups, time, signal })
  }

  /** A name without a dot is looked for in the search domains; whoever means it as it is puts a dot at its end. */
  async #find<T extends RecordType>(
    given: string,
    type: T,
    signal: AbortSignal | undefined,
  ): Promise<readonly Records[T][]> {
    const name = wireName(given)
    if (name === null) throw new DnsError('EBADNAME', type, given)
    const around = await this.#surroundings()
    if (signal?.aborted) throw new DnsError('ECANCELLED', type, given)
    const names = given.includes('.') ? [name] : [...around.search.map(domain => `${name}.${domain}`), name]
    for (const [index, candidate] of names.entries()) {
      const known = await this.#known(candidate, type, around, signal)
      if (known.kind === 'records') return known.records as readonly Records[T][]
      if (index === names.length - 1 || known.kind === 'failure' || known.code === 'EMSGSIZE')
        throw new DnsError(known.code, type, given)
    }
    throw new DnsError('ENOTFOUND', type, given)
  }

  #surroundings(): Surroundings | Promise<Surroundings> {
    const { servers, search } = this.#settings
    if (servers !== null && search !== null) return { servers, search }
    const found = this.#resolvConf.current()
    const merge = (conf: Surroundings): Surroundings => ({
      servers: servers ?? conf.servers,
      // Servers of the configuration know nothing of this machine's own domains.
      search: search ?? (servers === null ? conf.search : []),
    })
    return found instanceof Promise ? found.then(merge) : merge(found)
  }

  async #known(
    name: string,
    type: RecordType,
    { servers }: Surroundings,
    signal: AbortSignal | undefined,
  ): Promise<Known> {
    const cache = this.#cache
    const key = `${type} ${name}`
    const known = cache.get(key)
    if (known !== undefined) return known
    try {
      return await this.#flights.join(key, signal, async ended => {
        const outcome = await this.#exchange.ask(name, type, servers, this.#settings, ended)
        cache.put(key, outcome)
        return outcome
      })
    } catch (error) {
      if (!isDnsError(error)) throw error
      const failure = { kind: 'failure', code: error.code } as const
      if (error.code !== 'ECANCELLED') cache.put(key, failure)
      return failure
    }
  }
}
