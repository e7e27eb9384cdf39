/**
 * `milterhost plugins`: which plugins are installed where the configuration would import them from, and what options they take.
 *
 * Packages with the keyword `milter-plugin` in the `node_modules` of that folder and of those above it; workspaces are links there. Each is imported, since its
 * options stand in its code, but nothing of it is set up: no store is opened. One that cannot be imported is listed with the reason.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Command } from 'commander'
import { locateConfig, SYSTEM_FOLDER } from '../host/config/locate.ts'
import { shown } from '../host/config/problem.ts'
import { type OptionInfo, optionsOf } from '../host/plugin/option-list.ts'
import { ConfigurationSource } from './configuration.ts'
import { EXIT, EXIT_HELP, type ExitCode, print, printJson } from './console.ts'
import { table } from './table.ts'

const KEYWORD = 'milter-plugin'

interface Installed {
  readonly package: string
  readonly version: string
  readonly folder: string
  /** The hooks it may have, as its package.json says (`"milterhost": { "hooks": […] }`); which of them it has depends on its options. */
  readonly hooks: readonly string[] | null
  /** `null` when they cannot be known. */
  readonly options: readonly OptionInfo[] | null
  /** Why it could not be imported. */
  readonly problem: string | null
}

interface PluginsOptions {
  readonly config?: string
  readonly json?: true
}

export const pluginsCommand = (done: (code: ExitCode) => void): Command =>
  new Command('plugins')
    .description('list the installed plugins and their options')
    .option('-c, --config <file>', 'configuration file, or the folder it lies in')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Examples:
  milterhost plugins
  milterhost plugins --json | jq '.plugins[].package'
${EXIT_HELP}`,
    )
    .action(async (options: PluginsOptions) => done(await plugins(options)))

async function plugins({ config, json }: PluginsOptions): Promise<ExitCode> {
  const file = locateConfig(config, [process.cwd(), SYSTEM_FOLDER])
  const folder = file === null ? process.cwd() : dirname(file)
  const source = new ConfigurationSource(config)
  const found: Installed[] = []
  for (const one of packagesFrom(folder)) found.push({ ...one, ...(await imported(source, folder, one.package)) })
  if (json) {
    printJson({ folder, plugins: found })
    return EXIT.ok
  }
  if (found.length === 0) {
    print(`No plugin is installed for ${folder}: npm install milter-plugin-NAME there.`)
    return EXIT.ok
  }
  const rows = found.map(({ package: name, version, hooks, options, problem }) => [
    name,
    version,
    hooks?.join(' ') ?? '-',
    problem ?? (options === null ? '?' : options.map(optionText).join(' ')),
  ])
  print(table(['package', 'version', 'hooks', 'options'], rows))
  return EXIT.ok
}

const optionText = ({ name, required, initial }: OptionInfo): string =>
  required ? `${name}!` : initial === undefined ? name : `${name}=${shown(initial)}`

interface Manifest {
  readonly name?: unknown
  readonly version?: unknown
  readonly keywords?: unknown
  readonly milterhost?: { readonly hooks?: unknown }
}

/** By name, each once: the nearest one is what an import finds. */
function packagesFrom(start: string): Omit<Installed, 'options' | 'problem'>[] {
  const found = new Map<string, Omit<Installed, 'options' | 'problem'>>()
  for (let folder = start; ; folder = dirname(folder)) {
    for (const at of packageFolders(join(folder, 'node_modules'))) {
      const manifest = manifestOf(at)
      if (manifest === null || typeof manifest.name !== 'string' || found.has(manifest.name)) continue
      if (!Array.isArray(manifest.keywords) || !manifest.keywords.includes(KEYWORD)) continue
      const hooks = manifest.milterhost?.hooks
      found.set(manifest.name, {
        package: manifest.name,
        version: String(manifest.version ?? '?'),
        folder: at,
        hooks: Array.isArray(hooks) ? hooks.map(String) : null,
      })
    }
    if (dirname(folder) === folder) break
  }
  return [...found.values()].sort((a, b) => (a.package < b.package ? -1 : 1))
}

function packageFolders(modules: string): string[] {
  return namesIn(modules).flatMap(name =>
    name.startsWith('@')
      ? namesIn(join(modules, name)).map(inner => join(modules, name, inner))
      : [join(modules, name)],
  )
}

/** Nothing where there is no such folder. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter(name => !name.startsWith('.'))
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return []
    throw error
  }
}

/** `null` for what is no package. */
function manifestOf(folder: string): Manifest | null {
  let text: string
  try {
    text = readFileSync(join(folder, 'package.json'), 'utf8')
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return null
    throw error
  }
  try {
    return JSON.parse(text) as Manifest
  } catch {
    // Somebody's broken package is nobody's plugin.
    return null
  }
}

async function imported(
  source: ConfigurationSource,
  folder: string,
  name: string,
): Promise<Pick<Installed, 'options' | 'problem'>> {
  try {
    const module = await source.importFrom(folder, name)
    if (module === null) return { options: null, problem: 'it exports nothing that a configuration could import' }
    if (typeof module.default !== 'function' || !('pluginName' in module.default))
      return { options: null, problem: 'its default export is not made by definePlugin' }
    return { options: optionsOf(module.default), problem: null }
  } catch (error) {
    return { options: null, problem: (error as Error).message }
  }
}
