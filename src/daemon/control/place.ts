/**
 * Where the control socket lies when the configuration does not say.
 *
 * The daemon and the commands find each other by the same rule; a root shell finds the daemon that systemd runs as a user of its own.
 */
import { join } from 'node:path'
import { stateFilePath } from '../../host/plugin/state-file.ts'

type Environment = Readonly<Record<string, string | undefined>>

const NAME = 'control.sock'
const SYSTEM = join('/run/milterhost', NAME)

/**
 * systemd's `RuntimeDirectory=`, else `/run/milterhost` for root, `$XDG_RUNTIME_DIR/milterhost` for others, and where
 * there is none, beside what plugins keep.
 * @param environment `process.env`
 */
export function controlPlace(environment: Environment): string {
  const { RUNTIME_DIRECTORY, XDG_RUNTIME_DIR } = environment
  if (RUNTIME_DIRECTORY !== undefined && RUNTIME_DIRECTORY !== '') return join(RUNTIME_DIRECTORY.split(':')[0]!, NAME)
  if (process.getuid?.() === 0) return SYSTEM
  if (XDG_RUNTIME_DIR !== undefined && XDG_RUNTIME_DIR !== '') return join(XDG_RUNTIME_DIR, 'milterhost', NAME)
  return stateFilePath(NAME, environment)
}

/** Where a command looks for the daemon, in order. */
export const controlPlaces = (environment: Environment): string[] => [...new Set([controlPlace(environment), SYSTEM])]
