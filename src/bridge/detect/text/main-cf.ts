/**
 * Postfix's main.cf: parameters with continuation lines, and the expansion of `$name`, `${name}`, `${name?value}`, `${name:value}`.
 *
 * Text only, as postconf(5) has it; `postconf` is not run, so that the files of another machine read the same. Also splits a list
 * of milters, where one in braces has settings of its own.
 */
import type { Setting, Settings, SourceText } from '../fact.ts'

const DEEPEST = 10
const LONGEST = 16_384

/** The last line of a parameter counts. */
export function readMainCf({ file, text }: SourceText): Settings {
  const found = new Map<string, Setting>()
  let begun = 0
  let open = ''
  const finish = (): void => {
    const match = /^(\w+)\s*=\s*(.*)$/s.exec(open)
    if (match !== null) found.set(match[1]!, { value: match[2]!.trim(), source: { file, line: begun } })
    open = ''
  }
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.replace(/\r$/, '')
    // Comments and empty lines may stand between the lines of one value.
    if (/^\s*(?:#|$)/.test(line)) continue
    if (/^\s/.test(line)) {
      if (open !== '') open += ` ${line.trim()}`
    } else {
      finish()
      open = line
      begun = index + 1
    }
  }
  finish()
  return found
}

export function expandMainCf(value: string, settings: Settings, depth = 0): string {
  if (depth > DEEPEST) return ''
  const held = (name: string): string => expandMainCf(settings.get(name)?.value ?? '', settings, depth + 1)
  return value
    .replace(
      /\$(?:(\w+)|[{(](\w+)(?:([?:])([^{}()]*))?[})])/g,
      (_, plain: string | undefined, name: string | undefined, operator?: string, other?: string) => {
        const text = held(plain ?? name ?? '')
        if (operator === '?') return text === '' ? '' : expandMainCf(other ?? '', settings, depth + 1)
        if (operator === ':') return text === '' ? expandMainCf(other ?? '', settings, depth + 1) : text
        return text
      },
    )
    .slice(0, LONGEST)
}

export interface NamedMilter {
  readonly address: string
  /** `connect_timeout` and the like, of a milter in braces. */
  readonly options: ReadonlyMap<string, string>
}

/** The milters of an expanded `smtpd_milters`. */
export function milterList(value: string): NamedMilter[] {
  return (value.match(/\{[^{}]*\}|[^\s,{}]+/g) ?? []).flatMap(item => {
    if (!item.startsWith('{')) return [{ address: item, options: new Map() }]
    const [address = '', ...rest] = item
      .slice(1, -1)
      .split(',')
      .map(part => part.trim())
    const options = rest.flatMap(part => {
      const match = /^(\w+)\s*=\s*(.*)$/s.exec(part)
      return match === null ? [] : [[match[1]!, match[2]!.trim()] as const]
    })
    return address === '' ? [] : [{ address, options: new Map(options) }]
  })
}
