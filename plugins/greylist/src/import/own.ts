/**
 * Our own export: lines of JSON, the first one about the file, the others a mark each.
 *
 * Hashes mean something only with the secret they were made with; the first line holds a hash of nothing in particular, by which
 * another secret is noticed. `export` writes it, `import` reads it.
 */

import { base64, shown } from '../commands/show.ts'
import type { Keys } from '../keys.ts'
import { type Entry, KINDS, type Kind } from '../store.ts'
import type { LineReader } from './old.ts'

const FORMAT = 'milterhost-greylist'
const VERSION = 1

export const fingerprint = (keys: Keys): string => base64(keys.origin('export'))

export const headLine = (keys: Keys): string =>
  JSON.stringify({ format: FORMAT, version: VERSION, secret: fingerprint(keys) })
export const markLine = (entry: Entry): string => JSON.stringify(shown(entry))

/** A file that cannot be read at all, whatever its other lines are. */
export class ForeignFile extends Error {}

export function own(keys: Keys): LineReader {
  let begun = false
  return line => {
    if (line === '') return null
    let value: unknown
    try {
      value = JSON.parse(line)
    } catch {
      value = null
    }
    const object = (typeof value === 'object' && value !== null ? value : {}) as Readonly<Record<string, unknown>>
    if (!begun) {
      begun = true
      if (object.format !== FORMAT) throw new ForeignFile('the first line is none of an export of milterhost greylist')
      if (object.version !== VERSION)
        throw new ForeignFile(`the export is of version ${String(object.version)}, this reads 1`)
      if (object.secret !== fingerprint(keys))
        throw new ForeignFile('the export was made with another secret: give both greylists the same option secret')
      return null
    }
    return { kind: 'mark', entry: entryOf(object) }
  }
}

function entryOf(object: Readonly<Record<string, unknown>>): Entry {
  const kind = KINDS.find(name => name === object.kind)
  if (kind === undefined) throw new Error(`${JSON.stringify(object.kind)} is no kind of mark`)
  const count = object.count
  if (typeof count !== 'number' || !Number.isSafeInteger(count) || count < 0) throw new Error('count is no number')
  return {
    kind,
    origin: bytes(object.origin, 16, 'origin'),
    item: needsItem(kind) ? bytes(object.item, 11, 'item') : null,
    first: time(object.first, 'first'),
    last: time(object.last, 'last'),
    count,
    expires: time(object.expires, 'expires'),
  }
}

const needsItem = (kind: Kind): boolean => kind === 'tuple' || kind === 'domain'

function bytes(value: unknown, letters: number, name: string): Uint8Array {
  if (typeof value !== 'string' || value.length !== letters || !/^[A-Za-z0-9_-]+$/.test(value))
    throw new Error(`${name} is no hash`)
  return new Uint8Array(Buffer.from(value, 'base64url'))
}

function time(value: unknown, name: string): number {
  const parsed = typeof value === 'string' ? Date.parse(value) : Number.NaN
  if (Number.isNaN(parsed) || parsed < 0) throw new Error(`${name} is no time`)
  return parsed
}
