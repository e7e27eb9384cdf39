/**
 * What a whole chain wants of the MTA: the union of what its filters want.
 *
 * A filter that nobody has met yet may want anything. A filter in observe mode sees its events, but answers and
 * edits nothing that counts. Asked for at each connection, because filters learn; the same object as long as none did.
 */
import { contributes } from './authentication/authentication.ts'
import type { ChainFilter } from './chain/member.ts'
import type { Interest, Needs } from './filter.ts'
import type { MacroStage } from './macros.ts'
import { EDIT_KINDS, type EditKind } from './message/edit.ts'
import { ALL_INTERESTS } from './mta.ts'

/** Header, end of headers and body are never answered: a filter's verdict on them comes with the end of the message. */
const ANSWERED: readonly Interest[] = ['connect', 'helo', 'mail', 'rcpt', 'data', 'unknown']

/** The union for one list of filters, made again only when one of them wants something else than before. */
export class ChainNeeds {
  readonly #filters: readonly ChainFilter[]
  readonly #removeForged: boolean
  #known: readonly (Needs | null)[] = []
  #union: Needs | null = null

  constructor(filters: readonly ChainFilter[], removeForged = false) {
    this.#filters = filters
    this.#removeForged = removeForged
  }

  current(): Needs {
    if (this.#union === null || this.#filters.some(({ filter }, i) => filter.needs() !== this.#known[i])) {
      this.#known = this.#filters.map(({ filter }) => filter.needs())
      this.#union = needsOf(this.#filters, this.#removeForged)
    }
    return this.#union
  }
}

/** `removeForged`: header fields may have to go although no filter wants to see them. */
export function needsOf(filters: readonly ChainFilter[], removeForged = false): Needs {
  const events = new Set<Interest>()
  const answers = new Set<Interest>()
  const edits = new Set<EditKind>()
  const macros = new Map<MacroStage, string[]>()
  let refusedRecipients = false
  const join = (stage: MacroStage, names: readonly string[]): void =>
    void macros.set(stage, [...new Set([...(macros.get(stage) ?? []), ...names])])
  for (const { filter, policy, gate } of filters) {
    const needs = filter.needs()
    for (const event of needs?.events ?? ALL_INTERESTS) events.add(event)
    refusedRecipients ||= needs?.refusedRecipients ?? true
    for (const [stage, names] of needs?.macros ?? []) {
      join(stage, names)
    }
    if (gate !== null && gate !== undefined) {
      const more = gate.needs()
      for (const event of more.events) events.add(event)
      for (const [stage, names] of more.macros) join(stage, names)
      // Conditions of an observed filter look, and change nothing.
      if (policy.mode !== 'observe') {
        for (const answer of more.answers) answers.add(answer)
        for (const edit of more.edits) edits.add(edit)
      }
    }
    if (policy.mode === 'observe') continue
    for (const answer of needs?.answers ?? ANSWERED) answers.add(answer)
    for (const edit of needs?.edits ?? EDIT_KINDS) edits.add(edit)
    if (policy.onFailure === 'quarantine') edits.add('quarantine')
  }
  const writesResults = contributes(filters)
  if (writesResults || removeForged) {
    for (const event of ['connect', 'mail', 'rcpt', 'header', 'eoh'] as const) events.add(event)
    edits.add('removeHeader')
    if (writesResults) edits.add('insertHeader')
  }
  return { events, answers, edits, refusedRecipients, macros }
}
