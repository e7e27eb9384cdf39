/**
 * The composition root: joins listeners, the running generation and what stands around them.
 *
 * What holds: a configuration is validated and its filters made before anything changes; then it is swapped whole, and sessions
 * keep the generation they began with. A bad new configuration leaves the old one serving. Everything hangs from
 * the object made here; there is no state in modules. `cli/run.ts` makes one a process, tests as many as they like.
 */
import { availableParallelism, loadavg } from 'node:os'
import type { ListeningSocket, OpenedSession, PostfixFacts } from './bridge/mta/index.ts'
import type { SocketAddress } from './bridge/wire/index.ts'
import { Control, type ControlOptions } from './daemon/control/control.ts'
import type { ControlledDaemon, Reloads } from './daemon/control/operator.ts'
import type { Overridden } from './daemon/control/overrides.ts'
import type { ControlChange } from './daemon/control/socket.ts'
import { sessionsFor } from './daemon/files.ts'
import { Generation, type SessionTap, type Surroundings } from './daemon/generation.ts'
import { Listeners } from './daemon/listeners.ts'
import { Recorder, type RecordingStatus } from './daemon/record/recorder.ts'
import { Shadow, type ShadowStatus, type StartShadow } from './daemon/shadow/shadow.ts'
import { DEFAULT_HOLDS, DEFAULT_LIMITS, type Settings } from './host/config/settings.ts'
import type { Configuration } from './host/config/validate.ts'
import { described } from './host/errors.ts'
import type { AbortReason } from './host/filter.ts'
import { Kept } from './host/kept.ts'
import { stateFilePath } from './host/plugin/state-file.ts'
import type { Load } from './host/policy/facts.ts'
import { Holds, holdLimits } from './host/time/holds.ts'
import { within } from './host/time/within.ts'

export interface DaemonOptions extends Surroundings {
  /** Reads and validates the configuration anew; rejects with a coded error that says all that is wrong. */
  load(): Promise<Configuration>
  /** What Postfix on this machine says of itself, where it matters; `null` without one. */
  postfix?(): Promise<PostfixFacts | null>
  /** Files that this process may have open. @default not limited */
  readonly files?: number | null
  /** Called once a new configuration has been read and before it serves. */
  onConfigured?(configuration: Configuration): void
  /** How the postmaster reaches it while it runs; without it, only by signals. */
  readonly control?: ControlOptions
  /** Sockets that were opened for it: it listens there, and not where the configuration says. */
  readonly inherited?: readonly ListeningSocket[]
  /** Starts the thread of a shadow configuration; without it `shadow` does nothing. */
  readonly shadow?: StartShadow
  /** Told before a configuration is read, and when that has ended well or not. */
  onReload?(phase: 'begins' | 'ended'): void
}

export interface Daemon {
  /** As bound: a port 0 is replaced by the one that was free. */
  readonly addresses: readonly SocketAddress[]
  readonly configuration: Configuration
  /** SMTP connections now open. */
  readonly sessions: number
  /** Rejects with what was wrong, and then nothing has changed. One at a time: a second call waits for the first. */
  reload(): Promise<void>
  /** Takes nothing new, gives what runs so many milliseconds, answers the rest with a spoken 451, and ends. */
  drain(milliseconds: number): Promise<void>
  /** Ends at once. */
  close(): Promise<void>
}

const NO_TAPS: readonly SessionTap[] = []

/** For what is still to be recorded at the end. */
const FLUSH_LIMIT = 2_000

/** What connections of an address that a reload gave up may still take. */
const RELOAD_DRAIN = 300_000

/** How long a reload waits for milters that have to be started; one that takes longer has its `onFailure` until then. */
const READY_LIMIT = 10_000

/** Resolves when it serves. Rejects, with nothing left open, when the configuration is bad or an address cannot be bound. */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const daemon = new RunningDaemon(options)
  await daemon.reload()
  return daemon
}

