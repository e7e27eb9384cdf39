/**
 * What has changed between the headers as the MTA sent them and a final layout, in the terms of the protocol.
 *
 * Occurrences are counted among the headers as sent, so `changed` must be told before `removed`, and both before any
 * addition. Positions of additions are asked for by the plans of each MTA (`batch-postfix.ts`, `batch-sendmail.ts`,
 * `batch-portable.ts`), which use nothing else.
 */
import type { Edit } from './edit.ts'
import { type HeaderNode, keyOf } from './layout.ts'
import type { HeaderField } from './snapshot.ts'

export interface ChangedField {
  readonly node: HeaderNode
  readonly occurrence: number
  /** The name is spelled in another way than it was sent. */
  readonly renamed: boolean
}

export class HeaderDifference {
  readonly layout: readonly HeaderNode[]
  readonly changed: readonly ChangedField[]
  /** From the last back to the first. */
  readonly removed: readonly ChangedField[]
  readonly #sent = new Map<string, number>()

  constructor(headers: readonly HeaderField[], layout: readonly HeaderNode[]) {
    this.layout = layout
    const changed: ChangedField[] = []
    const removed: ChangedField[] = []
    for (const node of layout) {
      if (node.kind !== 'original') continue
      const field = headers[node.origin] as HeaderField
      const key = keyOf(field.name)
      const occurrence = this.sent(key) + 1
      this.#sent.set(key, occurrence)
      const renamed = field.name !== node.field.name
      if (node.state !== 'live') removed.push({ node, occurrence, renamed: false })
      else if (renamed || field.value !== node.field.value) changed.push({ node, occurrence, renamed })
    }
    this.changed = changed
    this.removed = removed.reverse()
  }

  /** How many headers of that name the MTA sent. */
  sent(key: string): number {
    return this.#sent.get(key) ?? 0
  }
}

export const changeOf = ({ node, occurrence }: ChangedField): Edit => ({
  kind: 'changeHeader',
  occurrence,
  name: node.field.name,
  value: node.field.value,
})

export const removalOf = ({ node, occurrence }: ChangedField): Edit => ({
  kind: 'removeHeader',
  occurrence,
  name: node.field.name,
})

export const insertionOf = (index: number, { name, value }: HeaderField): Edit => ({
  kind: 'insertHeader',
  index,
  name,
  value,
})

/** In the final message and not in the one the MTA sent; a filled template is one to all but Sendmail. */
export const isAddition = ({ kind, state }: HeaderNode): boolean =>
  state === 'live' && (kind === 'added' || kind === 'template')
