/**
 * One call of one filter, raced against its time limit and against interruption from outside.
 *
 * The result is always a value: the answer, or a `Failure`. A late answer is dropped. While a hold runs the filter's own
 * limit stands still; the chain's budget does not, since the MTA's patience does not either.
 */
import { type HostError, hostError } from '../errors.ts'
import type { AbortReason, HoldOutcome, MaybePromise } from '../filter.ts'
import type { Clock } from '../time/clock.ts'
import { describeThrown, Failure } from './failure.ts'

export interface CallLimits {
  readonly filter: string
  readonly stage: string
  /** Milliseconds of the filter's own. */
  readonly own: number
  /** Milliseconds left of the chain's budget, and the whole of it for the message. */
  readonly left: number
  readonly budget: number
}

export class Call<T> {
  readonly #clock: Clock
  readonly #limits: CallLimits
  readonly #controller: AbortController
  readonly #budgetEnd: number
  #settle: ((result: T | Failure) => void) | null = null
  #cancelTimer: (() => void) | null = null
  /** What is left of the filter's own limit, as of `#ownSince`; it does not run down while a hold is open. */
  #ownLeft: number
  #ownSince: number
  #holds = 0

  constructor(clock: Clock, limits: CallLimits, controller: AbortController) {
    this.#clock = clock
    this.#limits = limits
    this.#controller = controller
    this.#ownLeft = limits.own
    this.#ownSince = clock.monotonic()
    this.#budgetEnd = this.#ownSince + limits.left
  }

  run(invoke: (signal: AbortSignal) => MaybePromise<T>): MaybePromise<T | Failure> {
    if (this.#limits.left <= 0) return this.#budgetSpent()
    let answer: MaybePromise<T>
    try {
      answer = invoke(this.#controller.signal)
    } catch (thrown) {
      return this.#thrown(thrown)
    }
    if (!isPromise(answer)) return answer
    return new Promise(resolve => {
      this.#settle = result => {
        this.#settle = null
        this.#cancelTimer?.()
        resolve(result)
      }
      answer.then(
        value => this.#settle?.(value),
        thrown => this.#settle?.(this.#thrown(thrown)),
      )
      this.#arm()
    })
  }

  /** Ends the call from outside: the filter is told by its signal and not waited for. */
  interrupt(reason: AbortReason): void {
    const { filter, stage } = this.#limits
    const error = hostError('INTERRUPTED', filter, stage, reason.detail)
    this.#settle?.(new Failure(error.code, error.message, true))
    this.#controller.abort(reason)
  }

  /** Makes the client wait for the filter's sake. Refused when that would outlast the chain's budget. */
  async hold(milliseconds: number): Promise<HoldOutcome> {
    const { signal } = this.#controller
    if (signal.aborted) return heldUntil(signal)
    if (milliseconds >= this.#budgetEnd - this.#clock.monotonic()) return 'refused'
    if (this.#holds++ === 0) this.#ownLeft -= this.#clock.monotonic() - this.#ownSince
    this.#arm()
    const outcome = await new Promise<HoldOutcome>(resolve => {
      const onAbort = (): void => {
        cancel()
        resolve(heldUntil(signal))
      }
      const cancel = this.#clock.after(milliseconds, () => {
        signal.removeEventListener('abort', onAbort)
        resolve('waited')
      })
      signal.addEventListener('abort', onAbort, { once: true })
    })
    if (--this.#holds === 0) this.#ownSince = this.#clock.monotonic()
    this.#arm()
    return outcome
  }

  #arm(): void {
    if (this.#settle === null) return
    this.#cancelTimer?.()
    const now = this.#clock.monotonic()
    const budget = this.#budgetEnd - now
    const own = this.#holds > 0 ? Number.POSITIVE_INFINITY : this.#ownLeft - (now - this.#ownSince)
    const next = Math.max(0, Math.min(own, budget))
    this.#cancelTimer = this.#clock.after(next, () => {
      const { filter, stage, own: limit } = this.#limits
      this.#expire(
        own < budget ? failed(hostError('FILTER_TIMEOUT', filter, stage, limit / 1000)) : this.#budgetSpent(),
      )
    })
  }

  #expire(failure: Failure): void {
    this.#settle?.(failure)
    this.#controller.abort({ kind: 'timeout', detail: failure.detail } satisfies AbortReason)
  }

  #budgetSpent(): Failure {
    const { filter, stage, budget } = this.#limits
    return failed(hostError('BUDGET_SPENT', filter, stage, budget / 1000))
  }

  #thrown(thrown: unknown): Failure {
    const { code, detail } = describeThrown(thrown)
    const error = hostError('FILTER_THREW', this.#limits.filter, this.#limits.stage, detail)
    return new Failure(code ?? error.code, code === null ? error.message : detail)
  }
}

const failed = (error: HostError): Failure => new Failure(error.code, error.message)

const isPromise = <T>(value: MaybePromise<T>): value is Promise<T> =>
  typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'

const heldUntil = (signal: AbortSignal): HoldOutcome =>
  (signal.reason as AbortReason).kind === 'shutdown' ? 'refused' : 'client-left'
