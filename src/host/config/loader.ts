/**
 * Executes a configuration file, afresh each time, in TypeScript, ESM or CommonJS, with the files it imports.
 *
 * tsx reads TypeScript; what is added here, by one resolve hook on top of it:
 * - `milterhost` and its sub-paths are always the running program;
 * - files outside `node_modules` carry the number of the load in their URL, so that a reload reads them again; a lazy
 *   `import()` in an old configuration stays within its own load. Packages in `node_modules` are loaded once a process;
 * - a `.ts` or `.js` file with `import` or `export` in it is ESM even where no package.json says so (/etc/milterhost has
 *   none, and tsx would make it CommonJS, without top-level await);
 * - a package that the file's folder does not have is looked for beside milterhost;
 * - in a checkout its own plugins are read from their sources: nothing has built them.
 *
 * The hooks act on the whole process and stay: a plugin may import lazily at any time. One loader a process.
 */
import { readFileSync } from 'node:fs'
import { createRequire, type ResolveHookContext, registerHooks } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { register } from 'tsx/esm/api'
import { hostError } from '../errors.ts'
import type { Installation } from './installation.ts'
import { isNotFound, loadError } from './load-error.ts'

/** A top-level import or export statement; `import x = require()` and `export =` are TypeScript's CommonJS. */
const MODULE_SYNTAX = /^\s*(?:import\s*(?:[\w$*{]|['"])(?!.*=\s*require)|export\s+(?!=)[\w${*])/m
const COMMENTS = /\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm
const MARK = 'milterhost-load'
const FORGETTING = '.milterhost-forgets'
const FROM = 'milterhost-from:'
const FORGOTTEN = new Error('forgotten')

export class ConfigLoader {
  readonly #installation: Installation
  readonly #cache: NodeJS.Dict<NodeJS.Module> = createRequire(import.meta.url).cache
  /** Files of the newest load. */
  readonly #files = new Set<string>()
  /** What CommonJS files of the newest load required: folder and specifier. */
  readonly #required = new Map<string, readonly [folder: string, specifier: string]>()
  #loads = 0
  #hooked = false

  constructor(installation: Installation) {
    this.#installation = installation
  }

  /** The files of the newest load, also of one that failed, as far as it came. */
  get files(): readonly string[] {
    return [...this.#files]
  }

  /** What the file exports as default; `wanted` says what to write where nothing is. Errors are coded and name the file and the place. */
  async load(path: string, wanted = 'defineConfig({ … })'): Promise<unknown> {
    this.#hook()
    this.#forget()
    const url = pathToFileURL(path)
    url.searchParams.set(MARK, String(++this.#loads))
    let namespace: { readonly default?: unknown }
    try {
      namespace = (await import(url.href)) as { readonly default?: unknown }
    } catch (error) {
      throw loadError(path, error, this.#files, unmarked)
    }
    if (!('default' in namespace))
      throw hostError('CONFIG_INVALID', path, [`it has no default export: write export default ${wanted}`])
    const value = namespace.default
    // CommonJS made from `export default` puts it one level down.
    return isCompiledModule(value) ? value.default : value
  }

  /** A module of a package as a file in that folder would import it; `null` when the package or the module is not there. */
  async importFrom(folder: string, specifier: string): Promise<Readonly<Record<string, unknown>> | null> {
    this.#hook()
    const from = encodeURIComponent(pathToFileURL(join(folder, 'package.json')).href)
    try {
      return (await import(`${FROM}${from}:${specifier}`)) as Readonly<Record<string, unknown>>
    } catch (error) {
      if (isAbsent(error, specifier)) return null
      throw loadError(specifier, error, this.#files, unmarked)
    }
  }

  /**
   * Takes CommonJS out of its caches. Deleting a module is not enough: `require` remembers for each folder which file a specifier
   * meant, and gives out an empty module where an ES importer has only looked at its names (Node 24). It forgets when it finds
   * that the file is gone from the cache, so it is asked once for each, by a parent that the hook refuses.
   */
  #forget(): void {
    for (const file of this.#files) delete this.#cache[file]
    for (const [folder, specifier] of this.#required.values()) {
      try {
        createRequire(join(folder, FORGETTING))(specifier)
      } catch (error) {
        if (error !== FORGOTTEN) throw error
      }
    }
    this.#files.clear()
    this.#required.clear()
  }

  #hook(): void {
    if (this.#hooked) return
    this.#hooked = true
    register({ tsconfig: false })
    registerHooks({ resolve: (specifier, context, next) => this.#resolve(specifier, context, next) })
  }

  #resolve(specifier: string, context: ResolveHookContext, next: NextResolve): ReturnType<NextResolve> {
    if (context.parentURL !== undefined && basename(context.parentURL) === FORGETTING) throw FORGOTTEN
    const own = this.#installation.modules.get(specifier)
    if (own !== undefined) return { url: own, shortCircuit: true }
    if (specifier.startsWith(FROM)) {
      const [parent = '', ...rest] = specifier.slice(FROM.length).split(':')
      return this.#find(rest.join(':'), { ...context, parentURL: decodeURIComponent(parent) }, next)
    }
    const load = loadOf(context.parentURL) ?? this.#loadOfCommonJs(context.parentURL) ?? loadOf(specifier)
    if (load === null)
      return this.#isOurs(context.parentURL) ? this.#find(specifier, context, next) : next(specifier, context)
    if (!context.conditions.includes('import')) this.#recordRequire(specifier, context.parentURL)
    // tsx takes a file with a query for CommonJS in disguise: it is shown the URL without ours.
    const found = this.#find(specifier.replace(/\?milterhost-load=\d+$/, ''), context, next)
    if (!found.url.startsWith('file:') || found.url.includes('/node_modules/')) return found
    const url = new URL(found.url)
    const file = fileOf(found.url)
    if (file.startsWith(join(this.#installation.root, this.#installation.checkout ? 'src/' : 'dist/'))) return found
    this.#files.add(file)
    const format = /\.[jt]s$/.test(file) && hasModuleSyntax(file) ? moduleFormat(file) : found.format
    const isModule = format?.startsWith('module') ?? false
    // A URL with a query cannot be required as CommonJS; those are taken out of the cache instead.
    if (context.conditions.includes('import') || isModule) url.searchParams.set(MARK, load)
    return { ...found, url: url.href, ...(format === undefined ? {} : { format }) }
  }

  /** The default configuration is part of the program, and imports plugins all the same. */
  #isOurs(parent: string | undefined): boolean {
    return parent?.startsWith(pathToFileURL(join(this.#installation.root, 'src/defaults/')).href) ?? false
  }

  #recordRequire(specifier: string, parent: string | undefined): void {
    if (!parent?.startsWith('file:')) return
    const folder = dirname(fileOf(parent))
    this.#required.set(`${folder}\0${specifier}`, [folder, specifier])
  }

  /** In CommonJS the parent is a plain file: it belongs to the newest load. */
  #loadOfCommonJs(parent: string | undefined): string | null {
    if (!parent?.startsWith('file:')) return null
    return this.#files.has(fileOf(parent)) ? String(this.#loads) : null
  }

  #find(specifier: string, context: ResolveHookContext, next: NextResolve): ReturnType<NextResolve> {
    const source = this.#installation.plugins.get(specifier)
    try {
      const found = next(specifier, context)
      const linked =
        source !== undefined && found.url.startsWith(pathToFileURL(join(this.#installation.root, '/')).href)
      return linked ? { url: source, shortCircuit: true } : found
    } catch (error) {
      if (!isBare(specifier) || !isNotFound(error)) throw error
      if (source !== undefined) return { url: source, shortCircuit: true }
      const parentURL = pathToFileURL(join(this.#installation.root, 'package.json')).href
      try {
        return next(specifier, { ...context, parentURL })
      } catch (second) {
        // Neither place has it: the first error names the file that asked.
        throw isNotFound(second) ? error : second
      }
    }
  }
}

type NextResolve = Parameters<NonNullable<Parameters<typeof registerHooks>[0]['resolve']>>[2]

/** Nothing answers to the specifier itself; what a module that is there cannot find is another matter. */
function isAbsent(error: unknown, specifier: string): boolean {
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown }
  if (code === 'ERR_PACKAGE_PATH_NOT_EXPORTED') return true
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
  return isNotFound(error) && String(message).includes(`package '${name}'`)
}

const loadOf = (url: string | undefined): string | null =>
  url?.includes(MARK) ? (/[?&]milterhost-load=(\d+)/.exec(url)?.[1] ?? null) : null

const fileOf = (url: string): string => fileURLToPath(`file://${new URL(url).pathname}`)

const moduleFormat = (file: string): string => (file.endsWith('.ts') ? 'module-typescript' : 'module')

const hasModuleSyntax = (file: string): boolean =>
  MODULE_SYNTAX.test(readFileSync(file, 'utf8').replaceAll(COMMENTS, ''))

const isBare = (specifier: string): boolean => !/^(?:\.{0,2}\/|[a-z][a-z0-9+.-]*:|#|\.{1,2}$)/i.test(specifier)

const unmarked = (text: string): string => text.replaceAll(/\?(?:milterhost-load|tsx-[\w-]+)=[^\s:'")]*/g, '')

function isCompiledModule(value: unknown): value is { readonly default: unknown } {
  if (typeof value !== 'object' || value === null || !('default' in value)) return false
  return '__esModule' in value || Object.keys(value).length === 1
}
