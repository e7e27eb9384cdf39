/**
 * What is agreed with an MTA: its offer and the needs of the filters give the answer, and the answer gives the terms that a
 * connection works by. Pure.
 *
 * Never more than offered. Every connection, sender and recipient is seen, because the session needs them; content, DATA and
 * unknown commands only if a filter wants them. Header, end of headers and body are never answered one by one, since
 * nothing is decided before the end of the message; connect, helo, data and unknown commands are answered only if a
 * filter can have an opinion. MAIL and RCPT always are: failures are told at MAIL and limits at RCPT.
 */
import type { Interest, Needs } from '../../host/filter.ts'
import { EDIT_KINDS, type EditKind } from '../../host/message/edit.ts'
import { ALL_INTERESTS } from '../../host/mta.ts'
import { action, answerOffer, type CommandKind, type Negotiation, protocol } from '../wire/index.ts'
import { symbolLists } from './symbols.ts'

/** What holds on a connection after the negotiation. */
export interface Terms {
  /** What the MTA is told. */
  readonly answer: Negotiation
  /** Header values carry their leading space, both ways. */
  readonly leadingSpace: boolean
  /** Recipients that the MTA has refused are told too. */
  readonly refusedRecipients: boolean
  /** Commands that the MTA does not wait for. */
  readonly silent: ReadonlySet<CommandKind>
  /** Commands that the MTA does not send. */
  readonly unsent: ReadonlySet<CommandKind>
  /** Edits it takes. */
  readonly edits: ReadonlySet<EditKind>
  /** Events it sends. */
  readonly asked: ReadonlySet<Interest>
}

/** When no session can be had. */
export const NO_NEEDS: Needs = {
  events: new Set(),
  answers: new Set(),
  edits: new Set(),
  refusedRecipients: false,
  macros: new Map(),
}

const actionsFor: Readonly<Record<EditKind, number>> = {
  addHeader: action.ADDHDRS,
  insertHeader: action.ADDHDRS,
  changeHeader: action.CHGHDRS,
  removeHeader: action.CHGHDRS,
  replaceBody: action.CHGBODY,
  addRecipient: action.ADDRCPT | action.ADDRCPT_PAR,
  removeRecipient: action.DELRCPT,
  changeSender: action.CHGFROM,
  quarantine: action.QUARANTINE,
}

/** Edits that can be written only against the headers the MTA holds, so that these must be seen. */
const countingEdits: readonly EditKind[] = ['insertHeader', 'changeHeader', 'removeHeader']

const silences: readonly (readonly [CommandKind, number])[] = [
  ['connect', protocol.NR_CONN],
  ['helo', protocol.NR_HELO],
  ['data', protocol.NR_DATA],
  ['header', protocol.NR_HDR],
  ['eoh', protocol.NR_EOH],
  ['body', protocol.NR_BODY],
  ['unknown', protocol.NR_UNKN],
]

const omissions: readonly (readonly [Interest & CommandKind, number])[] = [
  ['data', protocol.NODATA],
  ['header', protocol.NOHDRS],
  ['eoh', protocol.NOEOH],
  ['body', protocol.NOBODY],
  ['unknown', protocol.NOUNKNOWN],
]

/** Throws WireError if the offered version cannot be spoken. */
export function negotiate(offer: Negotiation, needs: Needs): Terms {
  const answer = answerOffer(offer, {
    actions: actionsNeeded(needs),
    protocol: protocolNeeded(needs),
    symbols: symbolLists(needs.macros),
  })
  const granted = (bit: number): boolean => (answer.protocol & bit) !== 0
  const unsent = new Set(omissions.filter(([, bit]) => granted(bit)).map(([kind]) => kind))
  if (answer.version < 3) unsent.add('unknown')
  if (answer.version < 4) unsent.add('data')
  return {
    answer,
    leadingSpace: granted(protocol.HDR_LEADSPC),
    refusedRecipients: granted(protocol.RCPT_REJ),
    silent: new Set(silences.filter(([, bit]) => granted(bit)).map(([kind]) => kind)),
    unsent,
    edits: new Set(EDIT_KINDS.filter(kind => (answer.actions & actionsFor[kind]) !== 0)),
    asked: new Set(ALL_INTERESTS.filter(interest => !unsent.has(interest as Interest & CommandKind))),
  }
}

/** Remembers what was agreed: an MTA makes the same offer at every connection. */
export class Negotiator {
  readonly #agreed: { readonly offer: Negotiation; readonly needs: Needs; readonly terms: Terms }[] = []

  /** As `negotiate`. */
  agree(offer: Negotiation, needs: Needs): Terms {
    const known = this.#agreed.find(each => each.needs === needs && sameOffer(each.offer, offer))
    if (known !== undefined) return known.terms
    const terms = negotiate(offer, needs)
    if (this.#agreed.length >= REMEMBERED) this.#agreed.shift()
    this.#agreed.push({ offer, needs, terms })
    return terms
  }
}

const REMEMBERED = 8

/** Lists of macros are for milters to ask with; in an offer they say nothing. */
const sameOffer = (one: Negotiation, other: Negotiation): boolean =>
  one.version === other.version && one.actions === other.actions && one.protocol === other.protocol

/** Whether a session with these needs can work on a connection that was negotiated for another. */
export const covers = (terms: Terms, needs: Needs): boolean =>
  [...wantedEvents(needs)].every(event => terms.asked.has(event)) &&
  [...needs.edits].every(edit => terms.edits.has(edit)) &&
  [...needs.answers].every(event => !terms.silent.has(event) || isContent(event))

function actionsNeeded({ edits }: Needs): number {
  let bits = 0
  for (const kind of edits) bits |= actionsFor[kind]
  // A change that only respells the name, or finds no such header, is written as a removal and an insertion.
  if ((bits & (action.ADDHDRS | action.CHGHDRS)) !== 0) bits |= action.ADDHDRS | action.CHGHDRS
  return bits
}

function protocolNeeded(needs: Needs): number {
  const events = wantedEvents(needs)
  let bits = protocol.SKIP | protocol.HDR_LEADSPC
  if (needs.refusedRecipients) bits |= protocol.RCPT_REJ
  for (const [kind, bit] of omissions) if (!events.has(kind)) bits |= bit
  for (const [kind, bit] of silences) if (isSilent(kind as Interest & CommandKind, needs, events)) bits |= bit
  return bits
}

/** DATA is asked for wherever content is: it is where "nobody wants the content of this message" can be said. */
function wantedEvents({ events, edits }: Needs): ReadonlySet<Interest> {
  const wanted = new Set(events)
  if (countingEdits.some(edit => edits.has(edit))) wanted.add('header')
  if (hasContent(wanted)) wanted.add('data')
  return wanted
}

function isSilent(kind: Interest, needs: Needs, events: ReadonlySet<Interest>): boolean {
  if (isContent(kind)) return true
  if (kind === 'data' && hasContent(events)) return false
  return !needs.answers.has(kind)
}

const isContent = (event: Interest): boolean => event === 'header' || event === 'eoh' || event === 'body'
const hasContent = (events: ReadonlySet<Interest>): boolean => [...events].some(isContent)
