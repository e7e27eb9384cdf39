/**
 * One configuration at work: its filters, its spool and the sessions that began with it.
 *
 * A session keeps the generation it began with. A generation that was replaced takes no new sessions and closes its filters
 * when its last session ends. The daemon makes one at start and one at each reload.
 */

import type { LauncherClient } from '../bridge/launch/index.ts'
import type { OpenedSession, PostfixFacts } from '../bridge/mta/index.ts'
import { procTable } from '../bridge/mta/liveness/proc.ts'
import type { ChainFilter } from '../host/chain/member.ts'
import type { Configuration } from '../host/config/validate.ts'
import { hostError } from '../host/errors.ts'
import type { Interest } from '../host/filter.ts'
import type { Kept } from '../host/kept.ts'
import { createSpool, type Spool } from '../host/message/spool.ts'
import { ALL_INTERESTS } from '../host/mta.ts'
import { ChainNeeds } from '../host/needs.ts'
import type { HostEvent, Observer } from '../host/observe/event.ts'
import type { Logger } from '../host/observe/logger.ts'
import type { Services } from '../host/plugin/services.ts'
import { SharedServices } from '../host/plugin/shared.ts'
import type { Load } from '../host/policy/facts.ts'
import { Gates } from '../host/policy/gates.ts'
import { Entry, Roster } from '../host/roster.ts'
import { Session } from '../host/session.ts'
import type { Clock } from '../host/time/clock.ts'
import type { HoldKeeper } from '../host/time/holds.ts'
import { Watch } from '../host/time/watch.ts'
import { within } from '../host/time/within.ts'
import { type NotableSession, NotedSession } from '../testing/recording/noted-session.ts'
import type { Notes } from '../testing/recording/notes.ts'

/** Somebody who takes notes of one session. */
export interface SessionTap {
  readonly notes: Notes
  /** Told of every event of the session. */
  observe(event: HostEvent): void
}

export interface Surroundings {
  readonly clock: Clock
  readonly log: Logger
  readonly services: Services
  readonly observe: Observer
  /** What filters hand on to those of the next generation; none: nothing outlives them. */
  readonly kept?: Kept
  /** The configuration is only tried out. @default false */
  readonly rehearsal?: boolean
  /** `null` where this process was not started by the launcher. */
  readonly launcher?: LauncherClient | null
  /** How busy this host is, for conditions. */
  readonly busy?: () => Load
}

/** Makes the filters of all enabled entries. When one cannot be made, those made before are closed and the error names it. */
export async function createFilters(
  { entries, settings, policy: central }: Configuration,
  around: Surroundings,
): Promise<ChainFilter[]> {
  const filters: ChainFilter[] = []
  const gates = new Gates(around, central ?? null)
  const shared = new SharedServices()
  for (const { entry, policy } of entries) {
    if (!policy.enabled) continue
    try {
      const { clock, services, observe, launcher = null, rehearsal = false } = around
      const kept = around.kept === undefined ? {} : { kept: around.kept }
      const log = around.log.child({ filter: policy.name })
      const { limits } = settings
      const gate = await gates.gateOf(policy)
      filters.push({
        policy,
        gate,
        filter: await entry.create({
          policy,
          clock,
          log,
          services,
          shared,
          limits,
          observe,
          launcher,
          rehearsal,
          ...kept,
        }),
      })
    } catch (error) {
      await closeFilters(filters, around)
      await gates.close()
      throw hostError('FILTER_NOT_CREATED', policy.name, error instanceof Error ? error.message : String(error))
    }
  }
  return filters
}

/** For a filter's own closing; the daemon has to end in time whatever a filter does. */
const CLOSE_LIMIT = 3_000

/** Errors are logged: whoever closes has nothing left to do about them. */
export async function closeFilters(
  filters: readonly ChainFilter[],
  { clock, log }: Pick<Surroundings, 'clock' | 'log'>,
): Promise<void> {
  await Promise.all(
    filters.map(async ({ filter, gate }) => {
      try {
        await within(CLOSE_LIMIT, clock, () => filter.close())
        await gate?.close()
      } catch (error) {
        log.error({ filter: filter.name, error }, 'filter did not close cleanly')
      }
    }),
  )
}

const POSTFIX_COMMAND_TIMEOUT = 30_000
const PROGRESS_AT_MOST = 10_000

