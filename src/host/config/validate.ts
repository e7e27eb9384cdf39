/**
 * Makes settings and entries from what a configuration file exports, or says everything that is wrong with it.
 *
 * Nothing is opened and no filter is created. How an address is spelt is the bridge's knowledge, so the caller passes the
 * check in. Called by the daemon at start and reload, by the commands, and by the test helper.
 */
import { HostError, hostError } from '../errors.ts'
import { apiProblem } from '../plugin/api.ts'
import { wantsOf } from '../policy/condition.ts'
import { isLookupEntry } from '../policy/lookup.ts'
import type { Switches } from '../policy/switches.ts'
import type { CentralPolicy } from '../policy/users.ts'
import { type EntryPolicy, type FilterEntry, isFilterEntry } from './entry.ts'
import { arranged, withoutRepeated } from './found.ts'
import { pathText, problemsOf, shown, suggestion } from './problem.ts'
import {
  authenticationOf,
  configKeysAt,
  configSchema,
  controlSchema,
  DEFAULT_LISTEN,
  DEFAULT_SPOOL_DIRECTORY,
  DEFAULT_SPOOL_MEMORY,
  DEFAULT_SPOOL_SHARED,
  DEFAULT_TIMEOUTS,
  dnsOf,
  entryKeysAt,
  entrySchema,
  holdsOf,
  limitsOf,
  listenAddress,
  listenSchema,
  mtaKindSchema,
  mtaSchema,
  type ParsedMta,
  recordOf,
} from './schema.ts'
import type { ListenAddress, Settings } from './settings.ts'

export interface ConfiguredEntry {
  readonly entry: FilterEntry
  readonly policy: EntryPolicy
  /** Where it is written in the configuration: `filters[2]`. */
  readonly at?: string
  /** `enabled` of the policy comes from a command of the postmaster, and the configuration says otherwise. */
  readonly overridden?: boolean
}

export interface Configuration {
  readonly settings: Settings
  /** In the order of the chain; disabled ones are among them. */
  readonly entries: readonly ConfiguredEntry[]
  /** Filters on and off by recipient. */
  readonly policy?: CentralPolicy | undefined
  /** Whether it takes up milters that are found on this machine. */
  readonly detects?: boolean
}

export class ConfigError extends HostError {
  /** One line each. */
  readonly problems: readonly string[]
  constructor(file: string, problems: readonly string[]) {
    super('CONFIG_INVALID', hostError('CONFIG_INVALID', file, problems).message)
    this.problems = problems
  }
}

/**
 * Throws with a message that completes "listen …" when an address cannot be read. What it returns is the same for two spellings of one
 * socket.
 */
export type AddressCheck = (address: string) => string | undefined

/**
 * `file` only names the configuration in messages. `inherited`: addresses that are listened on besides, or in place of, those that it
 * names. Throws a `ConfigError` with every mistake.
 */
export function validateConfig(
  raw: unknown,
  file: string,
  checkAddress: AddressCheck = () => undefined,
  inherited: readonly string[] = [],
): Configuration {
  const problems: string[] = []
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    throw new ConfigError(file, [`must export an object, export default defineConfig({ … }), not ${shown(raw)}`])
  }
  const parsed = configSchema.safeParse(raw, { reportInput: true })
  if (!parsed.success) problems.push(...problemsOf(parsed.error, configKeysAt))
  const given = raw as Record<string, unknown>
  const mta = validateMta(given.mta, problems)
  const control = validateControl(given.control, problems, checkAddress)
  const listen = validateListen(given.listen, problems, checkAddress)
  const written = Array.isArray(given.filters) ? validateEntries(given.filters, problems) : []
  const taken = [...listen.map(({ address }) => address), ...inherited]
  const entries = arranged(withoutRepeated(written, taken, checkAddress), problems)
  checkVerdictsRead(entries, problems)
  if (parsed.success) problems.push(...strangersIn(parsed.data.policy, entries))
  if (!parsed.success || problems.length > 0) throw new ConfigError(file, problems)
  const { budget, limits, authentication, holds, spool, liveness, onClientLeft, dns, record, shadow, log, detect } =
    parsed.data
  const settings: Settings = {
    listen,
    budget: { command: budget?.command ?? null, end: budget?.end ?? null },
    limits: limitsOf(limits),
    authentication: authenticationOf(authentication),
    holds: holdsOf(holds),
    spool: {
      directory: spool?.directory ?? DEFAULT_SPOOL_DIRECTORY,
      memory: spool?.memory ?? DEFAULT_SPOOL_MEMORY,
      shared: spool?.shared ?? DEFAULT_SPOOL_SHARED,
    },
    mta: mta.kind ?? null,
    mtaAddresses: mta.addresses ?? [],
    liveness: liveness ?? 'proc',
    onClientLeft: onClientLeft ?? '421',
    dns: dnsOf(dns),
    control,
    record: recordOf(record),
    shadow: shadow ?? null,
    log: { level: log?.level ?? 'info', format: log?.format ?? 'auto' },
    detect: { watch: detect?.watch ?? true },
  }
  const detects = (given.filters as unknown[] | undefined)?.some(
    item => isFilterEntry(item) && item.found !== undefined,
  )
  return { settings, entries, policy: parsed.data.policy, detects: detects ?? false }
}

