/**
 * What a file of keys and values says, by its ending: YAML, JSON, or lines. Pure; read by the look-up and by the store that writes it.
 */
import { parse } from 'yaml'

/** Throws an error that says where the text is wrong. */
export function tableOf(path: string, text: string): ReadonlyMap<string, unknown> {
  const table = new Map<string, unknown>()
  for (const [key, value] of entriesOf(path, text)) {
    const folded = key.toLowerCase()
    if (table.has(folded)) throw new Error(`${JSON.stringify(key)} stands twice`)
    table.set(folded, value)
  }
  return table
}

function entriesOf(path: string, text: string): Iterable<readonly [string, unknown]> {
  if (/\.ya?ml$/.test(path)) return entriesOfDocument(parse(text, { prettyErrors: true }))
  if (path.endsWith('.json')) return entriesOfDocument(JSON.parse(text))
  return text
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '' && !line.startsWith('#'))
    .map(line => {
      const [, key, value] = /^(\S+)(?:\s+(.*))?$/.exec(line)!
      return [key!, value ?? true] as const
    })
}

function entriesOfDocument(document: unknown): Iterable<readonly [string, unknown]> {
  // An empty YAML file.
  if (document === null || document === undefined) return []
  if (Array.isArray(document)) {
    return document.map(item => {
      if (typeof item === 'string' && item !== '') return [item, true] as const
      throw new Error('a list must hold keys as text')
    })
  }
  if (typeof document !== 'object') throw new Error('it must hold a list of keys, or keys with values')
  return Object.entries(document)
}
