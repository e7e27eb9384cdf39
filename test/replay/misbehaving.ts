/**
 * The captures whose milter broke the protocol, and the stage at which milterhost finds it out; and those where it says
 * something else than the MTA did, on purpose. Every other capture must be replayed without any difference.
 */
import type { Packet } from '../interop/harness/frames.ts'

export type FoundAt = 'connect' | 'mail' | 'rcpt' | 'eom'

/** By scenario, whichever MTA was captured. A fault before MAIL is told at MAIL. */
export const misbehaving: Readonly<Record<string, FoundAt>> = {
  'raw-close-optneg': 'connect',
  'raw-garbage-optneg': 'connect',
  // Postfix refuses an answer above its offer, Sendmail does not look.
  'raw-v7': 'connect',
  'raw-close-connect': 'connect',
  'raw-modify-before-eom': 'mail',
  'raw-oversize-answer': 'mail',
  'raw-rst-mail': 'mail',
  'raw-unknown-answer': 'mail',
  'raw-zero-length': 'mail',
  'raw-close-rcpt': 'rcpt',
  'raw-close-eom': 'eom',
  // Sendmail drops the edit and delivers.
  'raw-unterminated-string': 'eom',
}

const SHUTTING_DOWN = '421 4.7.0 Service shutting down, closing transmission channel'

export interface Deliberate {
  readonly why: string
  /** What takes the place of the captured verdict. */
  readonly verdict?: (captured: Packet) => Packet
  /** The captured edits are not made. */
  readonly withoutEdits?: true
}

export const deliberate: Readonly<Record<string, Deliberate>> = {
  'raw-shutdown-connect': {
    why: 'SHUTDOWN is never passed on: Postfix 3.7 loses mail over it, Sendmail takes it for nonsense. 421 says the same',
    verdict: shutDown,
  },
  'raw-shutdown-mail': {
    why: 'the same at MAIL',
    verdict: shutDown,
  },
  'raw-bad-replycode': {
    why: 'a reply of class 2 as a refusal: temporary, because nothing in it says that the mail is unwanted',
    verdict: captured => (captured.command === 'y' ? { command: 't', data: Buffer.alloc(0) } : captured),
  },
  'raw-forbidden-action': {
    why: 'the milter edits although it asked for no edits: both MTAs let it, milterhost drops what was not agreed',
    withoutEdits: true,
  },
}

function shutDown(captured: Packet): Packet {
  return captured.command === '4' ? { command: 'y', data: Buffer.from(`${SHUTTING_DOWN}\0`, 'latin1') } : captured
}
