/**
 * The macros an MTA told us, kept by stage.
 *
 * Names are held without braces (`i`, `auth_type`). A new set replaces the stage's old one; an empty set leaves it, as
 * libmilter does (Postfix sends an empty `D` for a stage with no list). Looking up a name goes from the newest
 * stage to the oldest, so a filter finds a macro at whatever stage its MTA gave it.
 */
import type { ByteString } from './bytes.ts'

export const MACRO_STAGES = ['connect', 'helo', 'mail', 'rcpt', 'data', 'eoh', 'eom'] as const
export type MacroStage = (typeof MACRO_STAGES)[number]

/** What filters see of the macros. */
export interface Macros {
  /** The newest value of a macro, named with or without braces. */
  get(name: string): ByteString | undefined
  /** What was told at one stage. */
  at(stage: MacroStage): ReadonlyMap<string, ByteString>
  /** What the configuration sets for this filter at a stage (`setMacro`): told whether the filter asked for it or not. */
  forced?(stage: MacroStage): ReadonlyMap<string, ByteString> | undefined
}

const NONE: ReadonlyMap<string, ByteString> = new Map()

export class MacroStore implements Macros {
  /** No map of stages: there is a store for each session, and an empty map is dear. */
  readonly #stages: Record<MacroStage, ReadonlyMap<string, ByteString>> = {
    connect: NONE,
    helo: NONE,
    mail: NONE,
    rcpt: NONE,
    data: NONE,
    eoh: NONE,
    eom: NONE,
  }
  /** `null` while there are none. */
  #added: Map<string, ByteString> | null = null

  set(stage: MacroStage, values: ReadonlyMap<string, ByteString>): void {
    if (values.size > 0) this.#stages[stage] = values
  }

  /** A macro the MTA does not give and the host supplies; the MTA's own value wins. */
  supply(name: string, value: ByteString | undefined): void {
    if (value === undefined) this.#added?.delete(bare(name))
    else {
      this.#added ??= new Map()
      this.#added.set(bare(name), value)
    }
  }

  /** Forgets what belongs to stages after this one: a new HELO or MAIL makes the later ones stale. */
  clearAfter(stage: MacroStage): void {
    for (const later of MACRO_STAGES.slice(MACRO_STAGES.indexOf(stage) + 1)) this.#stages[later] = NONE
  }

  get(name: string): ByteString | undefined {
    const key = bare(name)
    for (let i = MACRO_STAGES.length - 1; i >= 0; i--) {
      const value = this.#stages[MACRO_STAGES[i]!].get(key)
      if (value !== undefined) return value
    }
    return this.#added?.get(key)
  }

  at(stage: MacroStage): ReadonlyMap<string, ByteString> {
    return this.#stages[stage]
  }
}

/** `{auth_type}` and `auth_type` are one name. */
export const bare = (name: string): string => (name.startsWith('{') && name.endsWith('}') ? name.slice(1, -1) : name)
