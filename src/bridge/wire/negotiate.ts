/**
 * The OPTNEG packet, one layout for both directions: version, actions, protocol flags, and in a milter's answer the symbol
 * lists that say which macros it wants at which stage. Only the bytes; what may be asked and answered is in `agreement.ts`.
 * A list's text is kept exactly as it came, since an empty one is legal and means opposite things to Sendmail (send no
 * macros) and Postfix (send the configured ones).
 */

import type { ByteString } from '../../host/bytes.ts'
import type { PayloadReader } from './decode.ts'
import type { PacketWriter } from './encode.ts'
import { bareMacroName, bracedMacroName } from './macros.ts'

export interface SymbolList {
  /** A number of `macroStage`, or one a peer made up. */
  readonly stage: number
  /** As on the wire: `{auth_type}, i`. */
  readonly names: ByteString
}

export interface Negotiation {
  readonly version: number
  readonly actions: number
  readonly protocol: number
  /** Only in an answer. */
  readonly symbols: readonly SymbolList[]
}

/** The names of a list without braces; separators are blanks and commas in any mix. */
export function symbolNames(text: ByteString): ByteString[] {
  return text
    .split(/[\s,]+/)
    .filter(name => name !== '')
    .map(bareMacroName)
}

export function symbolText(names: readonly ByteString[]): ByteString {
  return names.map(bracedMacroName).join(' ')
}

/** An MTA's offer has no lists: what follows its 12 bytes is surplus, as for libmilter. */
export function readOffer(reader: PayloadReader): Negotiation {
  return { ...readNumbers(reader), symbols: [] }
}

export function readAnswer(reader: PayloadReader): Negotiation {
  const answer = readNumbers(reader)
  const symbols: SymbolList[] = []
  while (reader.left > 0) symbols.push({ stage: reader.u32('symbol list stage'), names: reader.text('symbol list') })
  return { ...answer, symbols }
}

export function writeNegotiation(writer: PacketWriter, negotiation: Negotiation): void {
  writer.u32(negotiation.version, 'version').u32(negotiation.actions, 'actions').u32(negotiation.protocol, 'protocol')
  for (const { stage, names } of negotiation.symbols) writer.u32(stage, 'symbol list stage').text(names, 'symbol list')
}

function readNumbers(reader: PayloadReader): Omit<Negotiation, 'symbols'> {
  return { version: reader.u32('version'), actions: reader.u32('actions'), protocol: reader.u32('protocol') }
}
