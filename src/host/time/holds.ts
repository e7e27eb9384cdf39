/**
 * The clients that are made to wait now, over all sessions: who may be held, and how a hold ends.
 *
 * A held client keeps a process of the MTA busy, which has few of them (Postfix 100). So there is a limit to holds at once, to
 * those of one client and of one network, and none begins while many sessions are open: then the oldest end instead, one for
 * each session that comes. A hold ends when its time is over, when its signal is aborted, when room is needed, or at shutdown,
 * and then nothing of it is left. The daemon has one of these for all its generations; time is passed in. It knows nothing of
 * filters, of the MTA's patience (`chain/budget.ts`), or of how a client is seen to leave.
 */
import type { HoldSettings } from '../config/settings.ts'
import { described } from '../errors.ts'
import type { Client } from '../events.ts'
import type { AbortReason, HoldOutcome } from '../filter.ts'
import type { Clock } from './clock.ts'
import { type Origin, originOf } from './origin.ts'

/** Holds at once; `stress` is the number of sessions from which on nothing is held. */
export interface HoldLimits {
  readonly max: number
  readonly perClient: number
  readonly perNetwork: number
  readonly stress: number
}

export interface HoldRequest {
  /** `null` for an MTA that told none. */
  readonly client: Client | null
  /** Told why the hold is refused, where a limit is the reason. */
  notHeld(why: ReturnType<typeof described>): void
}

/** What a session needs of it. */
export interface HoldKeeper {
  /** Ends with the signal, which is aborted with an `AbortReason`. Never rejects. */
  hold(request: HoldRequest, milliseconds: number, signal: AbortSignal): Promise<HoldOutcome>
  /** True the first time it is asked this since the configuration was read: for what is to be said once. */
  isFirst(what: string): boolean
}

/** When the MTA does not say how many processes it has. */
const DEFAULT_MAX = 50

/**
 * The limits as they are meant. `processes`: how many sessions the MTA can have at once, `null` when that is not known.
 */
export function holdLimits(given: HoldSettings, sessions: number, processes: number | null): HoldLimits {
  const { perClient, perNetwork, stress } = given
  const capacity = Math.min(sessions, processes ?? sessions)
  return {
    max: given.max ?? (processes === null ? DEFAULT_MAX : Math.max(1, Math.floor(processes / 2))),
    perClient,
    perNetwork,
    stress: stress <= 1 ? Math.ceil(stress * capacity) : stress,
  }
}

/** One of them. A class and no closures: there may be ten thousand. */
class Hold {
  readonly origin: Origin | null
  readonly #holds: Set<Hold>
  readonly #signal: AbortSignal
  readonly #resolve: (outcome: HoldOutcome) => void
  readonly #released: (origin: Origin | null) => void
  cancel: () => void = () => {}

  constructor(
    origin: Origin | null,
    holds: Set<Hold>,
    signal: AbortSignal,
    resolve: (outcome: HoldOutcome) => void,
    released: (origin: Origin | null) => void,
  ) {
    this.origin = origin
    this.#holds = holds
    this.#signal = signal
    this.#resolve = resolve
    this.#released = released
    holds.add(this)
    signal.addEventListener('abort', this, { once: true })
  }

  handleEvent(): void {
    this.end(endedBy(this.#signal))
  }

  end(outcome: HoldOutcome): void {
    if (!this.#holds.delete(this)) return
    this.cancel()
    this.#signal.removeEventListener('abort', this)
    this.#released(this.origin)
    this.#resolve(outcome)
  }
}

export class Holds implements HoldKeeper {
  readonly #clock: Clock
  readonly #sessions: () => number
  #limits: HoldLimits
  /** The oldest first. */
  readonly #open = new Set<Hold>()
  readonly #perClient = new Map<string, number>()
  readonly #perNetwork = new Map<string, number>()
  readonly #said = new Set<string>()
  #ended = false

  /** `sessions`: how many SMTP connections are open now. */
  constructor(clock: Clock, limits: HoldLimits, sessions: () => number) {
    this.#clock = clock
    this.#limits = limits
    this.#sessions = sessions
  }

  /** Clients held now. */
  get size(): number {
    return this.#open.size
  }

  /** Other limits, for those that come. */
  change(limits: HoldLimits): void {
    this.#limits = limits
    this.#said.clear()
  }

  isFirst(what: string): boolean {
    return this.#said.size < this.#said.add(what).size
  }

  hold(request: HoldRequest, milliseconds: number, signal: AbortSignal): Promise<HoldOutcome> {
    if (signal.aborted) return Promise.resolve(endedBy(signal))
    if (this.#ended) return Promise.resolve('refused')
    const { client } = request
    const origin = client === null ? null : originOf(client)
    const full = this.#noRoomFor(origin)
    if (full !== null) {
      request.notHeld(described('LIMIT_HOLDS', full))
      return Promise.resolve('refused')
    }
    return new Promise(resolve => {
      const hold = new Hold(origin, this.#open, signal, resolve, this.#released)
      this.#count(origin, 1)
      hold.cancel = this.#clock.after(milliseconds, () => hold.end('waited'))
    })
  }

  readonly #released = (origin: Origin | null): void => this.#count(origin, -1)

  /** A session came: makes room if there are too many now. */
  relieve(): void {
    const [oldest] = this.#open
    if (oldest !== undefined && this.#sessions() >= this.#limits.stress) oldest.end('refused')
  }

  /** Ends all holds, and refuses those that come. */
  end(): void {
    this.#ended = true
    for (const hold of [...this.#open]) hold.end('refused')
  }

  /** Which limit a hold of that origin would break; `null` for none. */
  #noRoomFor(origin: Origin | null): string | null {
    const { max, perClient, perNetwork, stress } = this.#limits
    const sessions = this.#sessions()
    if (sessions >= stress) return `${sessions} sessions are open, and from ${stress} on (holds.stress) nobody is held`
    if (this.#open.size >= max) return `holds.max (${max}) clients are held already`
    if (origin === null) return null
    if ((this.#perClient.get(origin.client) ?? 0) >= perClient)
      return `holds.perClient (${perClient}) sessions of ${origin.client} are held already`
    if ((this.#perNetwork.get(origin.network) ?? 0) >= perNetwork)
      return `holds.perNetwork (${perNetwork}) sessions of ${origin.network} are held already`
    return null
  }

  #count(origin: Origin | null, change: 1 | -1): void {
    if (origin === null) return
    add(this.#perClient, origin.client, change)
    add(this.#perNetwork, origin.network, change)
  }
}

function add(counts: Map<string, number>, key: string, change: number): void {
  const count = (counts.get(key) ?? 0) + change
  if (count === 0) counts.delete(key)
  else counts.set(key, count)
}

function endedBy(signal: AbortSignal): HoldOutcome {
  const { kind } = signal.reason as AbortReason
  return kind === 'client-left' || kind === 'mta-abort' ? 'client-left' : 'refused'
}
