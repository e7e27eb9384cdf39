/**
 * Header edits for Postfix: an index is an absolute position, its own Received line included, at the moment of the edit.
 *
 * Additions after everything are appended in order; all others are told from the bottom up, so that those still to come do
 * not move them, and an index is simply how many of the MTA's own lines stand above. Only `batch.ts` calls it.
 */
import { AT_END, type Edit } from './edit.ts'
import { changeOf, type HeaderDifference, insertionOf, removalOf } from './header-difference.ts'
import type { HeaderNode } from './layout.ts'

export function planPostfixHeaders(difference: HeaderDifference): Edit[] {
  const { layout, changed, removed } = difference
  const stands = (node: HeaderNode): boolean => node.kind === 'received' || difference.isKept(node)
  const edits = [...changed.map(changeOf), ...removed.map(removalOf)]
  const end = layout.findLastIndex(stands)
  for (const node of layout.slice(end + 1)) if (difference.isNew(node)) edits.push(insertionOf(AT_END, node.field))
  let above = layout.filter(stands).length
  for (let at = end; at >= 0; at--) {
    const node = layout[at] as HeaderNode
    if (stands(node)) above--
    else if (difference.isNew(node)) edits.push(insertionOf(above, node.field))
  }
  return edits
}
