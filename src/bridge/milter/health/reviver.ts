/**
 * Decides when the process of an external milter is started or started anew, and does it.
 *
 * How is the business of a `ProcessControl`. What holds: an absent milter is started at once the first time, a silent one is started anew only after
 * a second probe found it so, and each attempt makes the pause before the next one longer, up to a minute, until the milter has been well for a
 * minute. A milter that answers is never touched. The keeper asks it after each probe that failed.
 */
import type { Clock } from '../../../host/time/clock.ts'
import type { ProcessControl } from '../../launch/control.ts'
import { Backoff } from './backoff.ts'
import type { TroubleKind } from './trouble.ts'

export type Remedy = 'start' | 'restart'

const PAUSES = { first: 1_000, most: 60_000 }
/** Milliseconds that it must have been well for the pauses to begin anew. */
const WELL = 60_000
/** Milliseconds that an order to the process may take. */
const ORDER_LIMIT = 120_000

export class Reviver {
  readonly control: ProcessControl
  readonly #clock: Clock
  readonly #pauses: Backoff
  #notBefore = Number.NEGATIVE_INFINITY
  #wellSince: number | null = null
  /** Its process runs and the milter is not there. */
  #runsInVain = false

  constructor(control: ProcessControl, clock: Clock, random: () => number) {
    this.control = control
    this.#clock = clock
    this.#pauses = new Backoff(PAUSES, random)
  }

  /** What is to be done about this now. `confirmed`: not only the last probe found it so. */
  remedy(kind: TroubleKind, confirmed: boolean): Remedy | null {
    const now = this.#clock.monotonic()
    if (this.#wellSince !== null && now - this.#wellSince >= WELL) {
      this.#pauses.reset()
      this.#notBefore = Number.NEGATIVE_INFINITY
    }
    if (now < this.#notBefore) return null
    if (kind === 'silent') return confirmed ? 'restart' : null
    if (kind !== 'absent') return null
    // To start what runs would change nothing.
    return this.#runsInVain ? 'restart' : 'start'
  }

  /** Rejects with what came of it. */
  async apply(remedy: Remedy, signal: AbortSignal): Promise<void> {
    this.#wellSince = null
    this.#runsInVain = false
    this.#notBefore = this.#clock.monotonic() + this.#pauses.next()
    const limit = new AbortController()
    const { promise: late, reject } = Promise.withResolvers<never>()
    const cancel = this.#clock.after(ORDER_LIMIT, () => {
      const error = new Error(`${this.control.description}: the ${remedy} did not end within ${ORDER_LIMIT / 1000} s`)
      limit.abort(error)
      reject(error)
    })
    try {
      await Promise.race([this.control[remedy](AbortSignal.any([signal, limit.signal])), late])
    } finally {
      cancel()
    }
  }

  /** Its process has run for as long as a milter may take to start, and the milter is not there. */
  inVain(): void {
    this.#runsInVain = true
  }

  /** The milter answers. */
  well(): void {
    this.#wellSince ??= this.#clock.monotonic()
    this.#runsInVain = false
  }

  /** It does not answer any more. */
  unwell(): void {
    if (this.#wellSince === null) return
    if (this.#clock.monotonic() - this.#wellSince < WELL) this.#wellSince = null
  }
}
