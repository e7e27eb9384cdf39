/**
 * What a milter's answer means as a verdict.
 *
 * Which replies end a question is the same at every stage; a few mean nothing at some, and then the milter is taken to have
 * said "continue" and the host is told. What no milter may say there at all is a fault of that milter.
 */
import { hostError } from '../../host/errors.ts'
import type { Interest } from '../../host/filter.ts'
import { ACCEPT, CONTINUE, DISCARD, REJECT, TEMPFAIL, tempfailWith, type Verdict } from '../../host/verdict.ts'
import { decodeReplyText, type Reply, replyLetter, replyName } from '../wire/index.ts'

/** Where in the conversation a reply stands: an event's name, or the end of the message. */
export type Place = Interest | 'eom'

/** The reply with which a milter that shuts down is passed on: Postfix 3.7 loses mail over the protocol's own SHUTDOWN. */
const SHUTTING_DOWN: Verdict = tempfailWith(421, '4.7.0', 'Service shutting down, closing transmission channel')

/** Reads a reply that ends a question. `refused` is told what was ignored or put right. */
export function verdictOf(reply: Reply, filter: string, place: Place, refused: (detail: string) => void): Verdict {
  switch (reply.kind) {
    case 'continue':
      return CONTINUE
    case 'accept':
      return ACCEPT
    case 'reject':
      return REJECT
    case 'tempfail':
      return TEMPFAIL
    case 'shutdown':
      return SHUTTING_DOWN
    case 'discard':
      // Sendmail takes it as "no more filtering at all" at connect, which would let mail through unseen; Postfix ignores it.
      if (place !== 'connect' && place !== 'helo' && place !== 'unknown') return DISCARD
      refused(`DISCARD means nothing at ${place}, taken as CONTINUE`)
      return CONTINUE
    case 'skip':
      if (place === 'eom') break
      refused(`SKIP is for the body, at ${place} it is taken as CONTINUE`)
      return CONTINUE
    case 'replycode':
      return replyVerdict(reply.text, refused)
  }
  const name = replyName(replyLetter(reply.kind))
  throw hostError('MILTER_PROTOCOL', filter, place, `${name} is no answer there`)
}

/** Whatever is wrong with the text, its class stands: a rejection stays one, in the MTA's own words. */
function replyVerdict(text: string, refused: (detail: string) => void): Verdict {
  const decoded = decodeReplyText(text)
  if (decoded.ok) return { kind: decoded.reply.code < 500 ? 'tempfail' : 'reject', reply: decoded.reply }
  refused(`the text of its SMTP reply cannot be used: ${decoded.why}`)
  return decoded.class === 5 ? REJECT : TEMPFAIL
}
