/**
 * Keeps an MTA patient while an answer is not there yet: PROGRESS at regular times until the promise settles.
 *
 * At the end of a message both MTAs take it. Before that only Postfix does: Sendmail calls it a bogus response and turns the
 * filter off for the rest of the session.
 */
import type { MtaKind } from '../../host/mta.ts'
import type { Clock } from '../../host/time/clock.ts'
import type { OrderedCommand } from './order.ts'

const everyAtEnd = 5_000

/** Milliseconds between two PROGRESS, `null` for none; `before`: before the end of the message. */
export function progressEvery(command: OrderedCommand, mta: MtaKind, before: number): number | null {
  if (command === 'eom') return Math.min(everyAtEnd, before)
  return mta === 'postfix' ? before : null
}

/** Calls `send` every so often until the promise settles, whatever way. */
export async function sendingProgress<T>(
  promise: Promise<T>,
  every: number | null,
  clock: Clock,
  send: () => void,
): Promise<T> {
  if (every === null) return promise
  const tick = (): void => {
    send()
    cancel = clock.after(every, tick)
  }
  let cancel = clock.after(every, tick)
  try {
    return await promise
  } finally {
    cancel()
  }
}
