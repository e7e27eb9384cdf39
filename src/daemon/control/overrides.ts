/**
 * Filters that the postmaster switched on or off by command, kept in a file: they outlast restarts and reloads.
 *
 * The file wins over `enabled` of the configuration. It is written whole, to the disk, and put in its place by a rename. One
 * that cannot be read is set aside, said, and counts as empty: the configuration as written is what serves then. The
 * daemon reads it whenever it reads the configuration.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Configuration } from '../../host/config/validate.ts'
import { hostError } from '../../host/errors.ts'
import type { Logger } from '../../host/observe/logger.ts'
import type { Clock } from '../../host/time/clock.ts'

/** Enabled or not, by name of the filter. */
export type Switched = ReadonlyMap<string, boolean>

const VERSION = 1
/** Its name where the daemon keeps what it does not forget. */
export const SWITCHES = 'filters.json'

export interface Overridden {
  readonly configuration: Configuration
  /** Names in the file that the configuration does not have. */
  readonly ignored: readonly string[]
}

export class Overrides {
  readonly #path: string
  readonly #clock: Clock
  readonly #log: Logger

  constructor(path: string, { clock, log }: { readonly clock: Clock; readonly log: Logger }) {
    this.#path = path
    this.#clock = clock
    this.#log = log
  }

  /** Never throws for what is in the file. */
  read(): Switched {
    const text = readText(this.#path)
    try {
      return parse(text)
    } catch (error) {
      this.#setAside(error as Error)
      return new Map()
    }
  }

  /** Throws a coded error, and then the file is as it was. */
  write(switched: Switched): void {
    const temporary = `${this.#path}.new`
    const text = `${JSON.stringify({ version: VERSION, filters: Object.fromEntries(switched) }, null, 2)}\n`
    try {
      mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 })
      const file = openSync(temporary, 'w', 0o600)
      try {
        writeSync(file, text)
        fsyncSync(file)
      } finally {
        closeSync(file)
      }
      renameSync(temporary, this.#path)
    } catch (error) {
      throw hostError('CONTROL_STATE', this.#path, `it cannot be written: ${(error as Error).message}`)
    }
  }

  /** The configuration as it is to serve. */
  appliedTo(configuration: Configuration): Overridden {
    return applied(configuration, this.read())
  }

  #setAside(error: Error): void {
    const aside = `${this.#path}.damaged-${new Date(this.#clock.now()).toISOString().replace(/[:.]/g, '-')}`
    const { code, message } = hostError('CONTROL_STATE', this.#path, `${error.message}; it was set aside as ${aside}`)
    this.#log.error({ code }, message)
    renameSync(this.#path, aside)
  }
}

/** The configuration as a daemon with that file serves it. The file is left alone; throws a coded error when it cannot be used. */
export function asSwitched(configuration: Configuration, path: string): Configuration {
  const text = readText(path)
  try {
    return applied(configuration, parse(text)).configuration
  } catch (error) {
    throw hostError('CONTROL_STATE', path, (error as Error).message)
  }
}

function applied(configuration: Configuration, switched: Switched): Overridden {
  if (switched.size === 0) return { configuration, ignored: [] }
  const names = new Set(configuration.entries.map(({ policy }) => policy.name))
  const entries = configuration.entries.map(configured => {
    const { policy } = configured
    const enabled = switched.get(policy.name) ?? policy.enabled
    return enabled === policy.enabled ? configured : { ...configured, policy: { ...policy, enabled }, overridden: true }
  })
  return {
    configuration: { ...configuration, entries },
    ignored: [...switched.keys()].filter(name => !names.has(name)),
  }
}

/** `null` when there is no such file. */
function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw hostError('CONTROL_STATE', path, `it cannot be read: ${(error as Error).message}`)
  }
}

function parse(text: string | null): Switched {
  if (text === null) return new Map()
  const { version, filters } = JSON.parse(text) as { readonly version?: unknown; readonly filters?: unknown }
  if (version !== VERSION) throw new Error(`it has format ${String(version)}, this release reads ${VERSION}`)
  const pairs = Object.entries(filters as Record<string, unknown>)
  for (const [name, enabled] of pairs)
    if (typeof enabled !== 'boolean') throw new Error(`${JSON.stringify(name)} is neither true nor false`)
  return new Map(pairs as [string, boolean][])
}
