/**
 * Unit files of systemd, systemd.syntax(7): sections, keys that may come again, an empty value that clears what came before.
 *
 * Reads text only; which files make a unit is `services/systemd.ts`. `%` specifiers are replaced where a value is used.
 */
import type { Setting, SourceText } from '../fact.ts'

/** By `Section.Key`, every value in order. */
export type Unit = Map<string, Setting[]>

/** Adds a unit file or a drop-in to what the files before it said. */
export function readUnit({ file, text }: SourceText, into: Unit): void {
  let section = ''
  let open: { key: string; line: number; parts: string[] } | null = null
  for (const [index, raw] of text.split('\n').entries()) {
    const whole = raw.replace(/\r$/, '')
    // A comment may stand between the lines of one value.
    if (/^\s*[#;]/.test(whole)) continue
    const header = open === null ? /^\s*\[([^\]]+)\]\s*$/.exec(whole) : null
    if (header !== null) {
      section = header[1]!
      continue
    }
    if (open === null) {
      const match = /^\s*([A-Za-z][\w-]*)\s*=\s*(.*)$/.exec(whole)
      if (match === null) continue
      open = { key: `${section}.${match[1]}`, line: index + 1, parts: [] }
      open.parts.push(match[2]!)
    } else open.parts.push(whole)
    const last = open.parts.at(-1)!
    if (last.endsWith('\\')) {
      open.parts[open.parts.length - 1] = last.slice(0, -1)
      continue
    }
    finish(open, file, into)
    open = null
  }
  if (open !== null) finish(open, file, into)
}

function finish(open: { key: string; line: number; parts: string[] }, file: string, into: Unit): void {
  const value = open.parts.join(' ').trim()
  const values = into.get(open.key) ?? []
  if (value === '') values.length = 0
  else values.push({ value, source: { file, line: open.line } })
  into.set(open.key, values)
}

/** Of a key that counts once: the last value. */
export const last = (unit: Unit, key: string): Setting | null => unit.get(key)?.at(-1) ?? null

export interface Specifiers {
  /** Name with type: `opendkim@mx.service`. */
  readonly unit: string
  readonly user: string
}

/** systemd.unit(5), SPECIFIERS, as far as they are known without asking the machine; others stay as they are. */
export function specify(text: string, { unit, user }: Specifiers): string {
  const full = unit.replace(/\.\w+$/, '')
  const at = full.indexOf('@')
  const prefix = at < 0 ? full : full.slice(0, at)
  const instance = at < 0 ? '' : full.slice(at + 1)
  const known: Readonly<Record<string, string>> = {
    '%': '%',
    n: unit,
    N: full,
    p: prefix,
    P: unescaped(prefix),
    i: instance,
    I: unescaped(instance),
    j: prefix.slice(prefix.lastIndexOf('-') + 1),
    f: `/${unescaped(instance === '' ? prefix : instance)}`,
    u: user,
    t: '/run',
    S: '/var/lib',
    C: '/var/cache',
    L: '/var/log',
    E: '/etc',
    T: '/tmp',
    V: '/var/tmp',
  }
  return text.replace(/%([%a-zA-Z])/g, (whole, letter: string) => known[letter] ?? whole)
}

/** `-` is a slash, `\x2d` a dash. */
const unescaped = (text: string): string =>
  text
    .replace(/-/g, '/')
    .replace(/\\x([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
