/**
 * The contract for whoever can tell whether an SMTP client is still there.
 *
 * An MTA that waits for a milter does not look at its client, so the host has to (`watch.ts`). It asks a source, for all
 * connections that somebody waits on in one call; the source looks where it can: the kernel's table on this machine, an agent on
 * another one, whatever a postmaster writes. There are three answers and one rule: `unknown` is never `gone`. A client behind
 * a proxy, an MTA on another machine, a source that does not answer: all unknown, and nothing happens.
 */
import type { Logger } from '../observe/logger.ts'
import type { Clock } from './clock.ts'

/** One end of a TCP connection. */
export interface Endpoint {
  /** Numeric, IPv4 or IPv6, without brackets. Among `servers` also empty: any address of the MTA's machine. */
  readonly address: string
  readonly port: number
}

/** An SMTP connection as the MTA told of it. */
export interface SmtpConnection {
  readonly client: Endpoint
  /** Where the MTA may have taken it; it is one of these. */
  readonly servers: readonly Endpoint[]
}

/** What a source is asked. */
export interface LivenessQuestion {
  /** The same object at every look. */
  readonly connection: SmtpConnection
  /**
   * `null` until the connection was `present` at an earlier look, then what the source called it by (`socket`), or an empty text.
   * What was seen and is missing now has left without a farewell; what was never seen may only be out of sight.
   */
  readonly seen: string | null
}

/** What a source answers for one connection. */
export interface Sight {
  /** `gone`: the client closed (CLOSE-WAIT), or reset what was seen established before. */
  readonly state: 'present' | 'gone' | 'unknown'
  /** With `present`: anything that tells this connection from a later one between the same ports, e.g. the inode. */
  readonly socket?: string
  /** With `present`: whether the client has sent bytes that the MTA has not read yet. Left out by a source that cannot tell. */
  readonly unread?: boolean
}

/** A source at work. */
export interface Liveness {
  /**
   * One answer for each question, in their order. Must not block. Rejecting, or taking longer than 5 s, means unknown for all of
   * them; it is logged once and asked again later. `signal` is aborted when the answer is no longer awaited.
   */
  look(questions: readonly LivenessQuestion[], signal: AbortSignal): Promise<readonly Sight[]>
  /**
   * Milliseconds of a processor's time that the last look took. Looks are spaced so that they take no more than a tenth of one.
   */
  readonly cost?: number
  close?(): void | Promise<void>
}

/** What a configuration names as `liveness`. Nothing is opened before the configuration is put to work. */
export interface LivenessSource {
  /** For logs. */
  readonly name: string
  open(around: { readonly clock: Clock; readonly log: Logger }): Liveness
}

export const GONE: Sight = Object.freeze({ state: 'gone' })
export const UNKNOWN: Sight = Object.freeze({ state: 'unknown' })
