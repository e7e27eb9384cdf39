/**
 * How a command finds the daemon that runs, and asks it: the options that all such commands have, and the order of places.
 *
 * `--socket` names the socket; `--config` the configuration that names it. Otherwise the default places are tried, and then, where no
 * daemon is there, a socket that the configuration found as usual names: a broken configuration does not keep a command
 * from a daemon that runs.
 */
import type { Command } from 'commander'
import { type Answered, askControl, isNobody } from '../daemon/control/client.ts'
import { controlPlaces } from '../daemon/control/place.ts'
import type { ControlRequest, ControlResults } from '../daemon/control/protocol.ts'
import { locateConfig, SYSTEM_FOLDER } from '../host/config/locate.ts'
import { hostError } from '../host/errors.ts'
import { ConfigurationSource } from './configuration.ts'

export interface RunningOptions {
  readonly socket?: string
  readonly config?: string
  readonly json?: true
}

/** Adds the options that every command has that asks the daemon. */
export const forRunning = (command: Command): Command =>
  command
    .option('-s, --socket <path>', 'control socket of the daemon')
    .option('-c, --config <file>', 'configuration of the daemon, which names its control socket')
    .option('--json', 'print JSON')

/** Throws the daemon's own coded error, or `CONTROL_UNREACHABLE`. */
export async function askRunning<R extends ControlRequest>(
  { socket, config }: RunningOptions,
  request: R,
): Promise<Answered<ControlResults[R['do']]>> {
  if (socket !== undefined) return askControl(socket, request)
  const named = config === undefined ? null : await socketOf(config)
  if (named !== null) return askControl(named, request)
  const absent: unknown[] = []
  for (const place of controlPlaces(process.env)) {
    try {
      return await askControl(place, request)
    } catch (error) {
      if (!isNobody(error)) throw error
      absent.push(error)
    }
  }
  if (config === undefined && locateConfig(undefined, [process.cwd(), SYSTEM_FOLDER]) !== null) {
    const found = await socketOf(undefined)
    if (found !== null) return askControl(found, request)
  }
  throw absent[0]
}

/** The one request of most commands. */
export async function resultOf<R extends ControlRequest>(
  options: RunningOptions,
  request: R,
): Promise<ControlResults[R['do']]> {
  const { result, close } = await askRunning(options, request)
  close()
  return result
}

/** `null` for the default place. */
async function socketOf(config: string | undefined): Promise<string | null> {
  const { file, configuration } = await new ConfigurationSource(config).load()
  const { control } = configuration.settings
  if (control === null)
    throw hostError('CONTROL_UNREACHABLE', file ?? 'the default configuration', 'it says control: false')
  return control.socket
}
