/**
 * Which macros an external milter is sent at which stage.
 *
 * Its own list if it gave one, else everything the MTA told at that stage and the queue id: Postfix has none before
 * the first recipient is accepted, and gives it at later stages only. On top come the macros of the configuration, for milters
 * that need one and cannot ask for it (before version 6 nobody can) or that need a value no MTA gives.
 */
import type { ByteString } from '../../host/bytes.ts'
import { bare, MACRO_STAGES, type MacroStage, type Macros } from '../../host/macros.ts'
import type { Macro } from '../wire/index.ts'
import type { Terms } from './terms.ts'

/** For one stage: names to send as the MTA tells them, or names with a fixed value (`true`: as the MTA tells it). */
export type MacroOption = readonly string[] | Readonly<Record<string, string | true>>
export type MacroOptions = Readonly<Partial<Record<MacroStage, MacroOption>>>

export class MacroChoice {
  /** Names the configuration wants of the MTA, by stage. */
  readonly further: ReadonlyMap<MacroStage, readonly string[]>
  readonly #fixed = new Map<MacroStage, ReadonlyMap<string, ByteString>>()

  constructor(options: MacroOptions = {}) {
    const further = new Map<MacroStage, readonly string[]>()
    for (const stage of MACRO_STAGES) {
      const option = options[stage]
      if (option === undefined) continue
      const pairs = Array.isArray(option) ? option.map(name => [name, true] as const) : Object.entries(option)
      const told: string[] = []
      const fixed = new Map<string, ByteString>()
      for (const [name, value] of pairs as readonly (readonly [string, string | true])[]) {
        if (value === true) told.push(bare(name))
        else fixed.set(bare(name), Buffer.from(value, 'utf8').toString('latin1'))
      }
      if (told.length > 0) further.set(stage, told)
      if (fixed.size > 0) this.#fixed.set(stage, fixed)
    }
    this.further = further
  }

  /** Names without braces, in the order the milter or the MTA gave them. */
  of(stage: MacroStage, macros: Macros, terms: Terms): readonly Macro[] {
    const chosen = new Map<string, ByteString>()
    const add = (name: string): void => {
      const value = macros.get(name)
      if (value !== undefined) chosen.set(name, value)
    }
    const asked = terms.symbols(stage)
    if (asked !== undefined) for (const name of asked) add(name)
    else {
      for (const [name, value] of macros.at(stage)) chosen.set(name, value)
      if (!chosen.has('i') && stage !== 'connect' && stage !== 'helo') add('i')
    }
    for (const name of this.further.get(stage) ?? []) add(name)
    for (const [name, value] of macros.forced?.(stage) ?? []) chosen.set(name, value)
    for (const [name, value] of this.#fixed.get(stage) ?? []) chosen.set(name, value)
    return [...chosen]
  }
}
