/**
 * `definePlugin`: from what an author wrote to an entry of the `filters` list.
 *
 * A definition is checked where it is written, options and hooks when the configuration is loaded. Nothing of a plugin runs before
 * `create`. The factory carries the version of this API, so that a plugin made for another one is named as such.
 */

import { type EntryOptions, type FilterEntry, type FilterEnvironment, filterEntry } from '../config/entry.ts'
import { suggestion } from '../config/problem.ts'
import { hostError } from '../errors.ts'
import type { Filter, MaybePromise } from '../filter.ts'
import { within } from '../time/within.ts'
import { apiProblem, PLUGIN_API } from './api.ts'
import { HOOK_NAMES, type HookName, type Hooks } from './events.ts'
import { PluginFilter } from './filter.ts'
import { type Host, PluginHost } from './host.ts'
import { keepSchema } from './option-list.ts'
import { readOptions } from './options.ts'
import type { OptionsIn, OptionsOut, Schema } from './schema.ts'
import type { PluginParts } from './session.ts'
import { describeThrown } from './thrown.ts'

/** A plugin that takes a store's time to start is fine, one that never starts must not hold up a reload. Milliseconds. */
const SETUP_LIMIT = 60_000

/** The options of a plugin that takes none. */
export type NoOptions = Record<string, never>

/**
 * What a plugin is. `S` its options' schema, `C` its state for an SMTP connection, `M` its state for a message; all three
 * are inferred.
 */
export interface PluginDefinition<S extends Schema, C, M> {
  /** Short name: letters, digits, `-` `_` `.`; the package is `milter-plugin-<name>`. */
  readonly name: string
  /** For people, in `check` and `list`. */
  readonly version?: string
  /** The plugin API it was written for: then a milterhost with another one says so, and what to install. @default that of the installed milterhost */
  readonly api?: typeof PLUGIN_API
  /** Any Standard Schema (zod, valibot, arktype). Without one the plugin takes no options. */
  readonly options?: S
  /** State for one SMTP connection, made before the plugin's first hook on it: `event.connection`. */
  readonly connection?: () => C
  /** State for one message, made afresh at every MAIL: `event.message`. */
  readonly message?: () => M
  /**
   * It calls `event.authResult`: the MTA is asked for what the field of results needs.
   * @default false
   */
  readonly authResults?: boolean
  /** Runs once for each entry of the configuration; gives the hooks. A throw stops the start, or leaves the old configuration. */
  setup(host: Host, options: OptionsOut<S>): MaybePromise<Hooks<C, M>>
}

/** Options first, then what every entry takes. Options that are all optional may be left out. */
type PluginArguments<Options> =
  Record<never, never> extends Options
    ? [options?: Options | undefined, entry?: EntryOptions]
    : [options: Options, entry?: EntryOptions]

/** What a plugin's package exports: makes an entry of `filters`. `Options` are those that a configuration writes. */
export interface Plugin<Options = NoOptions> {
  (...args: PluginArguments<Options>): FilterEntry
  readonly api: typeof PLUGIN_API
  readonly pluginName: string
}

/**
 * Makes a plugin. Throws `PLUGIN_DEFINITION` for a definition that cannot be used.
 *
 * @example
 * ```ts
 * export default definePlugin({
 *   name: 'hello',
 *   options: z.object({ text: z.string().default('hello') }),
 *   setup: (host, options) => ({
 *     end(event) {
 *       event.edit.prependHeader('X-Hello', options.text)
 *     },
 *   }),
 * })
 * ```
 */
export function definePlugin<S extends Schema = Schema<NoOptions>, C = undefined, M = undefined>(
  definition: PluginDefinition<S, C, M>,
): Plugin<OptionsIn<S>> {
  checkDefinition(definition)
  const { name, version } = definition
  const describe = version === undefined ? name : `${name} ${version}`
  const factory = (options?: unknown, entry: EntryOptions = {}): FilterEntry =>
    filterEntry({
      kind: 'plugin',
      defaultName: name,
      options: entry,
      plugin: { name, options, api: definition.api ?? PLUGIN_API },
      describe,
      create: environment => createFilter(definition, describe, options, environment),
    })
  keepSchema(factory, definition.options)
  return Object.assign(factory, { api: PLUGIN_API, pluginName: name } as const) as Plugin<OptionsIn<S>>
}

