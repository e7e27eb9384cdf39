/**
 * What happens in the host, as one stream of structured events.
 *
 * Logs, counters and the trace of `try` are readers of this stream; nothing else reports. Exactly one event tells
 * each failure, with its cause, filter, stage and session.
 */
import type { ByteString } from '../bytes.ts'
import type { Client, Stage } from '../events.ts'
import type { HealthState, Outcome } from '../filter.ts'
import type { Edit } from '../message/edit.ts'
import type { MessageSnapshot } from '../message/snapshot.ts'
import type { Found } from '../policy/lookup.ts'
import type { Verdict } from '../verdict.ts'

/** What the host does when a filter cannot do its work. `accept` means: go on without this filter. */
export type OnFailure = 'tempfail' | 'accept' | 'reject' | 'quarantine'

interface Where {
  readonly session: string
  /** The host's id of the message, `null` outside one. */
  readonly message: string | null
}

export type HostEvent =
  | ({ readonly type: 'session-opened'; readonly client: Client; readonly mta: string } & Where)
  /** A filter answered. `edits` only at the message stage. */
  | ({
      readonly type: 'filter-answered'
      readonly filter: string
      readonly stage: Stage
      readonly verdict: Verdict
      readonly edits: readonly Edit[]
      readonly milliseconds: number
      /** The filter is in observe mode: its verdict and edits were dropped. */
      readonly observed: boolean
    } & Where)
  | ({
      readonly type: 'filter-failed'
      readonly filter: string
      readonly stage: Stage
      /** A code of the error table. */
      readonly code: string
      readonly detail: string
      readonly onFailure: OnFailure
      readonly milliseconds: number
      readonly observed: boolean
    } & Where)
  /** Something a filter sent was dropped: not negotiated, invalid, or meaningless at this stage. */
  | ({
      readonly type: 'answer-refused'
      readonly filter: string
      readonly stage: Stage
      readonly detail: string
    } & Where)
  /** It is known whether a filter takes part: in the message, or for this recipient of it. */
  | ({
      readonly type: 'condition-decided'
      readonly filter: string
      readonly stage: Stage
      /** `null`: whoever the recipients are. */
      readonly recipient: ByteString | null
      readonly takesPart: boolean
      /** The conditions that settled it. */
      readonly by: readonly string[]
      /** What look-ups answered. */
      readonly found: readonly Found<unknown>[]
    } & Where)
  /** A condition of this filter threw or took too long. */
  | ({
      readonly type: 'condition-failed'
      readonly filter: string
      readonly condition: string
      readonly detail: string
      /** The answer that its `onError` gives; `null`: none, the filter's `onFailure` holds. */
      readonly used: boolean | null
    } & Where)
  /** The client left while an answer was awaited. `awaited`: the filter whose answer it was. */
  | ({
      readonly type: 'client-left'
      readonly client: Client | null
      readonly awaited: string | null
      /** Since the wait began. */
      readonly milliseconds: number
    } & Where)
  /** What stands behind a filter is in another state now. Of no session: `session` is empty. */
  | ({
      readonly type: 'health-changed'
      readonly filter: string
      readonly state: HealthState
      /** Why, for people. */
      readonly reason: string
      readonly was: HealthState
      /** That it was so. */
      readonly milliseconds: number
    } & Where)
  | ({ readonly type: 'limit-reached'; readonly code: string; readonly detail: string } & Where)
  | ({
      readonly type: 'message-settled'
      readonly client: Client | null
      readonly helo: ByteString | null
      readonly queueId: ByteString | null
      readonly sender: ByteString
      readonly recipients: readonly ByteString[]
      readonly size: number
      readonly outcome: Outcome
      readonly verdict: Verdict
      /** The filter whose verdict decided; `null` when nobody objected or a limit did. */
      readonly decidedBy: string | null
      /** The message as the MTA will have it, for `try`; only when the message came to its end. */
      readonly result: MessageSnapshot | null
      /** Milliseconds by filter, over all stages of this message. */
      readonly timings: ReadonlyMap<string, number>
      readonly milliseconds: number
    } & Where)
  | ({ readonly type: 'session-closed'; readonly messages: number; readonly milliseconds: number } & Where)

export type Observer = (event: HostEvent) => void
