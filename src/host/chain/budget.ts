/**
 * The time the whole chain may take for one answer.
 *
 * Limits belong to the chain and not to each filter: with Sendmail's defaults two filters of seven seconds each are
 * already too late. A filter is given its own limit or what is left here, whichever is less.
 */
import type { BudgetSettings } from '../config/settings.ts'
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

export class Deadline {
  readonly total: number
  readonly #clock: Clock
  readonly #end: number

  constructor(clock: Clock, total: number) {
    this.#clock = clock
    this.total = total
    this.#end = clock.monotonic() + total
  }

  /** Milliseconds left, never below 0. */
  left(): number {
    return Math.max(0, this.#end - this.#clock.monotonic())
  }
}

/** Starts the clock for one answer. */
export const deadlineFor = (clock: Clock, settings: BudgetSettings, mta: MtaKind, what: 'command' | 'end'): Deadline =>
  new Deadline(clock, settings[what] ?? DEFAULTS[mta][what])
