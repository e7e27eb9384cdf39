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
    const asked = terms.symbols(stage)
    const chosen = asked === undefined ? told(stage, macros) : named(asked, macros)
    const further = this.further.get(stage)
    const forced = macros.forced?.(stage)
    const fixed = this.#fixed.get(stage)
    if (further === undefined && forced === undefined && fixed === undefined && asked === undefined) return chosen
    // A name that comes again keeps its place and takes the newer value.
    const all = new Map(chosen)
    for (const [name, value] of named(further ?? [], macros)) all.set(name, value)
    for (const [name, value] of forced ?? []) all.set(name, value)
    for (const [name, value] of fixed ?? []) all.set(name, value)
    return [...all]
  }
}

/** What the MTA told, with the queue id. */
function told(stage: MacroStage, macros: Macros): Macro[] {
  const values = macros.at(stage)
  const all: Macro[] = values.size === 0 ? [] : [...values]
  if (!values.has('i') && stage !== 'connect' && stage !== 'helo') all.push(...named(['i'], macros))
  return all
}

function named(names: readonly string[], macros: Macros): Macro[] {
  const all: Macro[] = []
  for (const name of names) {
    const value = macros.get(name)
    if (value !== undefined) all.push([name, value])
  }
  return all
}
