/**
 * Asks a condition with the facts of one stage: it holds, it does not, or it cannot be known yet.
 *
 * Decides as early as the facts allow: one part of `all` that does not hold settles it, whatever the others wait for. Answers are kept
 * for as long as the facts behind them are good, so that a look-up is made once and not at every stage. A part that fails
 * counts only if the others do not settle the matter without it. Pure but for what the conditions themselves do; no promise
 * where none of them makes one.
 */
import type { MaybePromise } from '../filter.ts'
import { drive, type Steps, settled } from '../plugin/maybe.ts'
import { describeThrown } from '../plugin/thrown.ts'
import type { Clock } from '../time/clock.ts'
import { type Condition, isCondition } from './condition.ts'
import { FactView, NOT_YET, rank, type Standpoint } from './facts.ts'
import type { Found } from './lookup.ts'

/** What is known of a condition. */
export type Finding =
  | {
      readonly value: boolean
      /** The stage of the latest fact it rests on, as a number (`rank`). */
      readonly since: number
      /** Good for this recipient only. */
      readonly perRecipient: boolean
      /** The single conditions that settled it. */
      readonly by: readonly Condition[]
      /** What look-ups answered, for `explain`. */
      readonly found?: readonly Found<unknown>[]
    }
  /** It cannot be decided. */
  | {
      readonly value: 'failed'
      readonly since: number
      readonly perRecipient: boolean
      readonly by: readonly Condition[]
      readonly error: string
    }
  /** Asked too early; `waiting` are the single conditions that it waits for. */
  | { readonly value: null; readonly waiting: readonly Condition[] }

export type Decided = Exclude<Finding, { readonly value: null }>

/** Answers of single conditions, kept while they are good. */
export interface Memory {
  readonly shared: Map<Condition, Decided>
  /** Of the recipient that is looked at. */
  readonly recipient: Map<Condition, Decided> | null
}

export interface Inquiry {
  readonly from: Standpoint
  readonly memory: Memory
  readonly clock: Clock
  /** Ends every wait. */
  readonly signal: AbortSignal
  /** Milliseconds there are for all of it. */
  left(): number
  /** A single condition failed; `used` is its `onError`. */
  failed(condition: Condition, detail: string, used: boolean | null): void
}

export const evaluate = (condition: Condition, inquiry: Inquiry): MaybePromise<Finding> =>
  drive(steps(condition, inquiry))

const HOLDS: Decided = { value: true, since: 0, perRecipient: false, by: [] }

function* steps(condition: Condition, inquiry: Inquiry): Steps<Finding> {
  switch (condition.kind) {
    case 'macro':
      return HOLDS
    case 'test':
      return yield* single(condition, inquiry)
    case 'not': {
      const found = yield* steps(condition.parts[0]!, inquiry)
      return typeof found.value === 'boolean'
        ? { ...(found as Decided & { value: boolean }), value: !found.value }
        : found
    }
    case 'all':
    case 'any':
      return yield* joint(condition, inquiry, condition.kind === 'any')
  }
}

/** `decisive` is the value that settles it alone. */
function* joint({ parts }: Condition, inquiry: Inquiry, decisive: boolean): Steps<Finding> {
  const waiting: Condition[] = []
  const by: Condition[] = []
  let failure: Decided | null = null
  let since = 0
  let perRecipient = false
  let answers: readonly Found<unknown>[] = []
  for (const part of parts) {
    const found = yield* steps(part, inquiry)
    if (found.value === null) waiting.push(...found.waiting)
    else if (found.value === decisive) return found
    else if (found.value === 'failed') failure ??= found
    else {
      by.push(...found.by)
      since = Math.max(since, found.since)
      perRecipient ||= found.perRecipient
      if (found.found !== undefined) answers = [...answers, ...found.found]
    }
  }
  if (waiting.length > 0) return { value: null, waiting }
  if (failure !== null)
    return {
      ...failure,
      since: Math.max(since, failure.since),
      perRecipient: perRecipient || failure.perRecipient,
    } as Decided
  return { value: !decisive, since, perRecipient, by, ...(answers.length > 0 ? { found: answers } : {}) }
}

function* single(condition: Condition, inquiry: Inquiry): Steps<Finding> {
  const { from, memory } = inquiry
  if (rank(condition.at) > rank(from.stage)) return { value: null, waiting: [condition] }
  const kept = memory.shared.get(condition) ?? memory.recipient?.get(condition)
  if (kept !== undefined) return kept
  const limits = new AbortController()
  const view = new FactView(from, () => limits.signal)
  let value: unknown
  let error: string | null = null
  try {
    value = condition.test(view)
    if (value instanceof Promise)
      value = yield* settled(bounded(value, Math.min(condition.timeout, inquiry.left()), limits, inquiry))
    if (isCondition(value))
      error = 'it answered with a condition: call what makes it in the configuration, not in a function'
    else if (typeof value !== 'boolean') error = `it answered with ${typeof value}, not true or false`
  } catch (thrown) {
    if (thrown === NOT_YET) return { value: null, waiting: [condition] }
    error = describeThrown(thrown)
  }
  if (error !== null && inquiry.signal.aborted) return interrupted(condition)
  if (error !== null) {
    inquiry.failed(condition, error, condition.onError)
    value = condition.onError ?? 'failed'
  }
  const basis = { since: Math.max(view.latest, rank(condition.at)), perRecipient: view.perRecipient, by: [condition] }
  const answers = view.found.length > 0 ? { found: view.found } : {}
  const found: Decided =
    value === 'failed' ? { ...basis, value, error: error! } : { ...basis, value: value as boolean, ...answers }
  ;(found.perRecipient ? memory.recipient : memory.shared)?.set(condition, found)
  return found
}

/** Nobody waits any more: not the condition's fault, and nothing to remember. */
const interrupted = (condition: Condition): Decided => ({
  value: 'failed',
  since: 0,
  perRecipient: false,
  by: [condition],
  error: 'it was interrupted',
})

/** The answer in time, or a rejection; the condition is told by its signal that nobody waits any more. */
async function bounded<T>(
  answer: Promise<T>,
  limit: number,
  limits: AbortController,
  { clock, signal }: Inquiry,
): Promise<T> {
  const { promise: ended, reject } = Promise.withResolvers<never>()
  const end = (why: string): void => {
    reject(new Error(why))
    limits.abort(signal.aborted ? signal.reason : { kind: 'timeout', detail: why })
  }
  const onAbort = (): void => end('it was interrupted')
  const cancel = clock.after(limit, () => end(`it took longer than ${limit / 1000} s`))
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  try {
    return await Promise.race([answer, ended])
  } finally {
    cancel()
    signal.removeEventListener('abort', onAbort)
  }
}
