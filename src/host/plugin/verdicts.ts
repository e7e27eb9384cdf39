/**
 * The verdicts as an author makes them, and the check of whatever a hook returned.
 *
 * The constructors throw `REPLY_INVALID` at the call, so that the mistake is reported where it was made. A hook's answer is
 * checked again all the same: it may come from another copy of the package or be written by hand.
 */
import { type ByteString, encodeText } from '../bytes.ts'
import { hostError } from '../errors.ts'
import { ACCEPT, CONTINUE, DISCARD, REJECT, type SmtpReply, TEMPFAIL, type Verdict } from '../verdict.ts'
import { replyFault } from './rules.ts'

/** An enhanced status code of a permanent failure, e.g. `'5.7.1'`. */
export type PermanentCode = `5.${number}.${number}`
/** An enhanced status code of a temporary failure, e.g. `'4.7.1'`. */
export type TemporaryCode = `4.${number}.${number}`

/** The codes in front of a reply's text. */
export interface ReplyOptions<Enhanced extends string> {
  /** SMTP code of the verdict's class. 421 also makes the MTA end the SMTP session. @default 550 or 451 */
  readonly code?: number
  /** Enhanced status code of the same class (RFC 3463); `null` for none. @default '5.7.1' or '4.7.1' */
  readonly enhanced?: Enhanced | null
}

/**
 * Refuses for good: the connection, the recipient (at `rcpt`) or the message, by where it is returned.
 *
 * Without text the MTA says its own words. Several lines are an array or a text with line feeds; at most 32 lines of 980
 * bytes. Throws `REPLY_INVALID` for codes that do not fit each other and for text that cannot be sent.
 * @example return reject('No such user here', { code: 550, enhanced: '5.1.1' })
 */
export function reject(text?: string | readonly string[], options?: ReplyOptions<PermanentCode>): Verdict {
  const reply = replyOf('reject', text, options, { code: 550, enhanced: '5.7.1' })
  return reply === null ? REJECT : { kind: 'reject', reply }
}

/**
 * Refuses for now: the client keeps the mail and comes again. Text and errors as with `reject`.
 * @example return tempfail('Greylisted, please try again', { code: 450, enhanced: '4.7.1' })
 */
export function tempfail(text?: string | readonly string[], options?: ReplyOptions<TemporaryCode>): Verdict {
  const reply = replyOf('tempfail', text, options, { code: 451, enhanced: '4.7.1' })
  return reply === null ? TEMPFAIL : { kind: 'tempfail', reply }
}

/**
 * Accepts the message into the MTA's hold queue, with a reason for the postmaster. Later filters still see the message.
 * Throws `REPLY_INVALID` for an empty reason or one with a line break.
 * @example return quarantine('attachment is encrypted')
 */
export function quarantine(reason: string): Verdict {
  const bytes = typeof reason === 'string' ? encodeText(reason) : ''
  const fault = reasonFault(bytes)
  if (fault !== null) throw hostError('REPLY_INVALID', 'quarantine()', fault)
  return { kind: 'quarantine', reason: bytes }
}

/**
 * This plugin has seen enough: of the connection (returned from `connect` or `helo`) or of the message. Only for this
 * plugin: every other filter goes on, so it lets nothing through that another one refuses.
 */
export const accept: Verdict = ACCEPT

/** The MTA says 250 and drops the message. Nobody is told: prefer `reject`. Means nothing before `mail`. */
export const discard: Verdict = DISCARD

function replyOf(
  call: string,
  text: string | readonly string[] | undefined,
  options: ReplyOptions<string> | undefined,
  defaults: { readonly code: number; readonly enhanced: string },
): SmtpReply | null {
  const bad = (what: string): never => {
    throw hostError('REPLY_INVALID', `${call}()`, what)
  }
  if (text === undefined)
    return options === undefined ? null : bad('codes need a text; without a text the MTA has its own')
  const parts: unknown = typeof text === 'string' ? [text] : text
  if (!Array.isArray(parts) || !parts.every(part => typeof part === 'string')) return bad('the text is not a string')
  const { code = defaults.code, enhanced = defaults.enhanced } = options ?? {}
  const reply: SmtpReply = {
    code,
    enhanced,
    lines: parts.flatMap((part: string) => part.split('\n')).map(encodeText),
  }
  if (Math.floor(code / 100) !== Math.floor(defaults.code / 100)) {
    return bad(`the code ${code} is not of its class, which is ${Math.floor(defaults.code / 100)}xx`)
  }
  const fault = replyFault(reply)
  return fault === null ? reply : bad(fault)
}

function reasonFault(reason: ByteString): string | null {
  if (reason === '') return 'a quarantine needs a reason'
  if (/[\0-\x08\x0a-\x1f\x7f]/.test(reason)) return 'the reason holds a line break or a control character'
  return reason.length > 980 ? `the reason has ${reason.length} bytes, 980 are the limit` : null
}

const VERDICTS = 'there are reject(), tempfail(), quarantine(reason), discard, accept, and nothing at all'

/** A value that is no object. */
const plainText = (value: unknown): string =>
  typeof value === 'string'
    ? `the text ${JSON.stringify(value.slice(0, 40))}`
    : `${value === null ? '' : `the ${typeof value} `}${String(value)}`

/** A hook's answer as a verdict, or what is wrong with it, in words. */
export function readVerdict(answer: unknown): Verdict | string {
  if (answer === undefined) return CONTINUE
  if (typeof answer === 'function') return 'a function; a verdict is made by calling it, as in reject()'
  if (answer === 'skip') return `"skip", which only the hook body may answer`
  if (typeof answer !== 'object' || answer === null) return `${plainText(answer)}, not a verdict; ${VERDICTS}`
  const { kind, reply, reason } = answer as { kind?: unknown; reply?: unknown; reason?: unknown }
  switch (kind) {
    case 'continue':
      return CONTINUE
    case 'accept':
      return ACCEPT
    case 'discard':
      return DISCARD
    case 'reject':
    case 'tempfail':
      return readReply(kind, reply)
    case 'quarantine': {
      const fault = typeof reason === 'string' ? reasonFault(reason) : 'a quarantine needs a reason'
      return fault ?? { kind, reason: reason as string }
    }
    default:
      return `an object that is no verdict; ${VERDICTS}`
  }
}

function readReply(kind: 'reject' | 'tempfail', value: unknown): Verdict | string {
  if (value === null) return kind === 'reject' ? REJECT : TEMPFAIL
  if (typeof value !== 'object') return `a ${kind} without a reply`
  const { code, enhanced, lines } = value as { code?: unknown; enhanced?: unknown; lines?: unknown }
  if (typeof code !== 'number' || (enhanced !== null && typeof enhanced !== 'string')) return `a ${kind} without codes`
  if (!Array.isArray(lines) || !lines.every(line => typeof line === 'string' && !/[^\0-\xff]/.test(line))) {
    return `a ${kind} whose text is not in bytes`
  }
  const reply: SmtpReply = { code, enhanced, lines: [...lines] }
  if ((kind === 'reject') !== code >= 500) return `a ${kind} with the code ${code}`
  const fault = replyFault(reply)
  return fault ?? { kind, reply }
}
