/**
 * What the postmaster controls a running daemon with: the socket, the switches that outlast it, and the counts it shows.
 *
 * The daemon owns one, tells it of events and of each configuration that is to serve, and closes it last, so that whoever asked for the end
 * sees it come.
 */
import type { Configuration } from '../../host/config/validate.ts'
import type { HostEvent } from '../../host/observe/event.ts'
import type { Logger } from '../../host/observe/logger.ts'
import { Statistics } from '../../host/observe/statistics.ts'
import type { Clock } from '../../host/time/clock.ts'
import { type ControlledDaemon, Operator } from './operator.ts'
import { type Overridden, Overrides } from './overrides.ts'
import { type ControlChange, ControlSocket } from './socket.ts'

export interface ControlOptions {
  /** Where the socket is unless the configuration says so. */
  readonly place: string
  /** The file of what was enabled and disabled by command. */
  readonly overrides: string
  readonly version: string
  readonly pid: number
  /** Begins the end, as SIGTERM does. */
  end(): void
}

export class Control {
  readonly #statistics = new Statistics()
  readonly #overrides: Overrides
  readonly #socket: ControlSocket

  constructor(
    options: ControlOptions,
    daemon: ControlledDaemon,
    around: { readonly clock: Clock; readonly log: Logger },
  ) {
    const { place, overrides, version, pid, end } = options
    const { clock, log } = around
    this.#overrides = new Overrides(overrides, around)
    const shared = { daemon, clock, version, pid, end, overrides: this.#overrides, statistics: this.#statistics }
    const operator = new Operator(shared)
    this.#socket = new ControlSocket({ place, clock, log, handle: request => operator.handle(request) })
  }

  readonly observe = (event: HostEvent): void => this.#statistics.observe(event)

  appliedTo(configuration: Configuration): Overridden {
    return this.#overrides.appliedTo(configuration)
  }

  /** Throws a coded error when a socket that the configuration names cannot be had. */
  prepare({ settings }: Configuration): Promise<ControlChange> {
    return this.#socket.prepare(settings.control)
  }

  serves({ entries }: Configuration): void {
    this.#statistics.follow(entries.map(({ policy }) => policy.name))
  }

  close(): void {
    this.#socket.close()
  }
}
