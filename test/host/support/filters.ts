/**
 * Filters for tests of the chain: each stage answers with what the test says, and everything told is written down.
 */
import type { ChainFilter } from '../../../src/host/chain/member.ts'
import type { EntryPolicy } from '../../../src/host/config/entry.ts'
import type { Stage } from '../../../src/host/events.ts'
import type { Filter, FilterContext, FilterSession, MaybePromise, MessageAnswer } from '../../../src/host/filter.ts'
import type { Edit, HeaderRules } from '../../../src/host/message/edit.ts'
import type { MessageSnapshot } from '../../../src/host/message/snapshot.ts'
import { CONTINUE, type Verdict } from '../../../src/host/verdict.ts'

/** What to answer at a stage; a function is called with the filter's context and the signal. */
export type Answer =
  | Verdict
  | ((call: { context: FilterContext; signal: AbortSignal; event: unknown; count: number }) => MaybePromise<Verdict>)

export interface Script extends Partial<Record<Exclude<Stage, 'message'>, Answer>> {
  readonly message?: Answer
  /** Given with the answer to `message`. */
  readonly edits?: readonly Edit[] | ((message: MessageSnapshot) => readonly Edit[])
  readonly policy?: Partial<EntryPolicy>
  readonly headerRules?: HeaderRules
}

export interface ScriptedFilter extends ChainFilter {
  /** `connect`, `mail`, …, `settled:accept`, `open`, `close`, in the order they came. */
  readonly told: string[]
  /** The message of each `message` call. */
  readonly seen: MessageSnapshot[]
}

export function scripted(name: string, script: Script = {}): ScriptedFilter {
  const told: string[] = []
  const seen: MessageSnapshot[] = []
  const counts = new Map<string, number>()
  const filter: Filter = {
    name,
    kind: 'plugin',
    headerRules: script.headerRules ?? 'sendmail',
    needs: () => null,
    open(context) {
      told.push('open')
      const answer = (stage: Stage, event: unknown, signal: AbortSignal): MaybePromise<Verdict> => {
        told.push(stage)
        const count = (counts.get(stage) ?? 0) + 1
        counts.set(stage, count)
        const given = script[stage] ?? CONTINUE
        return typeof given === 'function' ? given({ context, signal, event, count }) : given
      }
      const session: FilterSession = {
        connect: (event, signal) => answer('connect', event, signal),
        helo: (event, signal) => answer('helo', event, signal),
        mail: (event, signal) => answer('mail', event, signal),
        rcpt: (event, signal) => answer('rcpt', event, signal),
        data: (event, signal) => answer('data', event, signal),
        unknown: (event, signal) => answer('unknown', event, signal),
        message(event, signal): MaybePromise<MessageAnswer> {
          seen.push(event.message)
          const verdict = answer('message', event, signal)
          const { edits = [] } = script
          const list = typeof edits === 'function' ? edits(event.message) : edits
          return verdict instanceof Promise
            ? verdict.then(value => ({ verdict: value, edits: list }))
            : { verdict, edits: list }
        },
        abort: () => void told.push('abort'),
        settled: outcome => void told.push(`settled:${outcome}`),
        close: () => void told.push('close'),
      }
      return session
    },
    probe: async () => ({ events: [], mayEdit: [], facts: new Map() }),
    close: async () => {},
  }
  const policy: EntryPolicy = {
    name,
    onFailure: 'tempfail',
    mode: 'enforce',
    timeouts: { connect: 10_000, command: 30_000, end: 300_000 },
    enabled: true,
    ...script.policy,
  }
  return { filter, policy, told, seen }
}
