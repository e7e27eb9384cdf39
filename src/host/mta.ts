/**
 * What the host knows of the MTA behind a connection. Told by the bridge; the chain uses it for time and for the
 * order and positions in which edits are written, never to decide about mail.
 */
import type { Interest } from './filter.ts'
import { EDIT_KINDS, type EditKind } from './message/edit.ts'

export type MtaKind = 'postfix' | 'sendmail' | 'unknown'

export interface MtaFacts {
  readonly kind: MtaKind
  /** As in the macro `v`; empty when it was not told. */
  readonly version: string
  /** Edits it takes. */
  readonly edits: ReadonlySet<EditKind>
  /** Events it sends in this connection. */
  readonly asked: ReadonlySet<Interest>
}

export const ALL_INTERESTS: readonly Interest[] = [
  'connect',
  'helo',
  'mail',
  'rcpt',
  'data',
  'header',
  'eoh',
  'body',
  'unknown',
]

/** Before the bridge has said more. */
export const UNKNOWN_MTA: MtaFacts = {
  kind: 'unknown',
  version: '',
  edits: new Set(EDIT_KINDS),
  asked: new Set(ALL_INTERESTS),
}
