/**
 * An external milter that an init script starts: service(8) of Linux or FreeBSD, or the script itself.
 *
 * Whether it runs is what the script says by its exit code: of LSB 3.2, 20.2 (0 runs, 1 and 2 dead with something left over, 3 not
 * running), of which rc.subr of FreeBSD has 0 and 1. Made by `process-control.ts`.
 */
import type { Clock } from '../../host/time/clock.ts'
import type { ProcessStatus } from './control.ts'
import type { initCommand } from './init-command.ts'
import { InitControl } from './init-control.ts'
import { run } from './run.ts'

const STATES: readonly ProcessStatus['state'][] = ['running', 'stopped', 'stopped', 'stopped']

export class ServiceControl extends InitControl {
  readonly #service: string

  constructor(filter: string, service: string, clock: Clock, init: typeof initCommand) {
    super(filter, `init script ${service}`, { service }, clock, init)
    this.#service = service
  }

  async status(signal: AbortSignal): Promise<ProcessStatus> {
    try {
      const { code, output } = await run(this.init({ service: this.#service }, 'status'), this.clock, signal)
      const state = (code === null ? undefined : STATES[code]) ?? 'unknown'
      const [, pid] = /\bpid:? (\d+)/i.exec(output) ?? []
      return { state, pid: state === 'running' && pid !== undefined ? Number(pid) : null, detail: output }
    } catch (error) {
      return { state: 'unknown', pid: null, detail: (error as Error).message }
    }
  }
}