/** A central policy in the configuration itself must name filters that there are. */
function strangersIn(policy: unknown, entries: readonly ConfiguredEntry[]): string[] {
  if (typeof policy !== 'object' || policy === null || isLookupEntry(policy)) return []
  const known = entries.map(entry => entry.policy.name)
  return Object.entries(policy as Readonly<Record<string, Switches>>).flatMap(([key, switches]) =>
    Object.keys(switches)
      .filter(filter => !known.includes(filter))
      .map(
        filter =>
          `policy: ${shown(key)} names no filter of this configuration with ${shown(filter)}${suggestion(filter, known)}`,
      ),
  )
}

/** `'postfix'` is short for `{ kind: 'postfix' }`. */
function validateMta(raw: unknown, problems: string[]): ParsedMta {
  if (raw === undefined) return {}
  const full = typeof raw === 'object' && raw !== null
  const parsed = (full ? mtaSchema : mtaKindSchema).safeParse(raw, { reportInput: true })
  if (parsed.success) return typeof parsed.data === 'string' ? { kind: parsed.data } : parsed.data
  problems.push(...problemsOf(parsed.error, () => configKeysAt(['mta']), '', ['mta']))
  return {}
}

function validateControl(raw: unknown, problems: string[], checkAddress: AddressCheck): Settings['control'] {
  if (raw === false) return null
  if (raw !== undefined && (typeof raw !== 'object' || raw === null || Array.isArray(raw))) {
    problems.push(`control must be false or { socket: '/path' }, not ${shown(raw)}`)
    return null
  }
  const parsed = controlSchema.safeParse(raw ?? {}, { reportInput: true })
  if (!parsed.success) {
    problems.push(...problemsOf(parsed.error, () => configKeysAt(['control']), '', ['control']))
    return null
  }
  const { socket = null } = parsed.data
  if (socket === null) return { socket }
  if (!socket.startsWith('/')) problems.push(`control.socket must be an absolute path, not ${shown(socket)}`)
  try {
    checkAddress(`unix:${socket}`)
  } catch (error) {
    problems.push(`control.socket: ${error instanceof Error ? error.message : String(error)}`)
  }
  return { socket }
}

function validateListen(raw: unknown, problems: string[], checkAddress: AddressCheck): ListenAddress[] {
  const several = Array.isArray(raw)
  const items: unknown[] = several ? raw : [raw ?? DEFAULT_LISTEN]
  if (items.length === 0) problems.push('listen must name at least one address')
  const seen = new Set<string>()
  return items.flatMap((item, index) => {
    const at: PropertyKey[] = several ? ['listen', index] : ['listen']
    const name = pathText(at)
    if (typeof item !== 'string' && (typeof item !== 'object' || item === null || Array.isArray(item))) {
      problems.push(`${name} must be an address or { address, mode, group }, not ${shown(item)}`)
      return []
    }
    const parsed = listenSchema.safeParse(typeof item === 'string' ? { address: item } : item, { reportInput: true })
    if (!parsed.success) {
      problems.push(...problemsOf(parsed.error, () => configKeysAt(['listen']), '', at))
      return []
    }
    try {
      checkAddress(parsed.data.address)
    } catch (error) {
      problems.push(`${name}: ${error instanceof Error ? error.message : String(error)}`)
    }
    if (seen.has(parsed.data.address)) problems.push(`${name} repeats the address ${shown(parsed.data.address)}`)
    seen.add(parsed.data.address)
    return [listenAddress(parsed.data)]
  })
}

