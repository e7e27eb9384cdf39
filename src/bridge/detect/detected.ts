/**
 * `detected()` of the configuration: an entry for every enabled milter of this machine, as `socket(…)` makes it.
 *
 * Executed with the configuration, at start and at each reload. What holds: a milter that is installed but not enabled is not
 * taken up, unless the overrides say `enabled: true`; a misspelt name is an error. Entries keep the recommended order; which of
 * them gives way to one written by hand, and what `after` and `before` come to, is decided when the whole list is known
 * (`host/config/found.ts`).
 */
import { type FilterEntry, filterEntry } from '../../host/config/entry.ts'
import { shown, suggestion } from '../../host/config/problem.ts'
import { hostError } from '../../host/errors.ts'
import { all, not } from '../../host/policy/condition.ts'
import { remoteNetwork } from '../../host/policy/conditions/client.ts'
import { authenticated } from '../../host/policy/conditions/session.ts'
import { type SocketOptions, socket } from '../milter/index.ts'
import { detect, type FoundMilter, inUse, PRODUCT_NAMES } from './detect.ts'

/** What may be said of a detected milter: every option of `socket(…)`, its address, and its place. */
export interface DetectedOptions extends SocketOptions {
  /** Instead of the one that was found. */
  readonly address?: string
  /** Names of filters that it has to stand behind, wherever they are in the list. */
  readonly after?: string | readonly string[]
  /** Names of filters that it has to stand in front of. */
  readonly before?: string | readonly string[]
}

/** By name of the milter; `false` leaves it out. */
export type DetectedOverrides = Readonly<Record<string, DetectedOptions | false>>

export interface DetectRoot {
  /** Where the file system to look at begins. @default the environment's MILTERHOST_DETECT_ROOT, else '/' */
  readonly root?: string
}

export const detectRoot = (): string => process.env.MILTERHOST_DETECT_ROOT || '/'

/**
 * Every enabled milter that is found on this machine, in the recommended order. Throws `DETECT_OPTIONS` when an override names no
 * milter that there is or could be.
 * @example detected({ opendkim: { after: 'spf' }, 'clamav-milter': false })
 */
export function detected(overrides: DetectedOverrides = {}, { root = detectRoot() }: DetectRoot = {}): FilterEntry[] {
  const { milters } = detect(root)
  const known = [...new Set([...milters.map(({ name }) => name), ...PRODUCT_NAMES])]
  const problems = overrideProblems(overrides, known)
  if (problems.length > 0) throw hostError('DETECT_OPTIONS', problems.join('; '))
  const absent = PRODUCT_NAMES.filter(name => !milters.some(milter => milter.name === name))
  const entries = milters.flatMap(milter => {
    const override = overrides[milter.name]
    if (override === false || !(inUse(milter) || override?.enabled === true)) return []
    return [entryOf(milter, override ?? {}, absent)]
  })
  return entries.length > 0 ? entries : [nothing()]
}

function entryOf(milter: FoundMilter, override: DetectedOptions, absent: readonly string[]): FilterEntry {
  const { address = milter.address.value, after, before, ...given } = override
  const timeouts = {
    ...Object.fromEntries(Object.entries(milter.timeouts).map(([stage, { value }]) => [stage, value])),
    ...given.timeouts,
  }
  const options: SocketOptions = {
    onFailure: milter.onFailure,
    ...(milter.pipelining && { pipelining: true }),
    ...(milter.condition === 'remote' && { when: all(remoteNetwork(), not(authenticated())) }),
    ...(milter.launch !== null && { launch: milter.launch.value }),
    ...given,
    ...(Object.keys(timeouts).length > 0 && { timeouts }),
  }
  // A product that is not on this machine cannot be stood behind; on the next machine it may be.
  const names = (list: string | readonly string[] | undefined): string[] =>
    (list === undefined ? [] : typeof list === 'string' ? [list] : [...list]).filter(name => !absent.includes(name))
  return filterEntry({
    ...socket(milter.name, address, options),
    found: { address, after: names(after), before: names(before) },
  })
}

/** Says that detection was asked for, so that its folders are watched although nothing was found. */
const nothing = (): FilterEntry =>
  filterEntry({ ...socket('detected', 'unix:/', { enabled: false }), found: { address: null, after: [], before: [] } })

function overrideProblems(overrides: DetectedOverrides, known: readonly string[]): string[] {
  if (typeof overrides !== 'object' || overrides === null || Array.isArray(overrides)) {
    return [`the overrides must be an object by name of a milter, not ${shown(overrides)}`]
  }
  return Object.entries(overrides).flatMap(([name, override]) => {
    if (!known.includes(name)) {
      return [
        `${shown(name)} is no milter that is known${suggestion(name, known) || `; known are ${known.join(', ')}`}`,
      ]
    }
    if (override === false) return []
    if (typeof override !== 'object' || override === null || Array.isArray(override)) {
      return [`${name} must be an object of options, or false, not ${shown(override)}`]
    }
    return (['after', 'before'] as const).flatMap(key => {
      const value: unknown = override[key]
      const fits =
        value === undefined ||
        typeof value === 'string' ||
        (Array.isArray(value) && value.every(item => typeof item === 'string'))
      return fits ? [] : [`${name}.${key} must be the name of a filter, or a list of names, not ${shown(value)}`]
    })
  })
}
