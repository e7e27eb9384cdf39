/**
 * What systemd is told of the daemon: ready, reloading, ending, still alive. Nothing where systemd does not wait for it.
 *
 * Node cannot write to the datagram socket that systemd listens on, so `systemd-notify` does, a process each time; the unit therefore
 * has `NotifyAccess=all`. A message that cannot be sent is logged once and hurts nobody but whoever waits for it. One after the other, so that
 * "ready" never comes before "reloading".
 */
import { execFile } from 'node:child_process'
import type { Logger } from '../host/observe/logger.ts'
import type { Clock } from '../host/time/clock.ts'

type Environment = Readonly<Record<string, string | undefined>>

export interface ServiceManagerOptions {
  /** `process.env` */
  readonly environment: Environment
  readonly pid: number
  readonly clock: Clock
  readonly log: Logger
  /** Sends the assignments. @default `systemd-notify` */
  send?(assignments: readonly string[]): Promise<void>
}

const SEND_LIMIT = 5_000

export class ServiceManager {
  readonly #options: ServiceManagerOptions
  readonly #waited: boolean
  #last: Promise<void> = Promise.resolve()
  #complained = false

  constructor(options: ServiceManagerOptions) {
    this.#options = options
    const { NOTIFY_SOCKET } = options.environment
    this.#waited = NOTIFY_SOCKET !== undefined && NOTIFY_SOCKET !== ''
    const every = this.#waited ? watchdogOf(options) : null
    if (every !== null) this.#keepAlive(every)
  }

  /** Serves, with the configuration that `status` tells of. */
  ready(status: string): Promise<void> {
    return this.#tell(['READY=1', `STATUS=${status}`])
  }

  reloading(): Promise<void> {
    return this.#tell(['RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`])
  }

  ending(): Promise<void> {
    return this.#tell(['STOPPING=1'])
  }

  #keepAlive(milliseconds: number): void {
    this.#options.clock.after(milliseconds, () => {
      void this.#tell(['WATCHDOG=1'])
      this.#keepAlive(milliseconds)
    })
  }

  #tell(assignments: readonly string[]): Promise<void> {
    if (!this.#waited) return Promise.resolve()
    const { environment, log, send = systemdNotify(environment) } = this.#options
    this.#last = this.#last
      .then(() => send(assignments))
      .catch((error: Error) => {
        if (!this.#complained) log.warn({ error }, 'systemd cannot be told: systemd-notify failed')
        this.#complained = true
      })
    return this.#last
  }
}

/** Half of the time that systemd waits, so that one message may be late. */
function watchdogOf({ environment, pid }: ServiceManagerOptions): number | null {
  const { WATCHDOG_USEC, WATCHDOG_PID } = environment
  if (WATCHDOG_PID !== undefined && WATCHDOG_PID !== String(pid)) return null
  const microseconds = Number(WATCHDOG_USEC)
  return Number.isFinite(microseconds) && microseconds > 0 ? microseconds / 2000 : null
}

const systemdNotify =
  (environment: Environment) =>
  (assignments: readonly string[]): Promise<void> =>
    new Promise((resolve, reject) => {
      const env = { PATH: environment.PATH, NOTIFY_SOCKET: environment.NOTIFY_SOCKET }
      execFile('systemd-notify', [...assignments], { env, timeout: SEND_LIMIT, killSignal: 'SIGKILL' }, error =>
        error === null ? resolve() : reject(error),
      )
    })
