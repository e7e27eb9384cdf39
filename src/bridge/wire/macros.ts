/**
 * The macros of a D packet: names and values that describe the session to a filter. Names are kept without braces (`i`,
 * `auth_type`) and written as both MTAs write them: one letter bare, longer ones in braces. Order and duplicates stay as
 * they came; libmilter answers a lookup with the first of equal names. Which macros live how long is not decided here.
 */

import type { ByteString } from '../../host/bytes.ts'
import type { PayloadReader } from './decode.ts'
import type { PacketWriter } from './encode.ts'

export type Macro = readonly [name: ByteString, value: ByteString]

/** `{auth_type}` → `auth_type`, `{i}` → `i` (Postfix 3.1 braced single letters too), `i` → `i`. */
export function bareMacroName(name: ByteString): ByteString {
  if (!name.startsWith('{') || !name.endsWith('}') || name.length < 3) return name
  const inner = name.slice(1, -1)
  return /[{}]/.test(inner) ? name : inner
}

/** `auth_type` → `{auth_type}`, `i` → `i`. A name that holds a brace is left as it is. */
export function bracedMacroName(name: ByteString): ByteString {
  return name.length > 1 && !/[{}]/.test(name) ? `{${name}}` : name
}

/** Reads pairs to the end. A last name without a value is undefined to libmilter, so it is left out and reported. */
export function readMacros(reader: PayloadReader): Macro[] {
  const macros: Macro[] = []
  while (reader.left > 0) {
    const name = reader.text('macro name')
    if (reader.left > 0) macros.push([bareMacroName(name), reader.text('macro value')])
    else reader.note('odd-macros', name.length)
  }
  return macros
}

export function writeMacros(writer: PacketWriter, macros: readonly Macro[]): void {
  for (const [name, value] of macros) writer.text(bracedMacroName(name), 'macro name').text(value, 'macro value')
}
