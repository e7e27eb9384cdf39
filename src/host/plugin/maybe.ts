/**
 * Values that may be promises, without a tick lost when they are not.
 *
 * A chain of plugins that await nothing answers in the same tick, so hooks are never awaited blindly. Steps that may
 * wait are written once, as a generator that yields only real promises; `drive` runs it and returns a promise only if one came.
 */
import type { MaybePromise } from '../filter.ts'

export type Steps<R> = Generator<Promise<unknown>, R, never>

/** Inside `Steps`: the value itself, or what its promise settles to. */
export function* settled<T>(value: MaybePromise<T>): Generator<Promise<T>, T, T> {
  return value instanceof Promise ? yield value : value
}

export function drive<R>(steps: Steps<R>): MaybePromise<R> {
  const first = steps.next()
  return first.done === true ? first.value : resume(steps, first.value)
}

async function resume<R>(steps: Steps<R>, pending: Promise<unknown>): Promise<R> {
  for (;;) {
    const outcome = await pending.then(
      value => ({ value }),
      (thrown: unknown) => ({ thrown }),
    )
    const step = 'thrown' in outcome ? steps.throw(outcome.thrown) : steps.next(outcome.value as never)
    if (step.done === true) return step.value
    pending = step.value
  }
}

export const map = <A, B>(value: MaybePromise<A>, then: (value: A) => B): MaybePromise<B> =>
  value instanceof Promise ? value.then(then) : then(value)
