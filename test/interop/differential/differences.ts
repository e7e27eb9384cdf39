// Where milterhost on purpose does not do what the MTA does with a milter attached to it. Everything else must be equal; and here it must
// be what the MTA does with a milter that says `instead`. An entry that is not needed fails the test, so that the list cannot grow stale.

import type { Step } from '../harness/index.ts'
import type { Kind } from './attachments.ts'

export interface Difference {
  kinds: Kind[]
  /** Of names of cases. */
  cases: RegExp
  reason: string
  /** Steps in place of the milter's own; or the milter goes on refusing the message until the next MAIL. */
  instead: Step[] | 'refuse on'
  /** The MTA does not survive the milter's own steps. */
  crashes?: true
}

export const DIFFERENCES: Difference[] = [
  {
    kinds: ['postfix', 'sendmail'],
    cases: /^shutdown /,
    instead: [['y', '421 4.7.0 Service shutting down, closing transmission channel']],
    reason:
      'Postfix 3.7 says 250 and drops the message when it is told SHUTDOWN at the end, Sendmail 8.17 does not know it.',
  },
  {
    kinds: ['postfix', 'sendmail'],
    cases: /^a lone per cent sign /,
    instead: [['y', '550 5.7.1 100%% spam']],
    reason:
      'The text is sent as it was meant. Postfix leaves the sign out, Sendmail puts its own text in place of all of it.',
  },
  {
    kinds: ['postfix', 'sendmail'],
    cases: /^discard at an unknown command after RCPT$/,
    instead: ['c'],
    reason: 'Both MTAs drop the message under way. A misspelt command is no reason to lose mail.',
  },
  {
    kinds: ['sendmail'],
    cases: /^discard at an unknown command before MAIL$/,
    instead: ['c'],
    reason: 'Sendmail drops the next message.',
  },
  {
    kinds: ['postfix'],
    cases: /^(accept|discard) at an unknown command before MAIL$/,
    instead: ['c'],
    crashes: true,
    reason:
      'smtpd of Postfix 3.7 panics at the next MAIL, or at the one after a message it dropped ("milter8_mail_event: bad state 7"), ' +
      'and is throttled.',
  },
  {
    kinds: ['postfix', 'sendmail'],
    cases: /^(?!continue|accept|discard|421).* at DATA, and no RSET$/,
    instead: 'refuse on',
    reason:
      'Both MTAs let a client that was refused at DATA name more recipients and say DATA again, and ask a milter about it that ' +
      'has done with the message; libmilter does not even answer. Here a message that was refused stays refused.',
  },
]

export const differenceFor = (kind: Kind, name: string): Difference | undefined =>
  DIFFERENCES.find(({ kinds, cases }) => kinds.includes(kind) && cases.test(name))