class RunningDaemon implements Daemon, ControlledDaemon {
  readonly #options: DaemonOptions
  readonly #listeners: Listeners
  readonly generations: Set<Generation> = new Set()
  readonly #ending = new AbortController()
  /** Begins every session id, so that ids stay unique over restarts. */
  readonly #epoch: string
  #current: Generation | null = null
  readonly #holds: Holds
  readonly #kept = new Kept()
  readonly #recorder: Recorder
  /** Sessions that there are file descriptors for. */
  #enough = Number.POSITIVE_INFINITY
  readonly #shadow: Shadow | null
  #count = 0
  #refusing = false
  readonly #control: Control | null
  reloads: Reloads = { at: 0, milliseconds: 0, failed: null }
  /** Enabled or disabled by command, and not in the configuration. */
  ignored: readonly string[] = []
  #configurations = 0
  #reloading: Promise<void> = Promise.resolve()

  constructor(options: DaemonOptions) {
    this.#options = options
    this.#epoch = options.clock.now().toString(36)
    const { clock, log, control } = options
    this.#shadow = options.shadow === undefined ? null : new Shadow(options.shadow, { clock, log })
    this.#recorder = new Recorder({ clock, log, place: stateFilePath('recordings', process.env) })
    this.#control = control === undefined ? null : new Control(control, this, { clock, log })
    this.#holds = new Holds(clock, holdLimits(DEFAULT_HOLDS, DEFAULT_LIMITS.sessions, null), () => this.sessions)
    this.#listeners = new Listeners({ clock, log, source: { open: () => this.#open() } }, options.inherited)
  }

  get addresses(): readonly SocketAddress[] {
    return this.#listeners.addresses
  }

  get configuration(): Configuration {
    return this.current.configuration
  }

  get current(): Generation {
    return this.#current!
  }

  get recording(): RecordingStatus | null {
    return this.#recorder.status
  }

  get shadow(): ShadowStatus | null {
    return this.#shadow?.status ?? null
  }

  get ending(): boolean {
    return this.#refusing
  }

  get sessions(): number {
    let sum = 0
    for (const generation of this.generations) sum += generation.sessions.size
    return sum
  }

  reload(): Promise<void> {
    const next = this.#reloading.then(() => this.#timed())
    this.#reloading = next.catch(() => {})
    return next
  }

  async drain(milliseconds: number): Promise<void> {
    this.#refusing = true
    this.#holds.end()
    await this.#listeners.drain(milliseconds)
    await this.#end()
  }

  async close(): Promise<void> {
    this.#refusing = true
    const reason: AbortReason = { kind: 'shutdown', detail: 'milterhost is ending' }
    for (const generation of this.generations) for (const session of generation.sessions) session.interrupt(reason)
    await this.#listeners.close()
    await this.#end()
  }

