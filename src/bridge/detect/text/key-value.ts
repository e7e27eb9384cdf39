/**
 * Configuration files of one key and value a line: `Key value` (OpenDKIM, ClamAV), `key = value` (pyspf-milter), `key: value` (enma).
 *
 * Keys are case-insensitive in all of these. The first line of a key counts where the product says so, else the last.
 */
import type { Setting, Settings, SourceText } from '../fact.ts'

export type KeyStyle = 'words' | 'equals' | 'colon'

const LINE: Readonly<Record<KeyStyle, RegExp>> = {
  words: /^\s*([A-Za-z][\w.]*)(?:\s+(.*))?$/,
  equals: /^\s*([A-Za-z][\w.-]*)\s*=\s*(.*)$/,
  colon: /^\s*([A-Za-z][\w.-]*)\s*:\s*(.*)$/,
}

export function readKeys({ file, text }: SourceText, style: KeyStyle): Settings {
  const found = new Map<string, Setting>()
  for (const [index, raw] of text.split('\n').entries()) {
    const match = LINE[style].exec(raw.replace(/\r$/, '').replace(/(^|\s)#.*$/, ''))
    if (match === null) continue
    const [, key = '', rest = ''] = match
    const value = rest.trim().replace(/^(["'])(.*)\1$/, '$2')
    found.set(key.toLowerCase(), { value, source: { file, line: index + 1 } })
  }
  return found
}