/** Every third of the time that Postfix waits. A budget that was shortened says that its own timeout was, too. */
const progressFor = ({ budget }: Configuration['settings'], postfix: PostfixFacts | null): number =>
  Math.min(
    PROGRESS_AT_MOST,
    (postfix?.commandTimeout ?? POSTFIX_COMMAND_TIMEOUT) / 3,
    budget.command ?? Number.POSITIVE_INFINITY,
  )

/** Nothing is opened or started before somebody waits. */
function createWatch({ settings }: Configuration, { clock, log }: Surroundings): Watch | null {
  const { liveness } = settings
  if (liveness === 'off') return null
  const source = liveness === 'proc' ? procTable() : liveness
  return new Watch({ name: source.name, source: source.open({ clock, log }), clock, log })
}

const NOBODY: readonly SessionTap[] = []
/** What is recorded may be played against filters that want more than those of today. */
const EVERYTHING: ReadonlySet<Interest> = new Set(ALL_INTERESTS)

export class Generation {
  /** Counts the configurations of this daemon from 1. */
  readonly number: number
  readonly configuration: Configuration
  readonly filters: readonly ChainFilter[]
  readonly #around: Surroundings
  readonly #needs: ChainNeeds
  readonly #spool: Spool
  readonly #watch: Watch | null
  readonly #sessions = new Roster<Session>()
  readonly #closed = Promise.withResolvers<void>()
  /** Milliseconds between two signs of life to the MTA before the end of a message. */
  readonly #progress: number
  #retired = false

  static async create(
    configuration: Configuration,
    around: Surroundings,
    postfix: PostfixFacts | null = null,
    number = 1,
  ): Promise<Generation> {
    const { settings } = configuration
    const spool = createSpool({ ...settings.spool, limit: settings.limits.body })
    let watch: Watch | null = null
    try {
      watch = createWatch(configuration, around)
      const filters = await createFilters(configuration, around)
      return new Generation(configuration, filters, { spool, watch }, around, progressFor(settings, postfix), number)
    } catch (error) {
      await Promise.all([spool.close(), watch?.close()])
      throw error
    }
  }

  private constructor(
    configuration: Configuration,
    filters: readonly ChainFilter[],
    { spool, watch }: { readonly spool: Spool; readonly watch: Watch | null },
    around: Surroundings,
    progress: number,
    number: number,
  ) {
    this.number = number
    this.#progress = progress
    this.configuration = configuration
    this.filters = filters
    this.#needs = new ChainNeeds(filters, configuration.settings.authentication.removeForged)
    this.#spool = spool
    this.#around = around
    this.#watch = watch
  }

  /** Sessions that are open now. */
  get sessions(): Roster<Session> {
    return this.#sessions
  }

  /** Resolves when it was retired, its last session has ended and its filters are closed. */
  get closed(): Promise<void> {
    return this.#closed.promise
  }

  /** `taps`: who takes notes; then the MTA is asked for everything, and for the content of every message. */
  open(id: string, holds: HoldKeeper, taps: readonly SessionTap[] = NOBODY): OpenedSession {
    const { clock, log, observe } = this.#around
    const session: Session = new Session({
      id,
      filters: this.filters,
      settings: this.configuration.settings,
      watch: this.#watch,
      clock,
      log,
      spool: this.#spool,
      holds,
      observe: event => {
        if (event.type === 'session-closed') this.#ended(entry)
        observe(event)
        for (const tap of taps) tap.observe(event)
      },
      wantsContent: taps.length > 0,
    })
    const entry = new Entry(session)
    this.#sessions.enter(entry)
    const needs = this.#needs.current()
    return {
      session: taps.reduce<NotableSession>((inner, { notes }) => new NotedSession(inner, notes), session),
      needs: taps.length === 0 ? needs : { ...needs, events: EVERYTHING },
      progress: this.#progress,
    }
  }

  /** No new sessions from now on. */
  retire(): void {
    if (this.#retired) return
    this.#retired = true
    if (this.#sessions.size === 0) this.#close()
  }

  #ended(entry: Entry<Session>): void {
    this.#sessions.leave(entry)
    if (this.#retired && this.#sessions.size === 0) this.#close()
  }

  #close(): void {
    Promise.all([closeFilters(this.filters, this.#around), this.#spool.close(), this.#watch?.close()]).then(
      () => this.#closed.resolve(),
      error => {
        this.#around.log.error({ error }, 'the spool or the liveness source did not close cleanly')
        this.#closed.resolve()
      },
    )
  }
}