  async #timed(): Promise<void> {
    const { clock } = this.#options
    const began = clock.monotonic()
    this.#options.onReload?.('begins')
    try {
      await this.#swap()
      this.reloads = { at: clock.now(), milliseconds: Math.round(clock.monotonic() - began), failed: null }
    } catch (error) {
      this.reloads = { ...this.reloads, failed: { at: clock.now(), error } }
      throw error
    } finally {
      this.#options.onReload?.('ended')
    }
  }

  async #swap(): Promise<void> {
    const { configuration, ignored } = await this.#read()
    if (this.#refusing) return
    const postfix = (await this.#options.postfix?.()) ?? null
    const number = this.#configurations + 1
    const next = await Generation.create(configuration, this.#around(postfix), postfix, number)
    this.generations.add(next)
    next.closed.then(() => this.generations.delete(next))
    const before = this.#current
    if (before !== null) await this.#untilReady(next)
    if (this.#refusing) return next.retire()
    this.#configurations = number
    this.#current = next
    let control: ControlChange | null = null
    try {
      control = (await this.#control?.prepare(configuration)) ?? null
      const { listen, mta } = configuration.settings
      await this.#listeners.change(listen, mta, RELOAD_DRAIN)
    } catch (error) {
      control?.cancel()
      this.#current = before
      next.retire()
      throw error
    }
    control?.commit()
    this.#control?.serves(configuration)
    this.ignored = ignored
    this.#recorder.configure(configuration.settings.record)
    this.#shadow?.configure(configuration.settings.shadow)
    before?.retire()
    const { holds, limits } = configuration.settings
    this.#enough = sessionsFor(this.#options.files ?? null, next.filters)
    this.#holds.change(holdLimits(holds, Math.min(limits.sessions, this.#enough), postfix?.processes ?? null))
    if (this.#enough < limits.sessions) {
      const { code, detail } = described('LIMIT_FILES', this.#enough, this.#options.files ?? 0)
      this.#options.log.warn({ code }, detail)
    }
    // The end began while an address was being bound: it missed this one.
    if (this.#refusing) return this.#listeners.drain(0)
    this.#options.onConfigured?.(configuration)
    for (const { filter, gate } of next.filters) void filter.learn?.(this.#ending.signal, gate === null)
  }

  /** Mail that comes while a milter is being started is better served by the configuration that is there than told 451. */
  async #untilReady(next: Generation): Promise<void> {
    const late = Promise.withResolvers<void>()
    const cancel = this.#options.clock.after(READY_LIMIT, late.resolve)
    await Promise.race([Promise.all(next.filters.map(({ filter }) => filter.ready?.())), late.promise])
    cancel()
  }

  async #read(): Promise<Overridden> {
    const configuration = await this.#options.load()
    return this.#control?.appliedTo(configuration) ?? { configuration, ignored: [] }
  }

  #around(postfix: PostfixFacts | null): Surroundings {
    const { observe } = this.#options
    const control = this.#control
    const busy = (): Load => this.#load(postfix)
    if (control === null) return { ...this.#options, kept: this.#kept, busy }
    return {
      ...this.#options,
      kept: this.#kept,
      busy,
      observe: event => {
        control.observe(event)
        observe(event)
      },
    }
  }

  #load(postfix: PostfixFacts | null): Load {
    const [minute = 0] = loadavg()
    return {
      sessions: this.sessions,
      limit: postfix?.processes ?? null,
      perProcessor: minute / availableParallelism(),
    }
  }

  #open(): OpenedSession | null {
    const generation = this.#current
    if (generation === null || this.#refusing) return null
    const { sessions } = generation.configuration.settings.limits
    if (this.sessions >= Math.min(sessions, this.#enough)) {
      const what =
        sessions <= this.#enough
          ? described('LIMIT_SESSIONS', sessions)
          : described('LIMIT_FILES', this.#enough, this.#options.files ?? 0)
      this.#options.observe({ type: 'limit-reached', session: '', message: null, ...what })
      return null
    }
    const id = `${this.#epoch}.${(++this.#count).toString(36)}`
    const opened = generation.open(id, this.#holds, this.#taps(id, generation.configuration.settings))
    this.#holds.relieve()
    return opened
  }

  /** The same empty list for nearly all mail of nearly all sites. */
  #taps(id: string, { record, shadow }: Settings): readonly SessionTap[] {
    if (record === null && shadow === null) return NO_TAPS
    return [this.#recorder.begin(id), this.#shadow?.begin(id) ?? null].filter(tap => tap !== null)
  }

  async #end(): Promise<void> {
    this.#ending.abort({ kind: 'shutdown', detail: 'milterhost is ending' } satisfies AbortReason)
    const closing = [...this.generations]
    for (const generation of closing) {
      generation.retire()
      for (const session of [...generation.sessions])
        session.close({ kind: 'shutdown', detail: 'milterhost is ending' })
    }
    await Promise.all(closing.map(generation => generation.closed))
    await within(FLUSH_LIMIT, this.#options.clock, () => this.#recorder.flush()).catch(error =>
      this.#options.log.warn({ error }, 'the last sessions were not recorded'),
    )
    this.#shadow?.end()
    this.#control?.close()
  }
}
