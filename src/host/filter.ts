/**
 * The one contract that every filter meets, whatever stands behind it.
 *
 * The chain knows only this file: it cannot tell a plugin from an external milter. The cut is the one of Postfix's own
 * milter layer: a function an event, and `message` gets the whole stored message in one call, which loses nothing
 * because both MTAs send content to milters only once they hold all of it.
 *
 * What holds: for one session calls never overlap; `message` comes only after `mail` and at least one `rcpt`; after an
 * answer that ends the message, an `abort`, or a failure nothing more of that message is told. A method that throws or rejects
 * has failed: the chain closes that `FilterSession`, applies `onFailure`, and opens a fresh one for the next
 * message, telling it connect and helo again.
 */
import type { Contributor } from './authentication/authentication.ts'
import type { ByteString } from './bytes.ts'
import type {
  ConnectEvent,
  DataEvent,
  HeloEvent,
  MailEvent,
  MessageEvent,
  RcptEvent,
  Stage,
  UnknownEvent,
} from './events.ts'
import type { MacroStage } from './macros.ts'
import type { Edit, EditKind, HeaderRules } from './message/edit.ts'
import type { BodyWriter } from './message/snapshot.ts'
import type { Logger } from './observe/logger.ts'
import type { ResultStore } from './results.ts'
import type { Verdict } from './verdict.ts'

export type MaybePromise<T> = T | Promise<T>

/** What a filter says to a whole message. Edits count only if the verdict keeps the message. */
export interface MessageAnswer {
  readonly verdict: Verdict
  readonly edits: readonly Edit[]
}

/** How a message ended for the whole chain. */
export type Outcome = 'accept' | 'reject' | 'tempfail' | 'discard' | 'quarantine' | 'aborted' | 'client-left'

/** One filter's part in one SMTP connection. `signal` is aborted with an `AbortReason` when the answer is no longer awaited. */
export interface FilterSession {
  connect(event: ConnectEvent, signal: AbortSignal): MaybePromise<Verdict>
  helo(event: HeloEvent, signal: AbortSignal): MaybePromise<Verdict>
  mail(event: MailEvent, signal: AbortSignal): MaybePromise<Verdict>
  rcpt(event: RcptEvent, signal: AbortSignal): MaybePromise<Verdict>
  data(event: DataEvent, signal: AbortSignal): MaybePromise<Verdict>
  message(event: MessageEvent, signal: AbortSignal): MaybePromise<MessageAnswer>
  unknown(event: UnknownEvent, signal: AbortSignal): MaybePromise<Verdict>
  /** The message ended without this filter's `message`, or was cancelled. Never throws, is not waited for. */
  abort(): void
  /** Told, never asked: how the message ended for the whole chain. Comes once for each `mail`. */
  settled?(outcome: Outcome): void
  /** The connection is over, at whatever point it was. Never throws, is not waited for. */
  close(): void
}

/** What an event can be called when a filter says which it wants. `header eoh body` are the parts of `message`. */
export type Interest = 'connect' | 'helo' | 'mail' | 'rcpt' | 'data' | 'header' | 'eoh' | 'body' | 'unknown'

/** What a filter wants of the MTA, so that the MTA is asked for that and no more. */
export interface Needs {
  /** Events it wants to see. */
  readonly events: ReadonlySet<Interest>
  /** Events before the end of the message that it may answer with anything but "continue". */
  readonly answers: ReadonlySet<Interest>
  /** Edits it may send. */
  readonly edits: ReadonlySet<EditKind>
  /** Wants to be told of recipients that the MTA has already refused. */
  readonly refusedRecipients: boolean
  /** Macros it asks for beyond the MTA's defaults, by stage, names without braces. */
  readonly macros: ReadonlyMap<MacroStage, readonly string[]>
  /** It contributes authentication results: the message is needed to its end, and a field is written. @default false */
  readonly authResults?: boolean
}

/** What the host gives a filter for one SMTP connection. */
export interface FilterContext {
  readonly sessionId: string
  readonly log: Logger
  /** Events that the MTA sends in this connection; a filter that needs another one must fail rather than miss it. */
  readonly asked: ReadonlySet<Interest>
  /** Typed results that filters publish for those after them. */
  readonly results: ResultStore
  /** Authentication results, written in one field for the whole chain. */
  readonly authentication: Contributor
  /** A place for a replacement body; lives as long as the message. */
  newBody(): BodyWriter
  /** Reports something the filter sent that was dropped: not negotiated, invalid, meaningless at this stage. */
  refused(stage: Stage, detail: string): void
  /** Makes the client wait. The filter's own time limit stands still meanwhile. */
  hold(seconds: number): Promise<HoldOutcome>
  /**
   * Whether the client was seen, at any wait of this connection so far, to have sent bytes that the MTA had not read; `null` when no look
   * could tell.
   */
  readonly unread: boolean | null
  /** The filter is still at work on what it was asked: an MTA that takes signs of life waits on. */
  progress(): void
}

export type HoldOutcome = 'waited' | 'client-left' | 'refused'

/** A filter of the running configuration: shared by all sessions of its generation. */
export interface Filter {
  readonly name: string
  /** For people only. The chain never looks at it. */
  readonly kind: 'plugin' | 'socket'
  /** How this filter counts headers. */
  readonly headerRules: HeaderRules
  /** What it is known to want now; `null` while nobody knows (an external milter not yet met): then it is told everything. */
  needs(): Needs | null
  /**
   * The configuration is in use: finds out in the background what the filter wants; never rejects. Without it the first session does.
   * @param isForAll `false`: a condition chooses its mail, which may be none; whatever is not needed for its first message is to be left to that. @default true
   */
  learn?(signal: AbortSignal, isForAll?: boolean): Promise<void>
  /**
   * The configuration is made, and another one still serves: begins what takes longer than a message can wait. Resolves when it can be used, or
   * when that has come to nothing; never rejects.
   */
  ready?(): Promise<void>
  open(context: FilterContext): FilterSession
  /** How it is; a filter without it is as well as this process. */
  health?(): FilterHealth
  /** Starts anew what stands behind it; resolves when it works again, rejects with a coded error that says what came of it. */
  restart?(): Promise<void>
  /** For `check`: makes sure that it could work now, and says how it was met. Throws with the reason. */
  probe(signal: AbortSignal): Promise<FilterReport>
  close(): Promise<void>
}

/**
 * `unknown`: not asked yet. `up`: it answers. `failing`: it answers, and what it answers is of no use. `down`: it cannot be reached.
 * `starting`: its process has been started and does not answer yet. `wedged`: it takes connections and never answers.
 */
export type HealthState = 'unknown' | 'up' | 'failing' | 'down' | 'starting' | 'wedged'

/** How a filter is, as far as is known. */
export interface FilterHealth {
  readonly state: HealthState
  /** For people: what was found last. */
  readonly reason: string
  /** Wall clock, milliseconds since 1970: from then on it has been in this state. */
  readonly since: number
}

/** What `check` and `list` print of a filter. */
export interface FilterReport {
  readonly events: readonly string[]
  readonly mayEdit: readonly EditKind[]
  /** Further facts, as label and value: address, version, package. */
  readonly facts: ReadonlyMap<string, string>
}

/** Why an answer is no longer awaited: `signal.reason` of every hook. */
export interface AbortReason {
  readonly kind: 'timeout' | 'client-left' | 'shutdown' | 'mta-abort'
  readonly detail: ByteString
}
