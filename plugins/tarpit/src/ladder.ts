/**
 * Who is known, who is put off, and who has earned a place: on the ladder of the greylist where one runs, else in the tarpit's own file.
 *
 * The greylist is found by the name of its service, so that neither plugin imports the other; it is asked anew each time, since it
 * may stand before or after. What it throws is logged and counts as not known. Departures are always the tarpit's own.
 */
import { type Client, type Host, type ServiceKey, serviceKey } from 'milterhost/plugin'
import { customerOf, plainAddress } from './address.ts'
import type { Options } from './read-options.ts'
import type { Store } from './store.ts'

export interface Who {
  readonly client: Client
  readonly helo: string | null
  readonly sender: string
  readonly recipient: string
}

/** As `milter-plugin-greylist` provides it. */
interface Ladder {
  standing(who: Who, signal: AbortSignal): Promise<'unknown' | 'pending' | 'passed' | 'known'>
  credit(who: Who, by: string): Promise<void>
  greylist(who: Who, signal: AbortSignal): Promise<{ readonly pass: boolean; readonly retryAfter: number }>
}

const LADDER: ServiceKey<Ladder> = serviceKey<Ladder>('greylist.ladder')

export class Standing {
  readonly #host: Host
  readonly #store: Store
  readonly #options: Pick<Options, 'failedFor' | 'life' | 'greylist'>

  constructor(host: Host, store: Store, options: Pick<Options, 'failedFor' | 'life' | 'greylist'>) {
    this.#host = host
    this.#store = store
    this.#options = options
  }

  /** It has passed before, here or at the greylist. */
  async isKnown(who: Who, signal: AbortSignal): Promise<boolean> {
    const customer = customerOf(who.client.address)
    const mark = this.#store.get('passed', customer)
    if (mark !== null) {
      const now = this.#now()
      this.#store.put('passed', { ...mark, last: now, expires: now + this.#options.life }, customer)
      return true
    }
    const standing = await this.#ask('unknown', ladder => ladder.standing(who, signal))
    return standing === 'passed' || standing === 'known'
  }

  hasFailed({ address }: Client): boolean {
    return this.#store.get('failed', plainAddress(address)) !== null
  }

  fail({ address }: Client): void {
    const now = this.#now()
    const key = plainAddress(address)
    const before = this.#store.get('failed', key)
    const mark = { first: before?.first ?? now, last: now, count: (before?.count ?? 0) + 1 }
    this.#store.put('failed', { ...mark, expires: now + this.#options.failedFor }, key)
  }

  /** It waited: what it failed before is forgotten. */
  async credit(who: Who): Promise<void> {
    this.#store.remove('failed', plainAddress(who.client.address))
    const ladder = this.#host.service(LADDER)
    if (ladder === undefined) this.#pass(who.client)
    else await this.#ask(undefined, () => ladder.credit(who, this.#host.name))
  }

  /** Whether it may pass now, because it came again in time. */
  async greylist(who: Who, signal: AbortSignal): Promise<boolean> {
    const own = { pass: false, retryAfter: 0 }
    if (this.#host.service(LADDER) !== undefined)
      return (await this.#ask(own, ladder => ladder.greylist(who, signal))).pass
    return this.#ownGreylist(who)
  }

  #ownGreylist({ client, sender, recipient }: Who): boolean {
    const { wait, window } = this.#options.greylist
    const now = this.#now()
    const key = [customerOf(client.address), sender.toLowerCase(), recipient.toLowerCase()]
    const mark = this.#store.get('grey', ...key)
    // A clock that was set back: the attempt is as old as nothing.
    const age = mark === null ? null : Math.max(0, now - mark.first)
    if (mark !== null && age !== null && age >= wait && age <= window) {
      this.#store.remove('grey', ...key)
      this.#pass(client)
      return true
    }
    const first = mark === null || age === null || age > window ? now : Math.min(mark.first, now)
    this.#store.put('grey', { first, last: now, count: (mark?.count ?? 0) + 1, expires: first + window }, ...key)
    return false
  }

  #pass(client: Client): void {
    const now = this.#now()
    const customer = customerOf(client.address)
    const before = this.#store.get('passed', customer)
    const mark = { first: before?.first ?? now, last: now, count: (before?.count ?? 0) + 1 }
    this.#store.put('passed', { ...mark, expires: now + this.#options.life }, customer)
  }

  async #ask<T>(otherwise: T, call: (ladder: Ladder) => Promise<T>): Promise<T> {
    const ladder = this.#host.service(LADDER)
    if (ladder === undefined) return otherwise
    try {
      return await call(ladder)
    } catch (error) {
      this.#host.log.warn({ error: String(error) }, 'the greylist could not be asked')
      return otherwise
    }
  }

  #now(): number {
    return this.#host.clock.now()
  }
}
