/**
 * Edits of a filter as the text of a scenario has them, and back. Pure.
 *
 * Of a new body only the size is kept: a body made from a size is filler.
 */
import { bytesOf, decodeText, encodeText } from '../../host/bytes.ts'
import { memoryBody } from '../../host/message/body.ts'
import type { Edit } from '../../host/message/edit.ts'
import { fillerText } from './filler.ts'
import type { ScenarioEdit } from './scenario.ts'

export const editOf = (edit: Edit): ScenarioEdit =>
  edit.kind === 'replaceBody' ? { kind: edit.kind, bytes: edit.body.size } : mapped(edit, decodeText)

export const asEdit = (edit: ScenarioEdit): Edit =>
  edit.kind === 'replaceBody'
    ? { kind: edit.kind, body: memoryBody([bytesOf(fillerText({ bytes: edit.bytes, lines: 0 }))]) }
    : mapped(edit, encodeText)

type Textual = Exclude<ScenarioEdit, { kind: 'replaceBody' }>

/** The same edit with every text of it changed. */
export const mapped = <E extends Textual>(edit: E, change: (text: string) => string): E =>
  Object.fromEntries(
    Object.entries(edit).map(([key, value]) => [
      key,
      key === 'kind' || typeof value !== 'string' ? value : change(value),
    ]),
  ) as E
