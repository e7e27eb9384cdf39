/**
 * Header edits for Sendmail: an index counts the whole list, templates and removed headers too, and the new header
 * goes *after* the element of that index.
 *
 * Additions after everything are appended in order; all others are told from the bottom up, so that those still to come do
 * not move them, and an index is simply how many of the MTA's own elements stand above. Above and directly below the MTA's Received
 * line the result does not depend on how many templates the cf file has; between other headers it does
 * (`SENDMAIL_TEMPLATES`). The spelling of a name cannot be changed there: such a header is removed and a new one put in
 * its place. Only `batch.ts` calls it.
 */
import { AT_END, type Edit } from './edit.ts'
import { changeOf, type HeaderDifference, insertionOf, removalOf } from './header-difference.ts'
import { type HeaderNode, keyOf } from './layout.ts'

/** The MTA has it from the start, shown or not, and goes on counting it. */
const isElement = ({ kind }: HeaderNode): boolean => kind !== 'added'

export function planSendmailHeaders(difference: HeaderDifference): Edit[] {
  const { changed, removed } = difference
  const respelled = changed.filter(change => change.renamed)
  const removals = [...removed, ...respelled].sort((a, b) => b.node.origin - a.node.origin)
  return [
    ...changed.filter(change => !change.renamed).map(changeOf),
    ...removals.map(removalOf),
    ...templates(difference),
    ...placements(difference.layout, new Set(respelled.map(change => change.node))),
  ]
}

/** The places of headers that Sendmail would make itself: filled, or kept from being filled. */
function* templates(difference: HeaderDifference): Generator<Edit> {
  for (const { kind, state, field } of difference.layout) {
    if (kind !== 'template' || state === 'default') continue
    const { name, value } = field
    // A free place is taken by an addition of that name, and is what one occurrence beyond the last one means.
    if (state === 'live') yield { kind: 'addHeader', name, value }
    else yield { kind: 'removeHeader', occurrence: difference.sent(keyOf(name)) + 1, name }
  }
}

function placements(layout: readonly HeaderNode[], respelled: ReadonlySet<HeaderNode>): Edit[] {
  const edits: Edit[] = []
  const end = layout.findLastIndex(isElement)
  const isNew = (node: HeaderNode): boolean => node.kind === 'added' && node.state === 'live'
  for (const node of layout.slice(end + 1)) if (isNew(node)) edits.push(insertionOf(AT_END, node.field))
  let above = layout.filter(isElement).length
  for (let at = end; at >= 0; at--) {
    const node = layout[at] as HeaderNode
    if (isElement(node)) {
      if (respelled.has(node)) edits.push(insertionOf(above - 1, node.field))
      above--
    } else if (isNew(node)) {
      // Nothing can be put above the first element but what goes before the first of its name.
      edits.push(above > 0 ? insertionOf(above - 1, node.field) : { kind: 'addHeader', ...named(node) })
    }
  }
  return edits
}

const named = ({ field: { name, value } }: HeaderNode): { name: string; value: string } => ({ name, value })
