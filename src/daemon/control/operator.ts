/**
 * What the requests of the control socket do and what they are answered.
 *
 * It only asks and tells the daemon (`ControlledDaemon`); it knows no socket. A request that changes the chain goes through a reload, so
 * that it is all or nothing like any other, and changes of the postmaster's switches are made one after the other: when the
 * reload is refused, the switch is as it was before.
 */
import type { SocketAddress } from '../../bridge/wire/index.ts'
import { formatSocketAddress } from '../../bridge/wire/index.ts'
import { decodeText } from '../../host/bytes.ts'
import { suggestion } from '../../host/config/problem.ts'
import type { ConfiguredEntry } from '../../host/config/validate.ts'
import { hostError } from '../../host/errors.ts'
import { clientText } from '../../host/observe/log.ts'
import type { Statistics } from '../../host/observe/statistics.ts'
import type { Session } from '../../host/session.ts'
import type { Clock } from '../../host/time/clock.ts'
import type { Generation } from '../generation.ts'
import type { RecordingStatus } from '../record/recorder.ts'
import type { ShadowStatus } from '../shadow/shadow.ts'
import type { Overrides } from './overrides.ts'
import type { ControlRequest, ControlResults, FilterStatus, LiveSession, Status, SwitchResult } from './protocol.ts'

/** How the last reloads went. Wall clock, milliseconds. */
export interface Reloads {
  readonly at: number
  readonly milliseconds: number
  readonly failed: { readonly at: number; readonly error: unknown } | null
}

/** What the operator sees of the daemon. */
export interface ControlledDaemon {
  readonly addresses: readonly SocketAddress[]
  /** That new sessions get. */
  readonly current: Generation
  /** All that still have sessions. */
  readonly generations: Iterable<Generation>
  readonly reloads: Reloads
  readonly ending: boolean
  readonly ignored: readonly string[]
  readonly recording: RecordingStatus | null
  readonly shadow: ShadowStatus | null
  reload(): Promise<void>
}

export interface OperatorOptions {
  readonly daemon: ControlledDaemon
  readonly overrides: Overrides
  readonly statistics: Statistics
  readonly clock: Clock
  readonly version: string
  readonly pid: number
  /** Begins the end, as SIGTERM does. */
  end(): void
}

export class Operator {
  readonly #options: OperatorOptions
  readonly #began: number
  #switching: Promise<unknown> = Promise.resolve()

  constructor(options: OperatorOptions) {
    this.#options = options
    this.#began = options.clock.monotonic()
  }

  /** Rejects with a coded error. */
  async handle(request: ControlRequest): Promise<ControlResults[ControlRequest['do']]> {
    switch (request.do) {
      case 'status':
        return this.#status()
      case 'reload':
        return this.#reload()
      case 'enable':
      case 'disable':
        return this.#inTurn(() => this.#switch(request.filter, request.do === 'enable'))
      case 'restart':
        return this.#restart(request.filter)
      case 'drain': {
        const { daemon, end } = this.#options
        const sessions = this.#live().length
        if (!daemon.ending) end()
        return { sessions }
      }
      case 'sessions':
        return this.#sessions(request.limit)
      case 'kill':
        return this.#kill(request.session)
    }
  }

