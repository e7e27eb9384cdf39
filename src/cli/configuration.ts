/**
 * Finds, executes and validates the configuration for the commands; without one, the shipped default.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { placeOf } from '../bridge/detect/index.ts'
import { parseSocketAddress } from '../bridge/wire/index.ts'
import { installation } from '../host/config/installation.ts'
import { ConfigLoader } from '../host/config/loader.ts'
import { locateConfig, SYSTEM_FOLDER } from '../host/config/locate.ts'
import { ConfigError, type Configuration, validateConfig } from '../host/config/validate.ts'
import { withLines } from '../host/config/where.ts'
import { hostError } from '../host/errors.ts'
import { systemClock } from '../host/time/clock.ts'
import { within } from '../host/time/within.ts'

/** A configuration may ask a database while it executes, but one that never ends must not keep a reload from being tried again. */
const LOAD_LIMIT = 60_000

export interface LoadedConfiguration {
  /** `null` for the shipped default. */
  readonly file: string | null
  readonly configuration: Configuration
}

function listenPlace(address: string): string | undefined {
  parseSocketAddress(address, 'listen')
  return placeOf(address) ?? undefined
}

export class ConfigurationSource {
  readonly #named: string | undefined
  readonly #inherited: readonly string[]
  readonly #installation = installation()
  readonly #loader = new ConfigLoader(this.#installation)

  /** `named` is what `--config` says; `inherited`, of a daemon, the addresses of sockets that it was given. */
  constructor(named: string | undefined, inherited: readonly string[] = []) {
    this.#named = named
    this.#inherited = inherited
  }

  /** What a module of a package exports, as the configuration in that folder would import it; `null` when it is not there. */
  importFrom(folder: string, module: string): Promise<Readonly<Record<string, unknown>> | null> {
    return this.#loader.importFrom(folder, module)
  }

  /** Looks, executes and validates anew at each call. Throws a coded error. */
  load(): Promise<LoadedConfiguration> {
    return this.another(this.#named)
  }

  /** The same for a configuration of another name: a process has one loader. */
  async another(named: string | undefined): Promise<LoadedConfiguration> {
    const file = locateConfig(named, [process.cwd(), SYSTEM_FOLDER])
    const { root, checkout } = this.#installation
    const path = file ?? join(root, checkout ? 'src/defaults/config.ts' : 'dist/defaults/config.js')
    const raw = await within(
      LOAD_LIMIT,
      systemClock,
      () => this.#loader.load(path),
      what => hostError('CONFIG_THREW', path, what),
    )
    return { file, configuration: validated(raw, file, this.#inherited) }
  }
}

/** `file`: where it was read from, whose lines are named; `null` for the shipped default. Throws a coded error with every mistake. */
export function validated(raw: unknown, file: string | null, inherited: readonly string[] = []): Configuration {
  const name = file ?? 'the default configuration'
  try {
    return validateConfig(raw, name, listenPlace, inherited)
  } catch (error) {
    if (!(error instanceof ConfigError) || file === null) throw error
    throw new ConfigError(name, withLines(error.problems, readFileSync(file, 'utf8')))
  }
}
