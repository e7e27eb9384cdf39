/**
 * Where the MTA side gets its sessions from: the one seam between a connection and the chain.
 *
 * A connection asks for a session when it negotiates, because what to ask of the MTA follows from what the filters of that
 * session want. `null` means that there is none to be had (too many, or going down): the connection then stays in the
 * protocol and says so at MAIL. The daemon implements it; tests put a recorder behind it.
 */
import type { ByteString } from '../../host/bytes.ts'
import type { Client, Path, RcptEvent } from '../../host/events.ts'
import type { AbortReason, MaybePromise, Needs } from '../../host/filter.ts'
import type { MacroStore } from '../../host/macros.ts'
import type { MtaFacts } from '../../host/mta.ts'
import type { Settlement } from '../../host/session.ts'
import type { Verdict } from '../../host/verdict.ts'

/** What a connection uses of `Session` (src/host/session.ts). Called one at a time, except `abort`, `close`, `interrupt`. */
export interface HostSession {
  readonly id: string
  readonly macros: MacroStore
  setMta(facts: MtaFacts): void
  connect(client: Client): MaybePromise<Verdict>
  helo(name: ByteString): MaybePromise<Verdict>
  mail(sender: Path): MaybePromise<Verdict>
  rcpt(recipient: Path, refused: RcptEvent['refused']): MaybePromise<Verdict>
  data(): MaybePromise<Verdict>
  header(name: ByteString, value: ByteString): void
  endOfHeaders(): void
  body(chunk: Uint8Array): void | Promise<void>
  endOfMessage(): MaybePromise<Settlement>
  unknown(command: ByteString): MaybePromise<Verdict>
  abort(reason?: AbortReason): void
  close(reason: AbortReason): void
  interrupt(reason: AbortReason): void
}

export interface OpenedSession {
  readonly session: HostSession
  /** The union over all filters of this session. */
  readonly needs: Needs
  /** Milliseconds between two PROGRESS before the end of a message, to an MTA that takes them. Default 10,000. */
  readonly progress?: number
}

export interface SessionSource {
  /** `null`: no session now, over the limit or going down. */
  open(): OpenedSession | null
}
