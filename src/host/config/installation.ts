/**
 * Where the running program lies: a checkout that runs from `src/`, or an installed package that runs from `dist/`.
 *
 * A configuration in /etc/milterhost has no `node_modules`, and a plugin may bring another copy of the package: whatever
 * they import as `milterhost` must be the program that runs them (`loader.ts`).
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

export interface Installation {
  /** Folder of the package. */
  readonly root: string
  readonly version: string
  /** True when nothing was built: the sources themselves run. */
  readonly checkout: boolean
  /** URL by specifier: `milterhost`, `milterhost/plugin`, … */
  readonly modules: ReadonlyMap<string, string>
  /** In a checkout, the plugins that lie in it, by specifier: `milter-plugin-NAME`, `milter-plugin-NAME/command`. */
  readonly plugins: ReadonlyMap<string, string>
}

/** The installation that the module at `from` belongs to. */
export function installation(from: string = import.meta.url): Installation {
  const file = fileURLToPath(from)
  let root = dirname(file)
  while (!isOurs(root)) {
    const parent = dirname(root)
    if (parent === root) throw new Error(`${file} is not part of a milterhost package`)
    root = parent
  }
  const { version, exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest
  const checkout = file.startsWith(join(root, 'src/'))
  const modules = new Map<string, string>()
  for (const key of Object.keys(exports ?? { '.': null })) {
    const name = key === '.' ? 'index' : key.slice(2)
    const path = join(root, checkout ? `src/${name}.ts` : `dist/${name}.js`)
    if (existsSync(path)) modules.set(key === '.' ? 'milterhost' : `milterhost/${name}`, pathToFileURL(path).href)
  }
  return { root, version, checkout, modules, plugins: checkout ? pluginSources(join(root, 'plugins')) : new Map() }
}

function pluginSources(folder: string): Map<string, string> {
  const sources = new Map<string, string>()
  for (const name of existsSync(folder) ? readdirSync(folder) : []) {
    for (const [module, path] of Object.entries({ index: '', command: '/command' })) {
      const file = join(folder, name, `src/${module}.ts`)
      if (existsSync(file)) sources.set(`milter-plugin-${name}${path}`, pathToFileURL(file).href)
    }
  }
  return sources
}

interface Manifest {
  readonly name?: string
  readonly version: string
  readonly exports?: Readonly<Record<string, unknown>>
}

function isOurs(folder: string): boolean {
  const path = join(folder, 'package.json')
  return existsSync(path) && (JSON.parse(readFileSync(path, 'utf8')) as Manifest).name === 'milterhost'
}
