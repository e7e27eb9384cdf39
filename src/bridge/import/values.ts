/**
 * Values of a milter-manager.conf as TypeScript: strings, patterns, lists.
 *
 * Pure. `null` is the answer to whatever has no counterpart; the caller notes it.
 */
import type { Value } from './parser.ts'

export const quotedText = (text: string): string =>
  `'${JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`

export const textOf = (value: Value | undefined): string | null =>
  value?.kind === 'string' || value?.kind === 'symbol' ? value.value : null

export const numberOf = (value: Value | undefined): number | null => (value?.kind === 'number' ? value.value : null)

export const textsOf = (value: Value | undefined): string[] | null => {
  const items = value?.kind === 'array' ? value.items : value === undefined ? [] : [value]
  const texts = items.map(textOf)
  return texts.every(text => text !== null) ? texts : null
}

/** Ruby's anchors are of the whole text, and its `x` and `m` have no counterpart. */
export function expressionOf(value: Value): string | null {
  if (value.kind !== 'regexp' || /[xm]/.test(value.flags)) return null
  const source = value.source
    .replaceAll('\\A', '^')
    .replaceAll(/\\[zZ]/g, '$')
    .replaceAll('\\h', '[0-9a-fA-F]')
    .replaceAll('[[:digit:]]', '\\d')
  const flags = value.flags.includes('i') ? 'i' : ''
  try {
    new RegExp(source, flags)
    return `/${source}/${flags}`
  } catch {
    // Ruby knows more than JavaScript here: the caller notes it.
    return null
  }
}

export const patternOf = (value: Value): string | null => {
  const text = textOf(value)
  return text === null ? expressionOf(value) : quotedText(text)
}
