/**
 * The one watch over SMTP clients that are kept waiting, for all sessions together.
 *
 * It runs only while somebody waits: a session that asks a filter enters a set and leaves it with the answer, and only one that has been
 * in it for a while, or whose filter holds it, is asked for. Looks come every second, in the background, one at a time; when one
 * takes long the next comes later, so that looking never takes more than a tenth of the time. What a source cannot
 * tell, and a source that fails, changes nothing. No socket and no timer of its own: a source is passed in, and the clock.
 */
import { hostError } from '../errors.ts'
import type { Logger } from '../observe/logger.ts'
import { Roster } from '../roster.ts'
import type { Clock } from './clock.ts'
import type { Liveness, LivenessQuestion, Sight } from './liveness.ts'
import type { Presence } from './presence.ts'
import { within } from './within.ts'

export interface WatchOptions {
  readonly source: Liveness
  /** For logs. */
  readonly name: string
  readonly clock: Clock
  readonly log: Logger
}

/** Milliseconds between two looks. */
const EVERY = 1_000
/** An answer that came within this time never gets its client looked at. */
const SOON = 500
/** Who must be looked at now waits this long for company. */
const GATHER = 100
/** Looking costs at most one part in so many of a processor. */
const SHARE = 10
const LONGEST_PAUSE = 30_000
const LOOK_LIMIT = 5_000

export class Watch {
  readonly #options: WatchOptions
  readonly #waiting = new Roster<Presence>()
  readonly #ending = new AbortController()
  #looking = false
  #failures = 0
  /** Not before this time, on the monotonic clock. */
  #earliest = 0
  #next = 0
  #cancel: (() => void) | null = null

  constructor(options: WatchOptions) {
    this.#options = options
  }

  /** An answer is being waited for on this client's behalf. */
  begin(presence: Presence): void {
    presence.since = this.#options.clock.monotonic()
    presence.urgent = false
    presence.asked = false
    this.#waiting.enter(presence.entry)
    if (this.#cancel === null && !this.#looking) this.#arm(EVERY)
  }

  /** The answer is known to take its time. */
  hurry(presence: Presence): void {
    if (presence.urgent || !this.#waiting.has(presence.entry)) return
    presence.urgent = true
    if (!this.#looking && this.#next > this.#options.clock.monotonic() + GATHER) this.#arm(GATHER)
  }

  end(presence: Presence): void {
    this.#waiting.leave(presence.entry)
  }

  async close(): Promise<void> {
    this.#cancel?.()
    this.#cancel = null
    this.#waiting.clear()
    this.#ending.abort()
    await this.#options.source.close?.()
  }

  #arm(milliseconds: number): void {
    this.#cancel?.()
    const { clock } = this.#options
    const now = clock.monotonic()
    this.#next = Math.max(now + milliseconds, this.#earliest)
    this.#cancel = clock.after(this.#next - now, () => {
      this.#cancel = null
      void this.#tick()
    })
  }

  async #tick(): Promise<void> {
    const asked: Presence[] = []
    const questions: LivenessQuestion[] = []
    const began = this.#options.clock.monotonic()
    for (const presence of this.#waiting) {
      if (!presence.urgent && began - presence.since < SOON) continue
      const { connection, seen } = presence
      if (connection === null) continue
      presence.asked = true
      asked.push(presence)
      questions.push({ connection, seen })
    }
    if (questions.length > 0) {
      this.#looking = true
      const sights = await this.#look(questions)
      this.#looking = false
      if (this.#ending.signal.aborted) return
      const took = this.#options.clock.monotonic() - began
      const { cost = 0 } = this.#options.source
      this.#earliest = began + Math.min(LONGEST_PAUSE, Math.max(took * 2, cost * SHARE, this.#backOff()))
      for (const [index, sight] of sights.entries()) this.#tell(asked[index]!, sight)
    }
    if (this.#waiting.size === 0) return
    const fresh = this.#hasFresh()
    this.#arm(fresh ? GATHER : Math.max(0, began + EVERY - this.#options.clock.monotonic()))
  }

  /** Somebody came in a hurry during the look. */
  #hasFresh(): boolean {
    for (const presence of this.#waiting) if (presence.urgent && !presence.asked) return true
    return false
  }

  #tell(presence: Presence, { state, socket = '', unread }: Sight): void {
    if (state === 'present') {
      presence.seen = socket
      if (typeof unread === 'boolean') presence.unread = presence.unread === true || unread
    }
    if (state !== 'gone' || !this.#waiting.leave(presence.entry)) return
    presence.left()
  }

  /** Nothing when it failed. */
  async #look(questions: readonly LivenessQuestion[]): Promise<readonly Sight[]> {
    const { source, name, clock, log } = this.#options
    const giveUp = new AbortController()
    const signal = AbortSignal.any([this.#ending.signal, giveUp.signal])
    try {
      const sights = await within(LOOK_LIMIT, clock, () => source.look(questions, signal))
      checkSights(sights, questions.length)
      if (this.#failures > 0) log.info({ liveness: name }, 'clients that leave are noticed again')
      this.#failures = 0
      return sights
    } catch (error) {
      giveUp.abort()
      if (this.#ending.signal.aborted) return []
      if (this.#failures++ === 0) {
        const { code, message } = hostError(
          'LIVENESS_FAILED',
          name,
          error instanceof Error ? error.message : String(error),
        )
        log.warn({ code, liveness: name }, message)
      }
      return []
    }
  }

  #backOff(): number {
    return this.#failures === 0 ? 0 : EVERY * 2 ** Math.min(this.#failures, 6)
  }
}

/** A source may be anybody's. */
function checkSights(sights: unknown, expected: number): asserts sights is readonly Sight[] {
  if (!Array.isArray(sights) || sights.length !== expected)
    throw new TypeError(`it did not answer with a list of ${expected}`)
  for (const sight of sights as readonly Partial<Sight | null>[]) {
    const state = sight?.state
    if (state !== 'present' && state !== 'gone' && state !== 'unknown')
      throw new TypeError('it gave an answer that is none of present, gone, unknown')
  }
}
