/**
 * How an edit of a filter stands in a scenario: `EXPECT edit dkim insertHeader 1 "DKIM-Signature" " v=1; …"`.
 *
 * The words are those of `Edit` (src/host/message/edit.ts) in one order for each kind. Pure; called by `expectation.ts` and `write.ts`.
 */
import type { ScenarioEdit } from './scenario.ts'
import { quoted, type Word } from './words.ts'

const PARTS: Readonly<Record<ScenarioEdit['kind'], readonly string[]>> = {
  addHeader: ['name', 'value'],
  insertHeader: ['index', 'name', 'value'],
  changeHeader: ['occurrence', 'name', 'value'],
  removeHeader: ['occurrence', 'name'],
  replaceBody: ['bytes'],
  addRecipient: ['address', 'args'],
  removeRecipient: ['address'],
  changeSender: ['address', 'args'],
  quarantine: ['reason'],
}

const NUMBERS: ReadonlySet<string> = new Set(['index', 'occurrence', 'bytes'])

/** `words`: all after the filter's name. `bad` makes the error. */
export function readEdit([kind, ...rest]: readonly Word[], bad: (what: string) => Error): ScenarioEdit {
  const parts = Object.hasOwn(PARTS, kind?.text ?? '') ? PARTS[kind!.text as ScenarioEdit['kind']] : undefined
  if (parts === undefined)
    throw bad(`EXPECT edit needs the name of a filter and an edit: ${Object.keys(PARTS).join(', ')}`)
  if (rest.length !== parts.length) throw bad(`${kind!.text} needs ${parts.join(', ')}`)
  const values = parts.map((part, at) => [part, partOf(part, rest[at]!, bad)])
  return { kind: kind!.text, ...Object.fromEntries(values) } as ScenarioEdit
}

function partOf(part: string, { text }: Word, bad: (what: string) => Error): string | number {
  if (!NUMBERS.has(part)) return text
  if (!/^\d{1,15}$/.test(text)) throw bad(`${part} is a number, not ${text}`)
  return Number(text)
}

export function editWords(edit: ScenarioEdit): string[] {
  const values = edit as unknown as Readonly<Record<string, string | number>>
  return [
    edit.kind,
    ...PARTS[edit.kind].map(part => (NUMBERS.has(part) ? String(values[part]) : quoted(String(values[part])))),
  ]
}
