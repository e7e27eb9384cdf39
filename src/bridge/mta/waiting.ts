/**
 * Keeps an MTA patient while an answer is not there yet: PROGRESS at regular times until the promise settles.
 *
 * At the end of a message both MTAs take it. Before that only Postfix does: Sendmail calls it a bogus response and turns the
 * filter off for the rest of the session.
 */
import type { MtaKind } from '../../host/mta.ts'
import type { Alarm } from '../../host/time/alarm.ts'
import type { OrderedCommand } from './order.ts'

const everyAtEnd = 5_000

/** Milliseconds between two PROGRESS, `null` for none; `before`: before the end of the message. */
export function progressEvery(command: OrderedCommand, mta: MtaKind, before: number): number | null {
  if (command === 'eom') return Math.min(everyAtEnd, before)
  return mta === 'postfix' ? before : null
}

/** Calls `send` every so often until the promise settles, whatever way. */
export function sendingProgress<T>(
  promise: Promise<T>,
  every: number | null,
  alarm: Alarm,
  send: () => void,
): Promise<T> {
  if (every === null) return promise
  const tick = (): void => {
    send()
    alarm.set(every, tick)
  }
  alarm.set(every, tick)
  return promise.finally(() => alarm.clear())
}
