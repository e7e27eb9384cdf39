/**
 * Header edits for an MTA that was not recognised: only positions that mean the same on Postfix and Sendmail.
 *
 * Those are above the MTA's Received line (0), directly below it (1) and after everything. What stood between other headers
 * goes to the end. All of 1 are told before any of 0, and each place from the bottom up, because an addition at 0 would
 * move what 1 means. Only `batch.ts` calls it.
 */
import { AT_END, type Edit } from './edit.ts'
import { changeOf, type HeaderDifference, insertionOf, removalOf } from './header-difference.ts'
import type { HeaderNode } from './layout.ts'

export function planPortableHeaders(difference: HeaderDifference): Edit[] {
  const { layout, changed, removed } = difference
  const received = layout.findIndex(node => node.kind === 'received')
  const shown = layout.findIndex(node => difference.isKept(node))
  const first = shown === -1 ? layout.length : shown
  const added = (from: number, to: number): HeaderNode[] =>
    layout.slice(from, to).filter(node => difference.isNew(node))
  return [
    ...changed.map(changeOf),
    ...removed.map(removalOf),
    ...added(first, layout.length).map(node => insertionOf(AT_END, node.field)),
    ...added(received + 1, first)
      .toReversed()
      .map(node => insertionOf(1, node.field)),
    ...added(0, received)
      .toReversed()
      .map(node => insertionOf(0, node.field)),
  ]
}
