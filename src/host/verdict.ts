/**
 * What a filter may answer.
 *
 * A verdict is a value. `reply: null` means the MTA's own default text for that stage, which differs between
 * Postfix and Sendmail; a filter that wants its own words gives an `SmtpReply`. The wording rules of RFC 5321 §4.2 and
 * RFC 2034 are checked where a reply enters (plugin constructors, the wire decoder), so that a `SmtpReply` inside the
 * host is always one that both MTAs take.
 */
import type { ByteString } from './bytes.ts'

/** An SMTP reply of class 4 or 5. */
export interface SmtpReply {
  /** 400 to 599. 421 closes the SMTP session on both MTAs. */
  readonly code: number
  /** Enhanced status code of the same class (RFC 3463), on every line; `null` when the lines carry none or their own. */
  readonly enhanced: string | null
  /** One entry a line, without the code, without CR, LF or NUL, `%` not doubled. Never empty. */
  readonly lines: readonly ByteString[]
}

export type Verdict =
  /** No opinion: the next filter is asked. */
  | { readonly kind: 'continue' }
  /** This filter has seen enough, of the connection (at connect, helo) or of the message. Never binds another filter. */
  | { readonly kind: 'accept' }
  | { readonly kind: 'reject'; readonly reply: SmtpReply | null }
  | { readonly kind: 'tempfail'; readonly reply: SmtpReply | null }
  /** Say 250 and drop the message. Means nothing before MAIL. */
  | { readonly kind: 'discard' }
  /** Accept into the MTA's hold queue. Later filters still see the message. */
  | { readonly kind: 'quarantine'; readonly reason: ByteString }

export const CONTINUE: Verdict = Object.freeze({ kind: 'continue' })
export const ACCEPT: Verdict = Object.freeze({ kind: 'accept' })
export const DISCARD: Verdict = Object.freeze({ kind: 'discard' })
export const REJECT: Verdict = Object.freeze({ kind: 'reject', reply: null })
export const TEMPFAIL: Verdict = Object.freeze({ kind: 'tempfail', reply: null })

/** Ends the command: later filters do not see it. */
export const isFinal = (verdict: Verdict): boolean =>
  verdict.kind === 'reject' || verdict.kind === 'tempfail' || verdict.kind === 'discard'

/** A temporary failure in words of our own. */
export const tempfailWith = (code: number, enhanced: string, ...lines: ByteString[]): Verdict => ({
  kind: 'tempfail',
  reply: { code, enhanced, lines },
})

/** A rejection in words of our own. */
export const rejectWith = (code: number, enhanced: string, ...lines: ByteString[]): Verdict => ({
  kind: 'reject',
  reply: { code, enhanced, lines },
})
