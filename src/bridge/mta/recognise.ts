/**
 * Which MTA is on the other side. It never introduces itself, but it gives itself away: by the macro `v` (`Postfix 3.7.11`,
 * `8.17.1.9`), by its offer (Postfix offers all actions even as protocol version 2, Sendmail 8.13 only those of its time),
 * and by macros for header and body packets, which only Postfix sends. What is known decides about timing and about how
 * indexes are written, never about mail.
 */
import type { ByteString } from '../../host/bytes.ts'
import type { MtaKind } from '../../host/mta.ts'
import { allActions, type Negotiation } from '../wire/index.ts'

export interface Identity {
  readonly kind: MtaKind
  /** Empty when it was not told. */
  readonly version: string
}

const actionsOfVersion2 = 0x3f

export function recogniseOffer(offer: Negotiation): Identity {
  if (offer.version >= 6) return { kind: 'unknown', version: '' }
  if (offer.actions === allActions) return { kind: 'postfix', version: '' }
  return { kind: offer.version === 2 && offer.actions === actionsOfVersion2 ? 'sendmail' : 'unknown', version: '' }
}

/** The macro `v` overrules what the offer suggested. */
export function recogniseVersion(guess: Identity, v: ByteString | undefined): Identity {
  if (v === undefined || v === '') return guess
  const postfix = /^Postfix(?: (.*))?$/i.exec(v)
  if (postfix !== null) return { kind: 'postfix', version: postfix[1] ?? '' }
  if (/^8\.\d+/.test(v)) return { kind: 'sendmail', version: v }
  return { kind: guess.kind, version: v }
}
