/**
 * What an author works on: the file that is loaded, the folder it belongs to, its scenario files.
 *
 * A folder means its configuration, which is the one that `milterhost test` and `run` take there, or else its plugin. Looked at
 * afresh for every round: nothing is remembered. Called by `dev.ts` and by the process that plays a round.
 */
import { globSync, statSync } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { type FilterEntry, isFilterEntry } from '../../host/config/entry.ts'
import { installation } from '../../host/config/installation.ts'
import { ConfigLoader } from '../../host/config/loader.ts'
import { CONFIG_NAMES } from '../../host/config/locate.ts'
import { shown } from '../../host/config/problem.ts'
import type { Configuration } from '../../host/config/validate.ts'
import { HostError, hostError } from '../../host/errors.ts'
import { validated } from '../configuration.ts'

export interface Subject {
  /** Loaded for its default export: a plugin, an entry, a list of entries or a configuration. */
  readonly file: string
  /** Where its scenarios, tests and settings are looked for. */
  readonly folder: string
}

const EXTENSIONS = ['ts', 'mts', 'js', 'mjs', 'cts', 'cjs']
const PLUGIN_NAMES = ['src/index', 'index', 'plugin'].flatMap(name =>
  EXTENSIONS.map(extension => `${name}.${extension}`),
)
/** Below the folder; the first what a small project has, the second what `npm create milter-plugin` makes. */
export const SCENARIO_PATTERNS: readonly string[] = ['*.scenario', '{test,tests}/**/*.scenario']

/** `target`: a file or a folder; none is the folder one is in. Throws `DEV_NOTHING` where there is nothing to load. */
export function findSubject(target: string | undefined): Subject {
  const path = resolve(target ?? '.')
  const found = statSync(path, { throwIfNoEntry: false })
  if (found?.isFile()) {
    const beside = dirname(path)
    return { file: path, folder: basename(beside) === 'src' ? dirname(beside) : beside }
  }
  if (!found) throw hostError('DEV_NOTHING', path, 'it is not there')
  const names = [...CONFIG_NAMES, ...PLUGIN_NAMES]
  const file = names.map(name => join(path, name)).find(one => statSync(one, { throwIfNoEntry: false })?.isFile())
  if (file === undefined)
    throw hostError('DEV_NOTHING', path, 'the folder has no milterhost.config.ts, src/index.ts, index.ts or plugin.ts')
  return { file, folder: path }
}

/** Absolute and sorted, each once. `patterns`: files, folders and patterns, against the folder one is in; none are those of the subject. */
export function scenarioFiles({ folder }: Subject, patterns: readonly string[] | undefined): string[] {
  const found =
    patterns === undefined
      ? SCENARIO_PATTERNS.flatMap(pattern => globSync(pattern, { cwd: folder }).map(file => join(folder, file)))
      : patterns.flatMap(pattern => matching(resolve(pattern)))
  return [...new Set(found)].sort()
}

/** A file that is not there stays in the list, so that it is told. */
function matching(path: string): string[] {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found?.isDirectory()) return globSync(join(path, '**/*.scenario'))
  return found || !/[*?[{]/.test(path) ? [path] : globSync(path)
}

export interface Loaded {
  readonly configuration: Configuration
  /** The file exports a plugin, which is tried without options. */
  readonly bare: boolean
}

/** One load of a subject in a process of its own. */
export class SubjectLoader {
  readonly #loader = new ConfigLoader(installation())

  /** All that was read, besides packages; also of a load that failed, as far as it came. */
  get files(): readonly string[] {
    return this.#loader.files
  }

  /** Throws a coded error that names the place. */
  async load({ file }: Subject): Promise<Loaded> {
    const exported = await this.#loader.load(file, 'definePlugin({ … })')
    const bare = isPlugin(exported)
    const filters = bare ? [exported()] : isFilterEntry(exported) ? [exported] : exported
    if (Array.isArray(filters)) return { configuration: validated({ filters }, file), bare }
    if (typeof filters !== 'object' || filters === null) throw hostError('DEV_EXPORT', file, shown(exported))
    return { configuration: validated(filters, file), bare }
  }
}

const isPlugin = (value: unknown): value is () => FilterEntry => typeof value === 'function' && 'pluginName' in value

/** As the author would write it. */
export const shortPath = (file: string): string => {
  const path = relative('.', file)
  return path.startsWith('../') ? file : path
}

/** Options are what is missing, and the author may not know where they come from here. */
export const optionsHint = (error: unknown, { bare }: Loaded): string =>
  bare && error instanceof HostError && error.code === 'PLUGIN_OPTIONS'
    ? '\nThe plugin was tried without options. To give it some, export default plugin({ … }) from a file and name that, or write a milterhost.config.ts.'
    : ''
