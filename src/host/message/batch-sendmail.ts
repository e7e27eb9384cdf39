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
import { type HeaderNode, keyOf, SENDMAIL_TEMPLATES } from './layout.ts'

/** The MTA has it from the start, shown or not, and goes on counting it. */
const isElement = ({ kind }: HeaderNode): boolean => kind !== 'added'

export function planSendmailHeaders(difference: HeaderDifference): Edit[] {
  const { layout, changed, removed } = difference
  const filled = new Set(layout.filter((_, at) => isFilled(layout, at)))
  const isNew = (node: HeaderNode): boolean => difference.isNew(node) && !filled.has(node)
  return [
    ...changed.map(changeOf),
    ...removed.map(removalOf),
    ...templates(difference, filled),
    ...placements(layout, isNew),
  ]
}

/** A template that can be told by filling it, in its place and with its own spelling. */
function isFilled(layout: readonly HeaderNode[], at: number): boolean {
  const { kind, state, field } = layout[at] as HeaderNode
  if (kind !== 'template' || state !== 'live' || !SENDMAIL_TEMPLATES.includes(field.name)) return false
  // No index puts anything above the first element, which is a template: it makes room.
  const above = layout.slice(0, at)
  return above.some(isElement) || !above.some(node => node.state === 'live')
}

/** The places of headers that Sendmail would make itself: filled, or kept from being filled. */
function* templates(difference: HeaderDifference, filled: ReadonlySet<HeaderNode>): Generator<Edit> {
  for (const node of difference.layout) {
    if (node.kind !== 'template' || node.state === 'default') continue
    const { name, value } = node.field
    // A free place is taken by an addition of that name, and is what one occurrence beyond the last one means.
    if (filled.has(node)) yield { kind: 'addHeader', name, value }
    else yield { kind: 'removeHeader', occurrence: difference.sent(keyOf(name)) + 1, name }
  }
}

function placements(layout: readonly HeaderNode[], isNew: (node: HeaderNode) => boolean): Edit[] {
  const edits: Edit[] = []
  const end = layout.findLastIndex(isElement)
  for (const node of layout.slice(end + 1)) if (isNew(node)) edits.push(insertionOf(AT_END, node.field))
  let above = layout.filter(isElement).length
  for (let at = end; at >= 0; at--) {
    const node = layout[at] as HeaderNode
    if (isNew(node)) edits.push(insertionOf(Math.max(above - 1, 0), node.field))
    if (isElement(node)) above--
  }
  return edits
}
