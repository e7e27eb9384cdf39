/**
 * What units of systemd and init scripts have in common: the system's init is asked, and keeps the process.
 *
 * The process is left alone when milterhost ends. How it is, each asks in its own way (`systemd.ts`, `service.ts`). The init lets root
 * ask, and systemd whomever polkit lets; others go through the launcher.
 */
import type { Clock } from '../../host/time/clock.ts'
import type { ProcessControl, ProcessStatus } from './control.ts'
import { type Action, launchFailure } from './failure.ts'
import type { InitEntry, initCommand } from './init-command.ts'
import { run } from './run.ts'

export abstract class InitControl implements ProcessControl {
  readonly description: string
  protected readonly clock: Clock
  readonly #filter: string
  protected readonly init: typeof initCommand
  readonly #entry: InitEntry

  constructor(filter: string, description: string, entry: InitEntry, clock: Clock, init: typeof initCommand) {
    this.description = description
    this.clock = clock
    this.#filter = filter
    this.init = init
    this.#entry = entry
  }

  abstract status(signal: AbortSignal): Promise<ProcessStatus>

  start(signal: AbortSignal): Promise<void> {
    return this.#ask('start', signal)
  }

  stop(signal: AbortSignal): Promise<void> {
    return this.#ask('stop', signal)
  }

  restart(signal: AbortSignal): Promise<void> {
    return this.#ask('restart', signal)
  }

  async close(): Promise<void> {}

  async #ask(action: Action, signal: AbortSignal): Promise<void> {
    const command = this.init(this.#entry, action)
    let why: string
    try {
      const { code, output } = await run(command, this.clock, signal)
      if (code === 0) return
      why = output || `${command[0]} ended with ${code}`
    } catch (error) {
      why = (error as Error).message
    }
    throw launchFailure(this.#filter, action, this.description, why)
  }
}
