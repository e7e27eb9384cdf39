/**
 * Bounds the wait for work that others wrote: a configuration that executes, a plugin that sets up or closes.
 *
 * The work itself is not stopped; only the waiting ends.
 */
import type { Clock } from './clock.ts'

/** Rejects when it takes longer than so many milliseconds, by default with "it did not finish within … s". */
export async function within<T>(
  milliseconds: number,
  clock: Clock,
  run: () => Promise<T>,
  late: (what: string) => Error = what => new Error(what),
): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const cancel = clock.after(milliseconds, () => reject(late(`it did not finish within ${milliseconds / 1000} s`)))
  try {
    return await Promise.race([run(), promise])
  } finally {
    cancel()
  }
}