function validateEntries(items: readonly unknown[], problems: string[]): ConfiguredEntry[] {
  const taken = new Map<string, string>()
  const configured: ConfiguredEntry[] = []
  for (const [index, item] of items.entries()) {
    if (!item) continue
    if (!isFilterEntry(item)) {
      problems.push(`filters[${index}] ${notAnEntry(item)}`)
      continue
    }
    if (item.found?.address === null) continue
    const result = validateEntry(item, `filters[${index}]`, problems)
    if (result === null) continue
    configured.push(result)
    // Of those found on this machine none is in the way of one that is written.
    if (item.found !== undefined) continue
    const name = result.policy.name
    const earlier = taken.get(name)
    if (earlier !== undefined) {
      problems.push(
        `filters[${index}] (${name}): the name "${name}" is taken by ${earlier}; give one of them another with the option name`,
      )
    }
    taken.set(name, `filters[${index}]`)
  }
  return configured
}

function checkVerdictsRead(entries: readonly ConfiguredEntry[], problems: string[]): void {
  const before: string[] = []
  for (const { policy, at } of entries) {
    const { when } = policy.selection ?? { when: null }
    for (const read of when === null ? [] : wantsOf(when).filters) {
      if (!before.includes(read))
        problems.push(
          `${at} (${policy.name}): when reads the verdict of "${read}", which is no filter before it${suggestion(read, before)}`,
        )
    }
    before.push(policy.name)
  }
}

function validateEntry(entry: FilterEntry, at: string, problems: string[]): ConfiguredEntry | null {
  const options: unknown = entry.options
  const given = typeof options === 'object' && options !== null ? (options as Record<string, unknown>) : {}
  const name = typeof given.name === 'string' && given.name !== '' ? given.name : entry.defaultName
  const prefix = `${at} (${name}): `
  const misfit = entry.plugin?.api === undefined ? null : apiProblem(entry.plugin.name, entry.plugin.api)
  if (misfit !== null) {
    problems.push(`${prefix}${misfit.message} (PLUGIN_API)`)
    return null
  }
  if (options !== given) {
    problems.push(`${prefix}the options must be an object, not ${shown(options)}`)
    return null
  }
  const own = entry.ownOptions ?? []
  const common = Object.fromEntries(Object.entries(given).filter(([key]) => !own.includes(key)))
  const parsed = entrySchema.safeParse(common, { reportInput: true })
  if (!parsed.success) {
    const known = (path: readonly PropertyKey[]): readonly string[] =>
      path.length === 0 ? [...entryKeysAt(path), ...own] : entryKeysAt(path)
    problems.push(...problemsOf(parsed.error, known, prefix))
    return null
  }
  if (!/^[A-Za-z0-9@][\w.@/-]{0,63}$/.test(name)) {
    problems.push(`${prefix}name must be letters, digits, ".", "_", "-", "/" or "@", at most 64 of them`)
    return null
  }
  const { timeouts, onFailure, mode, enabled, when, users, recipients, mixed } = parsed.data
  const chosen = when !== undefined || users !== undefined || recipients !== undefined || mixed !== undefined
  const policy: EntryPolicy = {
    name,
    onFailure: onFailure ?? 'tempfail',
    mode: mode ?? 'enforce',
    timeouts: {
      connect: timeouts?.connect ?? DEFAULT_TIMEOUTS.connect,
      command: timeouts?.command ?? DEFAULT_TIMEOUTS.command,
      end: timeouts?.end ?? DEFAULT_TIMEOUTS.end,
    },
    enabled: enabled ?? true,
    ...(chosen && {
      selection: { when: when ?? null, users: users ?? null, recipients: recipients ?? 'any', mixed: mixed ?? 'apply' },
    }),
  }
  return { entry, policy, at }
}

/** Completes "filters[2] …". The likely mistakes each get their own words. */
function notAnEntry(item: unknown): string {
  if (typeof item === 'function') {
    const { pluginName } = item as { readonly pluginName?: unknown }
    if (typeof pluginName === 'string') return `is the plugin ${pluginName} itself: call it to make an entry`
    return `is the plugin itself: call ${item.name ? `${item.name}()` : 'it'} to make an entry`
  }
  if (typeof item === 'string')
    return `is the text ${shown(item)}: an external milter is socket('name', ${shown(item)})`
  if (Array.isArray(item)) return 'is a list: spread it with "..."'
  if (item instanceof Promise) return 'is a promise: put await before it'
  if (typeof item === 'object' && item !== null) {
    const keys = Object.keys(item)
    if (keys.includes('default')) return 'is a module: import its default export'
    if (keys.includes('setup')) return 'is a plain object: wrap it with definePlugin(…) and call the result'
    const hint = keys.map(key => suggestion(key, ['socket', 'address'])).find(text => text !== '')
    return `is a plain object${hint ? ' with an address' : ''}: write socket('name', 'address') or call a plugin`
  }
  return `is ${shown(item)}: write socket('name', 'address') or call a plugin`
}
