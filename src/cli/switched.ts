/**
 * The configuration as the daemon of this machine serves it: with what `milterhost enable` and `disable` switched, for commands that say what
 * filters do. The file is where this user's daemon keeps it; when it cannot be read that is said, and the configuration stays as written.
 */
import { asSwitched, SWITCHES } from '../daemon/control/overrides.ts'
import type { Configuration } from '../host/config/validate.ts'
import { stateFilePath } from '../host/plugin/state-file.ts'
import { complain } from './console.ts'

export function withSwitches(configuration: Configuration): Configuration {
  try {
    return asSwitched(configuration, stateFilePath(SWITCHES, process.env))
  } catch (error) {
    complain(`${(error as Error).message}; filters are shown as the configuration has them`)
    return configuration
  }
}

/** After the word for on or off. */
export const byCommand = (overridden: boolean | undefined): string => (overridden ? ' (by command)' : '')
