/**
 * The edits that make the MTA's message the one the chain ended with: as few as do it, and in the order that does.
 *
 * Body first and whole (Postfix takes no other edit between its packets); then headers, so that every number in an edit
 * still means what it meant to the MTA when it sent the message: changes, removals from the last occurrence up, free
 * places, additions from the end up; then the envelope. What the MTA has not granted is left out and named. Called
 * once a message by the session, when the whole chain has decided.
 */
import { planPortableHeaders } from './batch-portable.ts'
import { planPostfixHeaders } from './batch-postfix.ts'
import { planSendmailHeaders } from './batch-sendmail.ts'
import type { Edit, EditKind } from './edit.ts'
import { planEnvelope } from './envelope.ts'
import { HeaderDifference } from './header-difference.ts'
import type { MessageSnapshot } from './snapshot.ts'

export interface Batch {
  readonly edits: readonly Edit[]
  /** What could not be told to this MTA, each in words. */
  readonly dropped: readonly string[]
}

const HEADER_PLANS = {
  postfix: planPostfixHeaders,
  sendmail: planSendmailHeaders,
  unknown: planPortableHeaders,
}

/** `final` is `original` after any number of `applyEdits`. */
export function planBatch(
  original: MessageSnapshot,
  final: MessageSnapshot,
  mta: 'postfix' | 'sendmail' | 'unknown',
  granted: ReadonlySet<EditKind>,
): Batch {
  const wanted: Edit[] = []
  if (final.body !== original.body) wanted.push({ kind: 'replaceBody', body: final.body })
  if (final.layout !== undefined && final.layout !== original.layout) {
    wanted.push(...HEADER_PLANS[mta](new HeaderDifference(original.headers, final.layout, mta !== 'sendmail')))
  }
  wanted.push(...planEnvelope(original, final, mta))
  return withGranted(wanted, granted)
}

function withGranted(wanted: readonly Edit[], granted: ReadonlySet<EditKind>): Batch {
  const edits: Edit[] = []
  const dropped: string[] = []
  for (const edit of wanted) {
    if (granted.has(edit.kind)) {
      edits.push(edit)
    } else if (edit.kind === 'insertHeader' && granted.has('addHeader')) {
      // Better in another place than missing: a trace or a signature may stand anywhere.
      edits.push({ kind: 'addHeader', name: edit.name, value: edit.value })
      dropped.push(`the MTA takes no positions: header ${edit.name} was added where the MTA puts it`)
    } else {
      dropped.push(`the MTA does not take the edit ${edit.kind}${subject(edit)}`)
    }
  }
  return { edits, dropped }
}

function subject(edit: Edit): string {
  if ('name' in edit) return ` (${edit.name})`
  return 'address' in edit ? ` (${edit.address})` : ''
}
