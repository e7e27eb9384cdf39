/**
 * A verdict as the packet that says it to an MTA, at the stage at which it is said.
 *
 * What has no meaning at a stage becomes "continue": Postfix and Sendmail both mishandle DISCARD before MAIL (Sendmail 8.17
 * then closes all its filters and lets mail pass), and ACCEPT before DATA would end the session's view of the rest.
 * CONN_FAIL and SHUTDOWN are never written: Postfix 3.7 answers 250 and drops the message over the latter.
 */
import type { SmtpReply, Verdict } from '../../host/verdict.ts'
import { encodeReply, encodeReplyText } from '../wire/index.ts'
import type { OrderedCommand } from './order.ts'

const continues = encodeReply({ kind: 'continue' })
const accepts = encodeReply({ kind: 'accept' })
const rejects = encodeReply({ kind: 'reject' })
const tempfails = encodeReply({ kind: 'tempfail' })
const discards = encodeReply({ kind: 'discard' })

export const PROGRESS: Buffer = encodeReply({ kind: 'progress' })

/** The buffer may be shared: write it, never change it. */
export function answerTo(command: OrderedCommand, verdict: Verdict): Buffer {
  switch (verdict.kind) {
    case 'reject':
      return verdict.reply === null ? rejects : replyCode(verdict.reply)
    case 'tempfail':
      return verdict.reply === null ? tempfails : replyCode(verdict.reply)
    case 'discard':
      return command === 'connect' || command === 'helo' || command === 'unknown' ? continues : discards
    case 'accept':
      return command === 'data' ? accepts : continues
    default:
      return continues
  }
}

/** What ends a command; at other places the MTA goes on as after "continue". */
export const isRefusal = ({ kind }: Verdict): boolean => kind === 'reject' || kind === 'tempfail' || kind === 'discard'

const replyCode = (reply: SmtpReply): Buffer => encodeReply({ kind: 'replycode', text: encodeReplyText(reply) })
