/**
 * Lines with their numbers, those that a backslash continues joined. Used by every reader of line-wise files.
 */

export interface Line {
  /** Of its first line, counted from 1. */
  readonly line: number
  readonly text: string
}

export function logicalLines(text: string): Line[] {
  const found: Line[] = []
  let begun: { line: number; parts: string[] } | null = null
  for (const [index, raw] of text.split('\n').entries()) {
    const part = raw.endsWith('\r') ? raw.slice(0, -1) : raw
    const more = /(?:^|[^\\])(?:\\\\)*\\$/.test(part)
    begun ??= { line: index + 1, parts: [] }
    begun.parts.push(more ? part.slice(0, -1) : part)
    if (more) continue
    found.push({ line: begun.line, text: begun.parts.join(' ') })
    begun = null
  }
  if (begun !== null) found.push({ line: begun.line, text: begun.parts.join(' ') })
  return found
}
