/**
 * A host for tests: a whole configuration in this process, without an MTA, a socket, a file or a clock that runs.
 *
 * The chain, the sessions and the filters are the real ones. What a test replaces is what is around them: time, DNS, logs.
 */
import type { ChainFilter } from '../host/chain/member.ts'
import type { Config } from '../host/config/config.ts'
import type { Settings } from '../host/config/settings.ts'
import { type Configuration, validateConfig } from '../host/config/validate.ts'
import type { FilterReport } from '../host/filter.ts'
import type { MtaKind } from '../host/mta.ts'
import type { HostEvent } from '../host/observe/event.ts'
import type { Logger } from '../host/observe/logger.ts'
import { type CounterSnapshot, MetricsRegistry } from '../host/plugin/metrics.ts'
import type { Dns } from '../host/plugin/services.ts'
import { type ServiceKey, SharedServices } from '../host/plugin/shared.ts'
import type { Load } from '../host/policy/facts.ts'
import { Gates } from '../host/policy/gates.ts'
import { Session } from '../host/session.ts'
import type { Clock } from '../host/time/clock.ts'
import { Holds, holdLimits } from '../host/time/holds.ts'
import type { Liveness } from '../host/time/liveness.ts'
import { Watch } from '../host/time/watch.ts'
import { fakeClock } from './clock.ts'
import { Conversation, type TestClient } from './conversation.ts'
import type { Delivery } from './delivery.ts'
import { fakeDns } from './dns.ts'
import type { TestMessage } from './message.ts'
import { memorySpool } from './spool.ts'

export interface TestOptions {
  /** @default a `fakeClock()`: time stands still */
  readonly clock?: Clock
  /** @default a `fakeDns()` that knows no name */
  readonly dns?: Dns
  /** How busy the host seems to conditions. @default not at all */
  readonly load?: Partial<Load>
  /** Whose macros, limits and edits. @default 'postfix' */
  readonly mta?: Exclude<MtaKind, 'unknown'>
  /**
   * Offers services in the place of plugins that are not under test, before the first `setup`.
   * @example provide: offer => offer(serviceKey<Ladder>('greylist.ladder'), fakeLadder)
   */
  readonly provide?: (offer: <T>(key: ServiceKey<T>, value: T) => void) => void
  /** What plugins find in `host.rehearsal`: the configuration is only tried out. @default false */
  readonly rehearsal?: boolean
}

/** A message and its way, for `deliver`; what is left out has a default. */
export interface TestMail {
  readonly client?: TestClient
  readonly helo?: string
  /** Without angle brackets; empty for the null sender. */
  readonly from?: string
  readonly to?: string | readonly string[]
  readonly message?: TestMessage
}

/** One line of a log. */
export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

type Surroundings = Required<Omit<TestOptions, 'provide'>>

export class TestHost {
  /** Everything that was logged, in order. */
  readonly logs: readonly LogLine[]
  /** Everything that happened, over all conversations, in order. */
  readonly events: readonly HostEvent[]
  readonly #filters: readonly ChainFilter[]
  readonly #settings: Settings
  readonly #options: Surroundings
  readonly #shared: SharedServices
  readonly #metrics: MetricsRegistry
  readonly #log: Logger
  readonly #all: HostEvent[] = []
  readonly #holds: Holds
  #open = 0
  #sessions = 0

  /** @internal Made by `testPlugin` and `testConfig`. */
  static async start(config: Config, options: TestOptions): Promise<TestHost> {
    return TestHost.of(validateConfig(config, 'the configuration under test'), options)
  }

  /** @internal For a configuration that was read and validated. */
  static async of({ settings, entries, policy: central }: Configuration, options: TestOptions): Promise<TestHost> {
    const full = {
      clock: options.clock ?? fakeClock(),
      dns: options.dns ?? fakeDns(),
      load: options.load ?? {},
      mta: options.mta ?? settings.mta ?? ('postfix' as const),
      rehearsal: options.rehearsal ?? false,
    }
    const logs: LogLine[] = []
    const log = recorder(logs, {})
    const metrics = new MetricsRegistry()
    const services = { dns: full.dns, metrics }
    const shared = new SharedServices()
    options.provide?.((key, value) => void shared.provide(key, value, 'the test'))
    const filters: ChainFilter[] = []
    const gates = new Gates(
      { clock: full.clock, log, services, busy: () => ({ ...IDLE, ...full.load }) },
      central ?? null,
    )
    for (const { entry, policy } of entries) {
      if (!policy.enabled) continue
      try {
        const around = { clock: full.clock, log: log.child({ filter: policy.name }), services, shared }
        const environment = { policy, ...around, limits: settings.limits, rehearsal: full.rehearsal }
        filters.push({ policy, gate: await gates.gateOf(policy), filter: await entry.create(environment) })
      } catch (error) {
        await gates.close()
        for (const { filter } of filters) await filter.close()
        throw error
      }
    }
    return new TestHost(filters, settings, full, shared, metrics, log, logs)
  }

