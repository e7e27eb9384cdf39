/**
 * A filter that answers what a filter of its name answered when the session was recorded: for external milters, which nobody wants to meet twice.
 *
 * What it was not asked then it has no opinion of, and that is noted. What it changed it changes again; of a new body only the length.
 */
import { type FilterEntry, filterEntry } from '../../host/config/entry.ts'
import type { Filter, FilterSession, MaybePromise } from '../../host/filter.ts'
import type { HeaderRules } from '../../host/message/edit.ts'
import { CONTINUE, type Verdict } from '../../host/verdict.ts'
import type { FilterAnswer, RecordedCommand, RecordedTurn } from '../recording/recorded.ts'
import { asEdit } from '../scenario/edit-form.ts'

/** What is being played. */
export interface Playing {
  /** The turn that is under way in a session. */
  turn(session: string): RecordedTurn | null
  /** A filter is asked something that it was not asked then. */
  unknown(filter: string, session: string): void
}

/** The same entry with answers from the recording. */
export const standInFor = (entry: FilterEntry, playing: Playing): FilterEntry =>
  filterEntry({
    kind: entry.kind,
    defaultName: entry.defaultName,
    options: entry.options,
    describe: entry.describe,
    ...(entry.ownOptions === undefined ? {} : { ownOptions: entry.ownOptions }),
    create: ({ policy }) => {
      const { headerIndex = 'sendmail' } = entry.options as { readonly headerIndex?: HeaderRules }
      return standIn(policy.name, headerIndex, playing)
    },
  })

function standIn(name: string, headerRules: HeaderRules, playing: Playing): Filter {
  const answer = (session: string, kind: RecordedCommand['kind']): FilterAnswer | null => {
    const turn = playing.turn(session)
    // It is told late of what the MTA said earlier; what it says to the command itself counts.
    if (turn === null || turn.command.kind !== kind) return null
    const found = turn.filters.find(({ filter }) => filter === name)
    if (found === undefined) playing.unknown(name, session)
    return found ?? null
  }
  const verdict = (session: string, kind: RecordedCommand['kind']): Verdict => {
    const said = answer(session, kind)
    if (said?.verdict === null) throw new Error('it failed when this was recorded')
    return said?.verdict ?? CONTINUE
  }
  return {
    name,
    kind: 'socket',
    headerRules,
    needs: () => null,
    open({ sessionId: id }): FilterSession {
      const asked = (kind: RecordedCommand['kind']) => (): MaybePromise<Verdict> => verdict(id, kind)
      return {
        connect: asked('connect'),
        helo: asked('helo'),
        mail: asked('mail'),
        rcpt: asked('rcpt'),
        data: asked('data'),
        message: () => {
          const said = answer(id, 'message')
          if (said?.verdict === null) throw new Error('it failed when this was recorded')
          return { verdict: said?.verdict ?? CONTINUE, edits: said?.edits.map(asEdit) ?? [] }
        },
        unknown: () => CONTINUE,
        abort() {},
        close() {},
      }
    },
    probe: async () => ({ events: [], mayEdit: [], facts: new Map() }),
    close: async () => {},
  }
}