function checkDefinition(definition: unknown): void {
  const { name, version, api, options, connection, message, authResults, setup } = (definition ?? {}) as Record<
    string,
    unknown
  >
  const refuse = (what: string): never => {
    throw hostError('PLUGIN_DEFINITION', typeof name === 'string' ? name : 'a plugin without a name', what)
  }
  if (typeof name !== 'string' || !/^[a-z0-9][a-z0-9._-]*$/i.test(name))
    refuse('name must be a short name of letters, digits, "-", "_" and "."')
  const misfit = api === undefined ? null : apiProblem(String(name), api)
  if (misfit !== null) throw misfit
  if (version !== undefined && typeof version !== 'string') refuse('version must be a string')
  if (options !== undefined && !isSchema(options))
    refuse('options must be a Standard Schema, such as z.object({ … }) of zod')
  for (const [key, value] of Object.entries({ connection, message }))
    if (value !== undefined && typeof value !== 'function')
      refuse(`${key} must be a function that makes the state, such as () => ({ seen: 0 })`)
  if (authResults !== undefined && typeof authResults !== 'boolean') refuse('authResults must be true or false')
  if (typeof setup !== 'function') refuse('setup must be a function that returns the hooks')
  const known = ['name', 'version', 'api', 'options', 'connection', 'message', 'authResults', 'setup']
  for (const key of Object.keys(definition as object)) {
    if (known.includes(key)) continue
    if (HOOK_NAMES.includes(key as HookName)) refuse(`the hook ${key} belongs into the object that setup returns`)
    refuse(`there is no ${JSON.stringify(key)} in a definition${suggestion(key, known)}`)
  }
}

const isSchema = (value: unknown): value is Schema =>
  (typeof value === 'object' || typeof value === 'function') &&
  value !== null &&
  typeof (value as { '~standard'?: { validate?: unknown } })['~standard']?.validate === 'function'

async function createFilter<S extends Schema, C, M>(
  definition: PluginDefinition<S, C, M>,
  describe: string,
  given: unknown,
  environment: FilterEnvironment,
): Promise<Filter> {
  const { clock, policy } = environment
  const options = (await readOptions(policy.name, definition.options, given)) as OptionsOut<S>
  const host = new PluginHost(definition.name, environment)
  try {
    const hooks = await within(SETUP_LIMIT, clock, async () => definition.setup(host, options)).catch(thrown => {
      throw hostError('PLUGIN_SETUP', policy.name, describeThrown(thrown))
    })
    return new PluginFilter({
      name: policy.name,
      describe,
      hooks: readHooks(policy.name, hooks),
      connection: definition.connection ?? (() => undefined),
      message: definition.message ?? (() => undefined),
      authResults: definition.authResults ?? false,
      host,
      clock,
      log: environment.log,
    })
  } catch (error) {
    // What setup opened before it failed is closed again: a reload that fails must leave nothing behind.
    await host.close()
    throw error
  }
}

/** The hooks by name, those that are not there left out. */
function readHooks(plugin: string, hooks: unknown): PluginParts['hooks'] {
  const refuse = (what: string): never => {
    throw hostError('PLUGIN_HOOK', plugin, what)
  }
  if (typeof hooks !== 'object' || hooks === null) return refuse(`setup must return an object with the hooks`)
  const read: Record<string, unknown> = {}
  for (const name of namesOf(hooks)) {
    const hook = (hooks as Record<string, unknown>)[name]
    if (hook === undefined) continue
    if (!HOOK_NAMES.includes(name as HookName))
      refuse(
        `there is no hook ${JSON.stringify(name)}${elsewhere(name) || suggestion(name, HOOK_NAMES) || `; there are ${HOOK_NAMES.join(', ')}`}`,
      )
    if (typeof hook !== 'function') refuse(`${name} is not a function`)
    read[name] = (hook as (event: unknown) => unknown).bind(hooks)
  }
  return read as PluginParts['hooks']
}

/** Names of the same events in libmilter and its kin; whoever comes from there writes these. */
const LIBMILTER: ReadonlyMap<string, HookName> = new Map([
  ['envfrom', 'mail'],
  ['from', 'mail'],
  ['envrcpt', 'rcpt'],
  ['to', 'rcpt'],
  ['header', 'headers'],
  ['eoh', 'headers'],
  ['eom', 'end'],
  ['abort', 'settled'],
])

function elsewhere(name: string): string {
  const known = LIBMILTER.get(name.toLowerCase().replace(/^(?:xxfi|mlfi|on)_?/, ''))
  return known === undefined ? '' : `; what libmilter calls ${name} is ${known}`
}

/** Own keys; for an instance of a class also its hooks' names, so that a class with helpers may serve. */
function namesOf(hooks: object): readonly string[] {
  const prototype: unknown = Object.getPrototypeOf(hooks)
  const own = Object.keys(hooks)
  if (prototype === Object.prototype || prototype === null) return own
  return [
    ...new Set([
      ...HOOK_NAMES.filter(name => name in hooks),
      ...own.filter(name => HOOK_NAMES.includes(name as HookName)),
    ]),
  ]
}
