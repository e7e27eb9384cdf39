/**
 * A recipient that the MTA had refused before it told us (RCPT_REJ): both MTAs say so in the macros of that RCPT, with the
 * mailer `error`, the enhanced code as host and the reason as address.
 */
import type { RcptEvent } from '../../host/events.ts'
import type { Macros } from '../../host/macros.ts'

export function refusedBefore(macros: Macros): RcptEvent['refused'] {
  const told = macros.at('rcpt')
  if (told.get('rcpt_mailer') !== 'error') return null
  return { code: told.get('rcpt_host') ?? '', text: told.get('rcpt_addr') ?? '' }
}
