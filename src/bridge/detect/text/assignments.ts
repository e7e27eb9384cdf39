/**
 * Shell variables that a file sets: /etc/default, /etc/sysconfig, `EnvironmentFile=`, rc.conf, and the heads of init scripts.
 *
 * Knows plain assignments and the ways in which scripts give a default: `: ${A:=b}`, `[ -n "$A" ] || A=b`. Inside functions and
 * branches a script decides by what it finds when it runs, so indented lines count only when asked for. Read by the
 * readers of services; nothing is executed.
 */
import type { Setting, SourceText } from '../fact.ts'
import { logicalLines } from './lines.ts'
import { closing, quotedText, value } from './words.ts'

export interface AssignmentRules {
  /** False for systemd's `EnvironmentFile=`, where a `$` is a character. @default true */
  readonly expands?: boolean
  /** Also lines inside branches and functions. @default false */
  readonly indented?: boolean
}

const PLAIN = /^(?:export\s+|readonly\s+)?([A-Za-z_]\w*)=/
const DEFAULT = /^:\s*"?\$\{([A-Za-z_]\w*)(:?)=/
const UNLESS = /^(?:\[|test)\s+(?:-n\s+"?\$\{?(\w+)\}?"?\s*\]?\s*\|\||-z\s+"?\$\{?(\w+)\}?"?\s*\]?\s*&&)\s*(\w+)=/

/** Adds to `into`; a later assignment replaces an earlier one. One whose value only a shell would know is dropped. */
export function readAssignments(
  { file, text }: SourceText,
  into: Map<string, Setting>,
  { expands = true, indented = false }: AssignmentRules = {},
): void {
  const variable = expands ? (name: string): string | undefined => into.get(name)?.value : null
  for (const { line, text: whole } of logicalLines(text)) {
    const trimmed = whole.trimStart()
    if (trimmed === '' || trimmed.startsWith('#') || (!indented && expands && trimmed !== whole)) continue
    const set = (name: string, word: { value: string; known: boolean }): void => {
      if (word.known) into.set(name, { value: word.value, source: { file, line } })
      else into.delete(name)
    }
    const plain = PLAIN.exec(trimmed)
    if (plain !== null) {
      set(plain[1]!, value(trimmed, plain[0].length, variable))
      continue
    }
    if (variable === null) continue
    const fallback = DEFAULT.exec(trimmed)
    if (fallback !== null) {
      const [head, name = '', colon] = fallback
      const held = into.get(name)?.value
      if (held === undefined || (colon === ':' && held === '')) {
        set(name, quotedText(trimmed.slice(head.length, closing(trimmed, head.length)), variable))
      }
      continue
    }
    const unless = UNLESS.exec(trimmed)
    if (unless !== null && unless[3] === (unless[1] ?? unless[2]) && !into.get(unless[3]!)?.value) {
      set(unless[3]!, value(trimmed, unless[0].length, variable))
    }
  }
}
