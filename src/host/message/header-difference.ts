/**
 * What has changed between the headers as the MTA sent them and a final layout, in the terms of the protocol.
 *
 * Occurrences are counted among the headers as sent, so `changed` must be told before `removed`, and both before any
 * addition. A header that no change can make what it is now is removed and made anew in its place. Positions are asked
 * for by the plans of each MTA (`batch-postfix.ts`, `batch-sendmail.ts`, `batch-portable.ts`), which use nothing else.
 */
import type { Edit } from './edit.ts'
import { type HeaderNode, keyOf } from './layout.ts'
import type { HeaderField } from './snapshot.ts'

export interface ChangedField {
  readonly node: HeaderNode
  readonly occurrence: number
}

export class HeaderDifference {
  readonly layout: readonly HeaderNode[]
  readonly changed: readonly ChangedField[]
  /** From the last back to the first. */
  readonly removed: readonly ChangedField[]
  readonly #remade = new Set<HeaderNode>()
  readonly #sent = new Map<string, number>()

  /** `respells`: with its value the MTA also changes how the name is spelled. */
  constructor(headers: readonly HeaderField[], layout: readonly HeaderNode[], respells: boolean) {
    this.layout = layout
    const changed: ChangedField[] = []
    const removed: ChangedField[] = []
    for (const node of layout) {
      if (node.kind !== 'original') continue
      const field = headers[node.origin] as HeaderField
      const key = keyOf(field.name)
      const occurrence = this.sent(key) + 1
      this.#sent.set(key, occurrence)
      const { name, value } = node.field
      const renamed = name !== field.name
      if (node.state === 'live' && !renamed && value === field.value) continue
      // A change to nothing is a removal on the wire; a free place may have been filled with nothing.
      const remade = value === '' || (renamed && !respells)
      if (node.state !== 'live') removed.push({ node, occurrence })
      else if (!remade) changed.push({ node, occurrence })
      else {
        removed.push({ node, occurrence })
        this.#remade.add(node)
      }
    }
    this.changed = changed
    this.removed = removed.reverse()
  }

  /** In the final message and in the list the MTA has, in that place. */
  isKept(node: HeaderNode): boolean {
    return node.kind === 'original' && node.state === 'live' && !this.#remade.has(node)
  }

  /** In the final message, and to be inserted: a filled template is too, to all but Sendmail. */
  isNew(node: HeaderNode): boolean {
    return node.state === 'live' && !this.isKept(node)
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
