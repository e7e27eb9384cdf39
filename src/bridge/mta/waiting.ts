/**
 * Keeps an MTA patient while an answer is not there yet: PROGRESS at regular times.
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

/** Calls `send` every so often until the alarm is cleared. */
export function sendProgress(every: number, alarm: Alarm, send: () => void): void {
  const tick = (): void => {
    send()
    alarm.set(every, tick)
  }
  alarm.set(every, tick)
}
