/**
 * What two sides of a negotiation may agree on: the answer to an MTA's offer, the offer to an external milter, and what its
 * answer is worth. Pure functions over the numbers of `negotiate.ts`; what a chain needs is computed elsewhere. An answer
 * to an MTA never goes beyond its offer, since Sendmail fails the milter over one unoffered bit and Postfix over one
 * unoffered action.
 */

import { WireError } from './error.ts'
import { action, actionNames, protocol, protocolNames, stageName } from './names.ts'
import { type Negotiation, type SymbolList, symbolNames } from './negotiate.ts'

export const leastVersion = 2
export const latestVersion = 6

/** All actions and all protocol flags of version 6. */
export const allActions = 0x1ff
export const allProtocol = 0x1fffff

/** Negotiation of the packet size, rarely built in: masked out of every offer and never given back. */
const packetSizeBits = 0x70000000
/** What an MTA of old means by offering 0; libmilter reads it the same way. */
const impliedActions = 0x0f
const impliedProtocol = 0x3f

/** The protocol flags that a version knows. Version 5 was never shipped and counts as 4. */
export function protocolOfVersion(version: number): number {
  if (version >= 6) return allProtocol
  if (version >= 4) return 0x37f
  return version === 3 ? 0x17f : 0x7f
}

/** What an MTA's offer really permits: a version we speak, known bits only, 0 read as libmilter reads it. */
export function effectiveOffer(offer: Negotiation): Negotiation {
  if (offer.version < leastVersion) throw versionError(offer.version, 'offered')
  const protocolBits = (offer.protocol & ~packetSizeBits) >>> 0
  return {
    version: Math.min(latestVersion, offer.version),
    actions: offer.actions === 0 ? impliedActions : offer.actions & allActions,
    protocol: protocolBits === 0 ? impliedProtocol : protocolBits & allProtocol,
    symbols: [],
  }
}

export interface Needs {
  readonly actions: number
  readonly protocol: number
  /** Lists that ask for macros. Sendmail ignores the EOM list when there is no EOH list: give all seven or none. */
  readonly symbols?: readonly SymbolList[]
}

/** The answer to an MTA: what is needed, as far as it was offered. Lists go out only if the MTA offered SETSYMLIST. */
export function answerOffer(offer: Negotiation, needs: Needs): Negotiation {
  const { version, actions, protocol: offered } = effectiveOffer(offer)
  const lists = (actions & action.SETSYMLIST) === 0 ? [] : (needs.symbols ?? [])
  const wanted = lists.length > 0 ? needs.actions | action.SETSYMLIST : needs.actions & ~action.SETSYMLIST
  return { version, actions: wanted & actions, protocol: needs.protocol & offered, symbols: lists }
}

/**
 * The offer to an external milter. Actions are not cut to the version: Postfix offers all of them even as version 2, and a
 * libmilter filter closes the connection when an action it declared is missing.
 */
export function offerToMilter(version: number, actions: number, protocolBits: number): Negotiation {
  if (version < leastVersion || version > latestVersion) throw versionError(version, 'cannot be offered')
  return {
    version,
    actions: actions & allActions,
    protocol: protocolBits & protocolOfVersion(version),
    symbols: [],
  }
}

export interface AnswerOptions {
  /** What to do with actions that were not offered: `error` as both MTAs do, `mask` for rspamd, which always asks for 0x3F. */
  readonly excessActions?: 'error' | 'mask'
}

export interface Agreement {
  readonly version: number
  readonly actions: number
  /** Known flags only, among them those that were not offered: Postfix honours these too, and rspamd relies on it. */
  readonly protocol: number
  /** Macro names without braces, by number of `macroStage`; an empty list is one that asks for no macros. */
  readonly symbols: ReadonlyMap<number, readonly string[]>
  /** What was odd about the answer and was put right, one sentence each. */
  readonly notes: readonly string[]
}

/** Validates a milter's answer to our offer and normalises it. Throws WireError if there can be no agreement. */
export function acceptAnswer(offer: Negotiation, answer: Negotiation, options: AnswerOptions = {}): Agreement {
  const { version } = answer
  if (version < leastVersion) throw versionError(version, 'answered')
  if (version > offer.version) throw versionError(version, 'answered to a lower offer', offer.version)
  const notes: string[] = []
  const excess = (answer.actions & ~offer.actions) >>> 0
  if (excess !== 0) {
    const names = { excess: actionNames(excess), offered: actionNames(offer.actions) }
    if (options.excessActions !== 'mask') throw new WireError('WIRE_ACTIONS_BEYOND_OFFER', names)
    notes.push(`actions ${names.excess} were not offered and are left out`)
  }
  const unknown = (answer.protocol & ~allProtocol) >>> 0
  if (unknown !== 0) notes.push(`unknown protocol flags ${protocolNames(unknown)} are left out`)
  const unoffered = (answer.protocol & allProtocol & ~offer.protocol) >>> 0
  if (unoffered !== 0) notes.push(`protocol flags ${protocolNames(unoffered)} were not offered and are honoured`)
  return {
    version,
    actions: (answer.actions & offer.actions) >>> 0,
    protocol: (answer.protocol & allProtocol) | flagsImpliedBy(version),
    symbols: readSymbols(answer.symbols, notes),
    notes,
  }
}

/** Commands that an older version does not have: never to be sent to it, as Sendmail does. */
function flagsImpliedBy(version: number): number {
  return (version < 3 ? protocol.NOUNKNOWN : 0) | (version < 4 ? protocol.NODATA : 0)
}

/** An unknown stage is left out and noted, as Postfix does; Sendmail would drop all lists behind it. */
function readSymbols(lists: readonly SymbolList[], notes: string[]): ReadonlyMap<number, readonly string[]> {
  const symbols = new Map<number, readonly string[]>()
  for (const { stage, names } of lists) {
    if (stage > 6) notes.push(`the symbol list for ${stageName(stage)} is left out`)
    else symbols.set(stage, symbolNames(names))
  }
  return symbols
}

function versionError(version: number, problem: string, most: number = latestVersion): WireError {
  return new WireError('WIRE_VERSION', { version, problem, least: leastVersion, most })
}
