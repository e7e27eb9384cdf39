/**
 * An external milter that is a unit of systemd: `systemctl` starts, stops and restarts it, and tells how it is.
 *
 * A unit that is being started counts as stopped until it runs, also while systemd waits to restart it by itself. Anybody may ask how
 * a unit is, so the status never goes through the launcher. Made by `process-control.ts`.
 */
import type { Clock } from '../../host/time/clock.ts'
import type { ProcessStatus } from './control.ts'
import type { initCommand } from './init-command.ts'
import { InitControl } from './init-control.ts'
import { run } from './run.ts'

export class SystemdControl extends InitControl {
  readonly #unit: string

  constructor(filter: string, unit: string, clock: Clock, init: typeof initCommand) {
    super(filter, `systemd ${unit}`, { systemd: unit }, clock, init)
    this.#unit = unit
  }

  status(signal: AbortSignal): Promise<ProcessStatus> {
    return systemdStatus(this.#unit, this.clock, this.init, signal)
  }
}

const PROPERTIES = 'LoadState,ActiveState,SubState,MainPID,Result'

export async function systemdStatus(
  unit: string,
  clock: Clock,
  init: typeof initCommand,
  signal: AbortSignal,
): Promise<ProcessStatus> {
  const [systemctl] = init({ systemd: unit }, 'status')
  try {
    const { code, output } = await run([systemctl, 'show', `--property=${PROPERTIES}`, '--', unit], clock, signal)
    return code === 0 ? unitStatus(output) : unknown(output)
  } catch (error) {
    return unknown((error as Error).message)
  }
}

const unknown = (detail: string): ProcessStatus => ({ state: 'unknown', pid: null, detail })

const STATES: Readonly<Record<string, ProcessStatus['state']>> = {
  active: 'running',
  reloading: 'running',
  refreshing: 'running',
  inactive: 'stopped',
  activating: 'stopped',
  deactivating: 'stopped',
  maintenance: 'stopped',
  failed: 'failed',
}

/** From what `systemctl show` prints: a line `Name=value` for each property. */
export function unitStatus(output: string): ProcessStatus {
  const found = new Map([...output.matchAll(/^(\w+)=(.*)$/gm)].map(([, name, value]) => [name!, value!]))
  const load = found.get('LoadState') || 'nothing'
  if (load !== 'loaded') return unknown(`systemd says of this unit: ${load}`)
  const active = found.get('ActiveState') ?? ''
  const result = found.get('Result') ?? 'success'
  const detail = `${active} (${found.get('SubState') ?? ''})${result === 'success' ? '' : `, ${result}`}`
  return { state: STATES[active] ?? 'unknown', pid: Number(found.get('MainPID')) || null, detail }
}