  private constructor(
    filters: readonly ChainFilter[],
    settings: Settings,
    options: Surroundings,
    shared: SharedServices,
    metrics: MetricsRegistry,
    log: Logger,
    logs: readonly LogLine[],
  ) {
    this.#filters = filters
    this.#settings = settings
    this.#options = options
    this.#shared = shared
    this.#metrics = metrics
    this.#log = log
    this.logs = logs
    this.events = this.#all
    const limits = holdLimits(settings.holds, settings.limits.sessions, null)
    this.#holds = new Holds(options.clock, limits, () => this.#open)
  }

  /** A new SMTP connection. Nothing is said on it yet. */
  open(client: TestClient = {}): Conversation {
    const events: HostEvent[] = []
    const session = new Session({
      id: `test${++this.#sessions}`,
      filters: this.#filters,
      settings: this.#settings,
      watch: this.#watch(client),
      clock: this.#options.clock,
      spool: memorySpool(this.#settings.limits.body),
      holds: this.#holds,
      observe: event => {
        if (event.type === 'session-closed') this.#open--
        events.push(event)
        this.#all.push(event)
      },
      log: this.#log,
    })
    this.#open++
    this.#holds.relieve()
    return new Conversation(session, this.#options.mta, client, events)
  }

  #watch({ spokeEarly }: TestClient): Watch | null {
    if (spokeEarly === undefined) return null
    const source: Liveness = {
      look: async questions => questions.map(() => ({ state: 'present', unread: spokeEarly })),
    }
    return new Watch({ source, name: 'the test', clock: this.#options.clock, log: this.#log })
  }

  /** One message over a connection of its own, from connect to QUIT, as far as it gets. */
  async deliver(mail: TestMail = {}): Promise<Delivery> {
    const { client = {}, helo, from, to = 'recipient@example.com', message } = mail
    const conversation = this.open(client)
    try {
      await conversation.connect()
      await conversation.helo(helo)
      if (goesOn(await conversation.mail(from))) {
        const answers = []
        for (const recipient of typeof to === 'string' ? [to] : to) answers.push(await conversation.rcpt(recipient))
        const discarded = answers.some(({ kind }) => kind === 'discard')
        if (discarded || (answers.some(goesOn) && goesOn(await conversation.data())))
          return await conversation.message(message)
      }
      conversation.reset()
      return conversation.delivery()
    } finally {
      conversation.quit()
    }
  }

  /** What `milterhost check` prints of each filter; rejects with the reason when one could not work now. */
  async check(): Promise<ReadonlyMap<string, FilterReport>> {
    const reports = new Map<string, FilterReport>()
    for (const { filter } of this.#filters) reports.set(filter.name, await filter.probe(new AbortController().signal))
    return reports
  }

  /** The counters of all plugins. */
  counters(): readonly CounterSnapshot[] {
    return this.#metrics.snapshot()
  }

  /** What a plugin under test offers, as another plugin would find it. */
  service<T>(key: ServiceKey<T>): T | undefined {
    return this.#shared.get(key)
  }

  /** Closes the filters: runs what plugins registered with `host.onClose`. */
  async close(): Promise<void> {
    for (const { filter, gate } of this.#filters) {
      await filter.close()
      await gate?.close()
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

const IDLE: Load = { sessions: 0, limit: null, perProcessor: 0 }

const goesOn = ({ kind }: { readonly kind: string }): boolean => kind !== 'reject' && kind !== 'tempfail'

function recorder(lines: LogLine[], bound: Readonly<Record<string, unknown>>): Logger {
  const write =
    (level: LogLine['level']) =>
    (fields: object, message = ''): void => {
      lines.push({ level, message, fields: { ...bound, ...fields } })
    }
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    child: fields => recorder(lines, { ...bound, ...fields }),
  }
}
