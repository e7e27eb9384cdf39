/**
 * Plays recorded sessions against a configuration, in the order and at the times at which they happened.
 *
 * The clock is the recording's: it stands still while something is computed and is moved to whatever comes next, a command of any
 * session or the end of a wait, so that a day of mail takes as long as its work. Sessions that were open together are open together. A client that is held
 * for longer than it was says its next command later. Two runs do the same.
 */
import type { ChainFilter } from '../../host/chain/member.ts'
import type { Settings } from '../../host/config/settings.ts'
import { silent } from '../../host/observe/logger.ts'
import { Session } from '../../host/session.ts'
import { type HoldKeeper, Holds, holdLimits } from '../../host/time/holds.ts'
import type { FakeClock } from '../clock.ts'
import type { RecordedSession, RecordedTurn } from '../recording/recorded.ts'
import { memorySpool } from '../spool.ts'
import type { Outcomes } from './outcome.ts'
import { Run } from './run.ts'
import type { Playing } from './stand-in.ts'

export interface ReplayWorld {
  /** Read when a session begins: they are made after the stage, which their stand-ins ask. */
  readonly filters: () => readonly ChainFilter[]
  readonly settings: Settings
  readonly clock: FakeClock
  /** `false`: nobody is made to wait, as in observe mode. @default true */
  readonly holds?: boolean
}

/** Milliseconds by which a client is late that still waits for its answer. */
const LATE = 1_000
/** Real milliseconds that an answer may take which nobody holds back. */
const PATIENCE = 30_000

const NOBODY_WAITS: HoldKeeper = { hold: () => Promise.resolve('waited'), isFirst: () => false }

interface Open {
  readonly run: Run
  /** Of the clock, milliseconds since 1970. */
  readonly began: number
  due: number
}

export class ReplayStage implements Playing {
  readonly #world: ReplayWorld
  readonly #holds: Holds
  readonly #keeper: HoldKeeper
  readonly #open = new Map<string, Open>()
  /** By filter: the sessions in which it was asked what it was not asked then. */
  readonly #unknown = new Map<string, Set<string>>()

  constructor(world: ReplayWorld) {
    this.#world = world
    const { settings, clock } = world
    this.#holds = new Holds(clock, holdLimits(settings.holds, settings.limits.sessions, null), () => this.#open.size)
    this.#keeper = world.holds === false ? NOBODY_WAITS : this.#holds
  }

  turn(session: string): RecordedTurn | null {
    return this.#open.get(session)?.run.turn ?? null
  }

  unknown(filter: string, session: string): void {
    const sessions = this.#unknown.get(filter) ?? new Set()
    this.#unknown.set(filter, sessions.add(session))
  }

  /** By filter: in how many sessions it was asked what it was not asked then. */
  get unknowns(): ReadonlyMap<string, number> {
    return new Map([...this.#unknown].map(([filter, sessions]) => [filter, sessions.size]))
  }

  /** Tells what came of each session when it is over. `sessions`: in the order in which they began. */
  async play(
    sessions: Iterable<RecordedSession>,
    done: (session: RecordedSession, outcomes: Outcomes) => void,
  ): Promise<void> {
    const coming = sessions[Symbol.iterator]()
    let next = coming.next()
    for (;;) {
      const open = this.#first()
      if (next.done !== true && (open === null || next.value.began <= open.due)) {
        await this.#begin(next.value)
        next = coming.next()
      } else if (open !== null) await this.#go(open, done)
      else return
    }
  }

  #first(): Open | null {
    let first: Open | null = null
    for (const open of this.#open.values()) if (first === null || open.due < first.due) first = open
    return first
  }

  async #begin(recorded: RecordedSession): Promise<void> {
    await this.#until(recorded.began)
    const { filters, settings, clock } = this.#world
    // Recordings of several hosts may have the same names.
    let id = recorded.id
    for (let n = 2; this.#open.has(id); n++) id = `${recorded.id}-${n}`
    const run = new Run(
      recorded,
      observe =>
        new Session({
          id,
          filters: filters(),
          settings,
          watch: null,
          clock,
          spool: memorySpool(settings.limits.body),
          holds: this.#keeper,
          wantsContent: true,
          observe,
          log: silent,
        }),
    )
    this.#open.set(id, { run, began: clock.now(), due: clock.now() })
    this.#holds.relieve()
  }

  async #go(open: Open, done: (session: RecordedSession, outcomes: Outcomes) => void): Promise<void> {
    const { run, began } = open
    await this.#until(open.due)
    if (run.answering && !run.leaves) await settled(run)
    if (run.answering && !run.leaves) {
      open.due += LATE
      return
    }
    if (run.due === null) {
      run.close()
      for (const [id, each] of this.#open) if (each === open) this.#open.delete(id)
      done(run.recorded, run.outcomes)
      return
    }
    run.say()
    await settled(run)
    open.due = Math.max(began + (run.due ?? 0), this.#world.clock.now())
  }

  async #until(time: number): Promise<void> {
    const { clock } = this.#world
    const left = time - clock.now()
    if (left > 0) await clock.advance(left / 1_000)
  }
}

/** Until the answer is there, or comes only when time passes. */
async function settled(run: Run): Promise<void> {
  for (let turns = 0; turns < 50 && run.answering; turns++) await null
  const until = performance.now() + PATIENCE
  for (let turns = 0; run.answering && !run.held && performance.now() < until; turns++)
    await new Promise(resolve => (turns < 100 ? setImmediate(resolve) : setTimeout(resolve, 1)))
}
