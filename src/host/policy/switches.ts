/**
 * What the values of a look-up mean where filters are switched: yes or no for one filter, or on and off for several.
 *
 * Sources spell it in their own ways: a boolean column, a row a filter, `greylist=off spf=on` in a Postfix table, a Redis hash, a
 * JSON document, several values of an LDAP attribute. Whatever cannot be read is an error and never a guess: `of` read as
 * "on" would be the postmaster's worst bug. Pure; used by `users:` and `policy:`, and by `milterhost policy`.
 */
import { shown } from '../config/problem.ts'

/** Whether a filter takes part; an object: it does, with these options. */
export type Switch = boolean | Readonly<Record<string, unknown>>

/** Filters by name; one that is not named is not decided here. */
export type Switches = Readonly<Record<string, Switch>>

const YES = ['yes', 'on', 'true', '1', 'y', 't', 'ok', 'permit']
const NO = ['no', 'off', 'false', '0', 'n', 'f', 'reject']

/** Throws a `RangeError` whose message completes "a value …". */
export function readSwitch(value: unknown): Switch {
  if (typeof value === 'boolean') return value
  if (value === 1 || value === 0 || value === 1n || value === 0n) return Number(value) === 1
  if (typeof value === 'string') return readText(value)
  if (isRecord(value)) return value
  // LDAP gives a list for every attribute.
  if (Array.isArray(value) && value.length === 1) return readSwitch(value[0])
  throw new RangeError(`must be yes or no, or options as an object, not ${shown(value)}`)
}

function readText(text: string): Switch {
  const word = text.trim().toLowerCase()
  if (YES.includes(word)) return true
  if (NO.includes(word)) return false
  const options = word.startsWith('{') ? jsonOf(text) : null
  if (isRecord(options)) return options
  throw new RangeError(`must be yes or no (also on, off, true, false, 1, 0), or options as JSON, not ${shown(text)}`)
}

/**
 * Filters on and off: an object by filter, rows of `{ filter, enabled, options }`, or words: `greylist=off`, `spf` or `+spf` for on, `-greylist`
 * for off. Throws a `RangeError` whose message completes "a value …".
 */
export function readSwitches(value: unknown): Switches {
  if (typeof value === 'string') return readWords(value)
  if (Array.isArray(value)) {
    const parts: Switches[] = value.map(item =>
      isRecord(item) && 'filter' in item ? readRow(item) : readSwitches(item),
    )
    return merged(parts.flatMap(part => Object.entries(part)))
  }
  if (!isRecord(value)) throw new RangeError(`must name filters and whether they are on, not be ${shown(value)}`)
  return merged(Object.entries(value).map(([filter, given]) => [filter, named(filter, given)]))
}

function readRow({ filter, enabled = true, options }: Readonly<Record<string, unknown>>): Switches {
  if (typeof filter !== 'string' || filter === '')
    throw new RangeError(`must have a filter's name in filter, not ${shown(filter)}`)
  const on = named(filter, enabled)
  if (on !== true || options === null || options === undefined || options === '') return { [filter]: on }
  const given = typeof options === 'string' ? jsonOf(options) : options
  if (!isRecord(given)) throw new RangeError(`must have options of ${filter} as a JSON object, not ${shown(options)}`)
  return { [filter]: given }
}

function readWords(text: string): Switches {
  if (text.trim().startsWith('{')) {
    const document = jsonOf(text)
    if (isRecord(document)) return readSwitches(document)
    throw new RangeError(`must be words such as "greylist=off spf=on", or JSON, not ${shown(text)}`)
  }
  const words = text.split(/[\s,]+/).filter(word => word !== '')
  return merged(
    words.map(word => {
      const [, sign, filter, given] = /^([-+!]?)([^=]+?)(?:=(.*))?$/.exec(word) ?? []
      if (filter === undefined || (sign !== '' && given !== undefined)) {
        throw new RangeError(`must be words such as "greylist=off spf=on", not ${shown(word)}`)
      }
      return [filter, given === undefined ? sign === '' || sign === '+' : named(filter, given)]
    }),
  )
}

function named(filter: string, given: unknown): Switch {
  try {
    return readSwitch(given)
  } catch (error) {
    throw new RangeError(`${(error as RangeError).message} (${filter})`)
  }
}

function merged(entries: readonly (readonly [string, Switch])[]): Switches {
  const switches = new Map<string, Switch>()
  for (const [filter, on] of entries) {
    // Two rows or words that contradict each other: which comes last is chance.
    const before = switches.get(filter)
    if (before !== undefined && JSON.stringify(before) !== JSON.stringify(on)) {
      throw new RangeError(`must not say two things about ${filter}`)
    }
    switches.set(filter, on)
  }
  // Not an ordinary object: a filter may be called "constructor".
  return Object.assign(Object.create(null) as Record<string, Switch>, Object.fromEntries(switches))
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new RangeError(`must be JSON where it begins with "{", not ${shown(text)}`)
  }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  !(value instanceof Date) &&
  !ArrayBuffer.isView(value)
