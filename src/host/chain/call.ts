/**
 * One call of one filter, raced against its time limit and against interruption from outside.
 *
 * The result is always a value: the answer, or a `Failure`. A late answer is dropped. While a hold runs the filter's own
 * limit stands still, and with an MTA that can be kept patient the chain's budget too (`budget.ts`). A filter that says it is
 * still at work has its limit anew, as far as the MTA's patience goes.
 */
import { type HostError, hostError } from '../errors.ts'
import type { AbortReason, HoldOutcome, MaybePromise } from '../filter.ts'
import type { Alarm } from '../time/alarm.ts'
import type { Clock } from '../time/clock.ts'
import type { Deadline } from './budget.ts'
import { describeThrown, Failure } from './failure.ts'

export interface CallLimits {
  readonly filter: string
  readonly stage: string
  /** Milliseconds of the filter's own. */
  readonly own: number
  /** Of the whole chain, for this answer. */
  readonly deadline: Deadline
}

/** Begins a hold that ends with the signal. Never rejects. */
export type BeginHold = (signal: AbortSignal) => Promise<HoldOutcome>

export class Call<T> {
  readonly limits: CallLimits
  /** Monotonic milliseconds. */
  readonly began: number
  readonly #clock: Clock
  readonly #alarm: Alarm
  readonly #controller: AbortController
  /** Set while the answer is waited for. */
  #resolve: ((result: T | Failure) => void) | null = null
  /** What is left of the filter's own limit, as of `#ownSince`; it does not run down while a hold is open. */
  #ownLeft: number
  #ownSince: number
  #holds = 0

  /** The alarm is this call's until it has its result. */
  constructor(clock: Clock, alarm: Alarm, limits: CallLimits, controller: AbortController) {
    this.#clock = clock
    this.#alarm = alarm
    this.limits = limits
    this.#controller = controller
    this.#ownLeft = limits.own
    this.began = clock.monotonic()
    this.#ownSince = this.began
  }

  /** The client is made to wait for the filter's sake. */
  get holds(): boolean {
    return this.#holds > 0
  }

  run(invoke: (signal: AbortSignal) => MaybePromise<T>): MaybePromise<T | Failure> {
    if (this.limits.deadline.left() <= 0) return this.#budgetSpent()
    let answer: MaybePromise<T>
    try {
      answer = invoke(this.#controller.signal)
    } catch (thrown) {
      return this.#thrown(thrown)
    }
    if (!isPromise(answer)) return answer
    return new Promise(resolve => {
      this.#resolve = resolve
      answer.then(
        value => this.#settle(value),
        thrown => this.#settle(this.#thrown(thrown)),
      )
      this.#arm()
    })
  }

  /** Ends the call from outside: the filter is told by its signal and not waited for. */
  interrupt(reason: AbortReason): void {
    const { filter, stage } = this.limits
    const error = hostError('INTERRUPTED', filter, stage, reason.detail)
    this.#settle(new Failure(error.code, error.message, true))
    this.#controller.abort(reason)
  }

  /** Makes the client wait for the filter's sake; the clocks of filter and chain stand still meanwhile. */
  hold(begin: BeginHold): Promise<HoldOutcome> {
    const { deadline } = this.limits
    if (this.#holds++ === 0) this.#ownLeft -= this.#clock.monotonic() - this.#ownSince
    deadline.stop()
    this.#arm()
    return begin(this.#controller.signal).then(outcome => {
      deadline.go()
      if (--this.#holds === 0) this.#ownSince = this.#clock.monotonic()
      this.#arm()
      return outcome
    })
  }

  /** The filter is still at work. An MTA that cannot be kept patient is not helped by that, and content has its own time. */
  progress(): void {
    const { deadline, own, stage } = this.limits
    if (deadline.grace === 0 || stage === 'message' || this.#holds > 0) return
    deadline.restart()
    this.#ownLeft = own
    this.#ownSince = this.#clock.monotonic()
    this.#arm()
  }

  /** The first result counts. */
  #settle(result: T | Failure): void {
    const resolve = this.#resolve
    if (resolve === null) return
    this.#resolve = null
    this.#alarm.clear()
    resolve(result)
  }

  #arm(): void {
    if (this.#resolve === null) return
    const now = this.#clock.monotonic()
    const budget = this.limits.deadline.left()
    const own = this.#holds > 0 ? Number.POSITIVE_INFINITY : this.#ownLeft - (now - this.#ownSince)
    if (this.#holds > 0 && this.limits.deadline.grace > 0) {
      this.#alarm.clear()
      return
    }
    this.#alarm.set(Math.max(0, Math.min(own, budget)), () => {
      const { filter, stage, own: limit } = this.limits
      this.#expire(
        own < budget ? failed(hostError('FILTER_TIMEOUT', filter, stage, limit / 1000)) : this.#budgetSpent(),
      )
    })
  }

  #expire(failure: Failure): void {
    this.#settle(failure)
    this.#controller.abort({ kind: 'timeout', detail: failure.detail } satisfies AbortReason)
  }

  #budgetSpent(): Failure {
    const { filter, stage, deadline } = this.limits
    return failed(hostError('BUDGET_SPENT', filter, stage, deadline.total / 1000))
  }

  #thrown(thrown: unknown): Failure {
    const { code, detail } = describeThrown(thrown)
    const error = hostError('FILTER_THREW', this.limits.filter, this.limits.stage, detail)
    return new Failure(code ?? error.code, code === null ? error.message : detail)
  }
}

const failed = (error: HostError): Failure => new Failure(error.code, error.message)

const isPromise = <T>(value: MaybePromise<T>): value is Promise<T> =>
  typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