  async #reload(): Promise<ControlResults['reload']> {
    const { daemon } = this.#options
    if (daemon.ending) throw hostError('CONTROL_ENDING')
    await daemon.reload()
    const { number, configuration } = daemon.current
    const filters = configuration.entries.filter(({ policy }) => policy.enabled).map(({ policy }) => policy.name)
    return { generation: number, filters, milliseconds: daemon.reloads.milliseconds }
  }

  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const next = this.#switching.then(run)
    this.#switching = next.catch(() => {})
    return next
  }

  async #switch(filter: string, enabled: boolean): Promise<SwitchResult> {
    const { daemon, overrides } = this.#options
    if (daemon.ending) throw hostError('CONTROL_ENDING')
    const { policy, overridden = false } = this.#entry(filter)
    const before = overrides.read()
    const after = new Map(before)
    // What the configuration says itself needs no override.
    if ((overridden ? !policy.enabled : policy.enabled) === enabled) after.delete(filter)
    else after.set(filter, enabled)
    const changed = policy.enabled !== enabled
    if (before.get(filter) !== after.get(filter)) overrides.write(after)
    try {
      if (changed) await daemon.reload()
    } catch (error) {
      overrides.write(before)
      throw error
    }
    return { filter, enabled, changed, generation: daemon.current.number }
  }

  async #restart(name: string): Promise<ControlResults['restart']> {
    const { policy } = this.#entry(name)
    const found = this.#options.daemon.current.filters.find(({ filter }) => filter.name === name)
    if (!policy.enabled || found === undefined) throw hostError('CONTROL_RESTART', name, 'it is not enabled')
    const { filter } = found
    if (filter.restart === undefined)
      throw hostError('CONTROL_RESTART', name, 'it is a plugin, which milterhost reload makes anew')
    await filter.restart()
    return { filter: name }
  }

  #kill(id: string): ControlResults['kill'] {
    const session = this.#live().find(each => each.id === id)
    if (session === undefined) throw hostError('CONTROL_SESSION', id)
    return { session: id, ends: session.kill() }
  }

  #entry(name: string): ConfiguredEntry {
    const { entries } = this.#options.daemon.current.configuration
    const found = entries.find(({ policy }) => policy.name === name)
    const names = entries.map(({ policy }) => policy.name)
    if (found === undefined) throw hostError('CONTROL_FILTER', name, suggestion(name, names), names)
    return found
  }

  #live(): Session[] {
    return [...this.#options.daemon.generations].flatMap(({ sessions }) => [...sessions])
  }

  #sessions(limit: number): ControlResults['sessions'] {
    const now = this.#options.clock.monotonic()
    const sessions = [...this.#options.daemon.generations].flatMap(({ number, sessions }) =>
      [...sessions].map(session => liveSession(session, number, now)),
    )
    const waited = ({ waits }: LiveSession): number => waits?.seconds ?? -1
    sessions.sort((a, b) => waited(b) - waited(a) || b.age - a.age)
    return { total: sessions.length, sessions: sessions.slice(0, limit) }
  }

  #status(): Status {
    const { daemon, clock, version, pid, statistics } = this.#options
    const { current, reloads } = daemon
    const generations = [...daemon.generations]
    return {
      version,
      pid,
      state: daemon.ending ? 'ending' : 'serving',
      uptime: seconds(clock.monotonic() - this.#began),
      listen: daemon.addresses.map(address => formatSocketAddress(address, 'sendmail')),
      generation: current.number,
      generations: generations.length,
      sessions: generations.reduce((sum, { sessions }) => sum + sessions.size, 0),
      messages: statistics.outcomes,
      reload: {
        at: new Date(reloads.at).toISOString(),
        milliseconds: reloads.milliseconds,
        failed: reloads.failed === null ? null : failure(reloads.failed),
      },
      filters: current.configuration.entries.map(configured => this.#filter(configured, current)),
      ignored: daemon.ignored,
      recording: daemon.recording,
      shadow: daemon.shadow,
    }
  }

  #filter({ entry, policy, overridden = false }: ConfiguredEntry, { filters }: Generation): FilterStatus {
    const { name, mode, enabled } = policy
    const filter = filters.find(each => each.filter.name === name)?.filter
    const health = filter?.health?.()
    return {
      name,
      kind: entry.kind,
      what: entry.describe,
      mode,
      enabled,
      overridden,
      health:
        health === undefined
          ? { state: !enabled ? 'off' : entry.kind === 'plugin' ? 'up' : 'unknown', reason: null, since: null }
          : { state: health.state, reason: health.reason, since: new Date(health.since).toISOString() },
      ...(this.#options.statistics.of(name) ?? NOTHING),
    }
  }
}

/** Of a filter that was not counted. */
const NOTHING = {
  messages: 0,
  verdicts: { accept: 0, reject: 0, tempfail: 0, discard: 0, quarantine: 0 },
  failures: 0,
  median: null,
  p99: null,
}

function liveSession(session: Session, generation: number, now: number): LiveSession {
  const { id, client, helo, mta, stage, wait, queueId, messages, began } = session.facts
  return {
    id,
    client: client === null ? null : clientText(client),
    helo: helo === null ? null : decodeText(helo),
    mta,
    stage,
    waits:
      wait === null
        ? null
        : { filter: wait.filter, stage: wait.stage, held: wait.held, seconds: seconds(now - wait.since) },
    queueId: queueId === null ? null : decodeText(queueId),
    messages,
    age: seconds(now - began),
    generation,
  }
}

function failure({ at, error }: NonNullable<Reloads['failed']>): NonNullable<Status['reload']['failed']> {
  const { code = null, message } = error as { readonly code?: string | null; readonly message: string }
  return { at: new Date(at).toISOString(), code, message }
}

const seconds = (milliseconds: number): number => Math.round(milliseconds / 100) / 10
