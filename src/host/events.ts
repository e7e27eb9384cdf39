/**
 * The events of an SMTP connection as every filter sees them, whichever MTA sent them.
 *
 * The MTA side of the bridge has levelled the differences before an event is made: no `IPv6:` prefix, paths always
 * in angle brackets, header values with their leading space. Events are values; nothing in them changes after they
 * were handed out, except that `macros` answers with what the MTA has told so far.
 */
import type { ByteString } from './bytes.ts'
import type { Macros } from './macros.ts'
import type { MessageSnapshot } from './message/snapshot.ts'

/** The stages at which a filter is asked, in the order of an SMTP conversation. */
export const STAGES = ['connect', 'helo', 'mail', 'rcpt', 'data', 'message', 'unknown'] as const
export type Stage = (typeof STAGES)[number]

/** The SMTP client. `port` is 0 and `address` 127.0.0.1 for mail that did not come by SMTP on Postfix. */
export interface Client {
  readonly family: 'inet' | 'inet6' | 'unix' | 'unknown'
  /** Text form without `IPv6:`; the socket's path for `unix`; empty for `unknown`. */
  readonly address: ByteString
  readonly port: number
  /** The name the MTA verified, or `[address]` when it could not. */
  readonly hostname: ByteString
}

/** An address as the client gave it, in angle brackets, and its ESMTP parameters, each as typed (`SIZE=100`). */
export interface Path {
  readonly raw: ByteString
  readonly args: readonly ByteString[]
}

interface EventBase {
  readonly macros: Macros
}

export interface ConnectEvent extends EventBase {
  readonly client: Client
}

export interface HeloEvent extends EventBase {
  readonly name: ByteString
}

export interface MailEvent extends EventBase {
  /** Ours, unique on this host and stable for the whole message; the MTA's queue id comes later on Postfix. */
  readonly messageId: string
  readonly sender: Path
}

export interface RcptEvent extends EventBase {
  readonly recipient: Path
  /** Set when the MTA had already refused this recipient (RCPT_REJ): told for information, the answer is not used. */
  readonly refused: { readonly code: ByteString; readonly text: ByteString } | null
  /** What `users` or the central policy say for this recipient and this filter, where they say more than yes. */
  readonly options?: Readonly<Record<string, unknown>> | null
}

export interface DataEvent extends EventBase {
  /** Those accepted so far, in order. */
  readonly recipients: readonly Path[]
}

export interface MessageEvent extends EventBase {
  readonly message: MessageSnapshot
}

export interface UnknownEvent extends EventBase {
  /** The command line; Postfix before 3.10 gives only the verb. */
  readonly command: ByteString
}
