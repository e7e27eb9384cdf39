/**
 * The time the whole chain may take for one answer.
 *
 * Limits belong to the chain and not to each filter: with Sendmail's defaults two filters of seven seconds each are
 * already too late. A filter is given its own limit or what is left here, whichever is less. Postfix is told PROGRESS at
 * every stage and starts its timer anew at each, so there a client can be held beyond the budget, as long as the client
 * itself bears it; Sendmail takes PROGRESS only at the end of the message, and even there its total stands.
 */
import type { BudgetSettings } from '../config/settings.ts'
import type { Stage } from '../events.ts'
import type { MtaKind } from '../mta.ts'
import type { Clock } from '../time/clock.ts'

/**
 * Milliseconds inside each MTA's default limits: Postfix waits 30 s for a command and 300 s at the end of the message,
 * each restarted by PROGRESS; Sendmail 10 s for a reply and 300 s in all at the end, whatever PROGRESS says.
 */
const DEFAULTS: Readonly<Record<MtaKind, { readonly command: number; readonly end: number }>> = {
  postfix: { command: 25_000, end: 240_000 },
  sendmail: { command: 8_000, end: 240_000 },
  unknown: { command: 8_000, end: 240_000 },
}

/**
 * Milliseconds that one answer may be held back: RFC 5321 §4.5.3.2 lets a client give up after 5 minutes, after 2 at
 * DATA and after 10 at the end of the message; the rest is for the budget and for what the MTA does itself.
 */
const patienceOfClients = (stage: Stage): number => (stage === 'data' ? 90_000 : 240_000)

export class Deadline {
  readonly total: number
  /** Milliseconds that the answer may be held back beyond the budget; 0 where the MTA does not bear it. */
  readonly grace: number
  readonly #clock: Clock
  #end: number
  #graceLeft: number
  /** When it was stopped, and by how many. */
  #stopped = 0
  #stops = 0

  constructor(clock: Clock, total: number, grace = 0) {
    this.#clock = clock
    this.total = total
    this.grace = grace
    this.#graceLeft = grace
    this.#end = clock.monotonic() + total
  }

  /** Milliseconds left, never below 0. */
  left(): number {
    return Math.max(0, this.#end - (this.#stops > 0 ? this.#stopped : this.#clock.monotonic()))
  }

  /** The answer can be held back that long from now on. */
  bears(milliseconds: number): boolean {
    const spent = this.#stops > 0 ? this.#clock.monotonic() - this.#stopped : 0
    return milliseconds < this.left() || milliseconds <= this.#graceLeft - spent
  }

  /** Time stands still until as many `go` as `stop` were called. Without grace it never does. */
  stop(): void {
    if (this.grace === 0 || this.#stops++ > 0) return
    this.#stopped = this.#clock.monotonic()
  }

  go(): void {
    if (this.grace === 0 || --this.#stops > 0) return
    this.#spend(this.#clock.monotonic() - this.#stopped)
  }

  /** The whole budget anew, as far as the grace goes: a filter says that it is still at work. */
  restart(): void {
    if (this.#stops === 0) this.#spend(Math.max(0, this.total - this.left()))
  }

  #spend(milliseconds: number): void {
    const given = Math.min(milliseconds, this.#graceLeft)
    this.#graceLeft -= given
    this.#end += given
  }
}

/** What holds where the configuration says nothing, in milliseconds. */
export const defaultBudget = (mta: MtaKind): { readonly command: number; readonly end: number } => DEFAULTS[mta]

/** Starts the clock for one answer. */
export function deadlineFor(clock: Clock, settings: BudgetSettings, mta: MtaKind, stage: Stage): Deadline {
  const what = stage === 'message' ? 'end' : 'command'
  const grace = mta === 'postfix' ? patienceOfClients(stage) : 0
  return new Deadline(clock, settings[what] ?? DEFAULTS[mta][what], grace)
}
