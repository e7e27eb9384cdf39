/**
 * What one external milter and we have agreed on, in the words of the host.
 *
 * The codec's `Agreement` holds numbers; here they become questions the session asks: is this event wanted, is its reply
 * awaited. Never changes after the negotiation, and is shared by all connections that negotiated the same.
 */
import type { Interest, Needs } from '../../host/filter.ts'
import { MACRO_STAGES, type MacroStage } from '../../host/macros.ts'
import type { EditKind } from '../../host/message/edit.ts'
import { ALL_INTERESTS } from '../../host/mta.ts'
import { type Agreement, action, actionNames, macroStage, protocol, protocolNames } from '../wire/index.ts'

const notSent: Readonly<Record<Interest, number>> = {
  connect: protocol.NOCONNECT,
  helo: protocol.NOHELO,
  mail: protocol.NOMAIL,
  rcpt: protocol.NORCPT,
  data: protocol.NODATA,
  header: protocol.NOHDRS,
  eoh: protocol.NOEOH,
  body: protocol.NOBODY,
  unknown: protocol.NOUNKNOWN,
}

const notAnswered: Readonly<Record<Interest, number>> = {
  connect: protocol.NR_CONN,
  helo: protocol.NR_HELO,
  mail: protocol.NR_MAIL,
  rcpt: protocol.NR_RCPT,
  data: protocol.NR_DATA,
  header: protocol.NR_HDR,
  eoh: protocol.NR_EOH,
  body: protocol.NR_BODY,
  unknown: protocol.NR_UNKN,
}

const editsOf: readonly (readonly [number, readonly EditKind[]])[] = [
  [action.ADDHDRS, ['addHeader', 'insertHeader']],
  [action.CHGHDRS, ['changeHeader', 'removeHeader']],
  [action.CHGBODY, ['replaceBody']],
  [action.ADDRCPT | action.ADDRCPT_PAR, ['addRecipient']],
  [action.DELRCPT, ['removeRecipient']],
  [action.CHGFROM, ['changeSender']],
  [action.QUARANTINE, ['quarantine']],
]

/** The number of a stage's symbol list on the wire, and the letter of its D packet. */
export const stageOnWire: Readonly<Record<MacroStage, { readonly list: number; readonly letter: number }>> = {
  connect: { list: macroStage.CONNECT, letter: 0x43 },
  helo: { list: macroStage.HELO, letter: 0x48 },
  mail: { list: macroStage.MAIL, letter: 0x4d },
  rcpt: { list: macroStage.RCPT, letter: 0x52 },
  data: { list: macroStage.DATA, letter: 0x54 },
  eoh: { list: macroStage.EOH, letter: 0x4e },
  eom: { list: macroStage.EOM, letter: 0x45 },
}

export class Terms {
  readonly version: number
  readonly actions: number
  readonly protocol: number
  /** What was odd about the milter's answer. */
  readonly notes: readonly string[]
  readonly #agreement: Agreement

  constructor(agreement: Agreement) {
    this.version = agreement.version
    this.actions = agreement.actions
    this.protocol = agreement.protocol
    this.notes = agreement.notes
    this.#agreement = agreement
  }

  wants(interest: Interest): boolean {
    return (this.protocol & notSent[interest]) === 0
  }

  /** Wants it and answers it. */
  answers(interest: Interest): boolean {
    return (this.protocol & (notSent[interest] | notAnswered[interest])) === 0
  }

  permits(needed: number): boolean {
    return (this.actions & needed) !== 0
  }

  /** Header values carry their leading space, both ways. */
  get leadingSpace(): boolean {
    return (this.protocol & protocol.HDR_LEADSPC) !== 0
  }

  get maySkip(): boolean {
    return (this.protocol & protocol.SKIP) !== 0
  }

  get refusedRecipients(): boolean {
    return (this.protocol & protocol.RCPT_REJ) !== 0
  }

  /** The milter's own list of macros for a stage, `undefined` if it gave none. Empty means it wants none. */
  symbols(stage: MacroStage): readonly string[] | undefined {
    return this.#agreement.symbols.get(stageOnWire[stage].list)
  }

  get edits(): readonly EditKind[] {
    return editsOf.flatMap(([bits, kinds]) => (this.permits(bits) ? kinds : []))
  }

  needs(further: ReadonlyMap<MacroStage, readonly string[]>): Needs {
    const macros = new Map<MacroStage, readonly string[]>()
    for (const stage of MACRO_STAGES) {
      const names = new Set([...(this.symbols(stage) ?? []), ...(further.get(stage) ?? [])])
      if (names.size > 0) macros.set(stage, [...names])
    }
    return {
      events: new Set(ALL_INTERESTS.filter(interest => this.wants(interest))),
      answers: new Set(ALL_INTERESTS.filter(interest => this.answers(interest))),
      edits: new Set(this.edits),
      refusedRecipients: this.refusedRecipients,
      macros,
    }
  }

  /** For people. */
  get text(): string {
    const lists = MACRO_STAGES.flatMap(stage => {
      const names = this.symbols(stage)
      return names === undefined ? [] : `${stage}: ${names.join(' ') || '(none)'}`
    })
    const flags = `actions ${actionNames(this.actions)}, protocol ${protocolNames(this.protocol)}`
    return [`version ${this.version}`, flags, ...lists].join('; ')
  }
}
