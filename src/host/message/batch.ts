/**
 * (interim, portable positions only; being replaced) The batch of edits that turns the MTA's message into the chain's.
 */
import type { MtaKind } from '../mta.ts'
import { AT_END, type Edit, type EditKind } from './edit.ts'
import type { MessageSnapshot } from './snapshot.ts'

export function planBatch(
  original: MessageSnapshot,
  final: MessageSnapshot,
  _mta: MtaKind,
  _granted: ReadonlySet<EditKind>,
): { readonly edits: readonly Edit[]; readonly dropped: readonly string[] } {
  const edits: Edit[] = []
  if (final.body !== original.body) edits.push({ kind: 'replaceBody', body: final.body })
  if (final.headers !== original.headers) {
    const left = new Map(final.headers.map(field => [field.id, field]))
    const counts = new Map<string, number>()
    const removals: Edit[] = []
    for (const field of original.headers) {
      const key = field.name.toLowerCase()
      const occurrence = (counts.get(key) ?? 0) + 1
      counts.set(key, occurrence)
      const now = left.get(field.id)
      if (now === undefined) removals.unshift({ kind: 'removeHeader', occurrence, name: field.name })
      else if (now.value !== field.value)
        edits.push({ kind: 'changeHeader', occurrence, name: field.name, value: now.value })
    }
    edits.push(...removals)
    const known = new Set(original.headers.map(field => field.id))
    const first = final.headers.findIndex(field => known.has(field.id))
    final.headers.forEach((field, at) => {
      if (known.has(field.id) || (first !== -1 && at < first)) return
      edits.push({ kind: 'insertHeader', index: AT_END, name: field.name, value: field.value })
    })
    for (const field of final.headers.slice(0, Math.max(first, 0)).reverse())
      edits.push({ kind: 'insertHeader', index: 1, name: field.name, value: field.value })
  }
  if (final.sender.raw !== original.sender.raw)
    edits.push({ kind: 'changeSender', address: final.sender.raw, args: final.sender.args.join(' ') })
  const has = (list: MessageSnapshot['recipients'], raw: string): boolean => list.some(path => path.raw === raw)
  for (const path of original.recipients)
    if (!has(final.recipients, path.raw)) edits.push({ kind: 'removeRecipient', address: path.raw })
  for (const path of final.recipients)
    if (!has(original.recipients, path.raw))
      edits.push({ kind: 'addRecipient', address: path.raw, args: path.args.join(' ') })
  return { edits, dropped: [] }
}
