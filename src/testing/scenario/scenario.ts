/**
 * A scenario: one conversation of a client with an MTA, and what is expected of it, as data.
 *
 * The text form is read by `parse.ts` and written by `write.ts`; `play.ts` plays it against a `ScenarioStage`: a chain in
 * this process, or a real MTA. Nothing here knows which. Every step knows its line, so that a failure points at it.
 */

import type { MacroStage } from '../../host/macros.ts'
import type { TestClient } from '../conversation.ts'
import type { DeliveredMessage, Delivery } from '../delivery.ts'

/** One scenario of a file. */
export interface Scenario {
  readonly title: string
  /** As named when it was read. */
  readonly file: string
  readonly line: number
  /** What the clock says at the start. @default 2026-01-01T00:00:00Z */
  readonly clock: string | null
  /** The text of a zone file that answers look-ups; `null`: no name is known. */
  readonly dns: string | null
  /** Whose rules, macros and limits; `null`: any MTA's. */
  readonly mta: 'postfix' | 'sendmail' | null
  readonly steps: readonly ScenarioStep[]
}

/** What the client does, what happens to it, or what is expected of the last answer. */
export type ScenarioStep = { readonly line: number } & (
  | { readonly kind: 'connect'; readonly client: TestClient }
  | { readonly kind: 'helo'; readonly name: string }
  | { readonly kind: 'mail' | 'rcpt'; readonly address: string; readonly args: readonly string[] }
  | { readonly kind: 'data' | 'end' | 'reset' | 'quit' | 'disconnect' | 'timeout' }
  | { readonly kind: 'header'; readonly name: string; readonly value: string }
  /** A piece of the body, with its line ends. */
  | { readonly kind: 'body'; readonly text: string }
  /** A body of that size, for one whose words do not matter: bytes with CRLF line ends, and lines. */
  | { readonly kind: 'filler'; readonly bytes: number; readonly lines: number }
  /** What the MTA tells before its next command; replaces what it told at that stage. */
  | { readonly kind: 'macros'; readonly stage: MacroStage; readonly values: Readonly<Record<string, string>> }
  | { readonly kind: 'wait'; readonly milliseconds: number }
  | { readonly kind: 'expect'; readonly expectation: Expectation }
)

/** Text that is part of what is looked at, or a pattern that matches it. */
export type Wanted = string | RegExp

export type ScenarioVerdict =
  | 'accept'
  | 'reject'
  | 'tempfail'
  | 'discard'
  | 'quarantine'
  /** How a message ends that its client does not see the end of. */
  | 'client-left'
  | 'aborted'

export type Expectation =
  | {
      readonly kind: 'verdict'
      readonly verdict: ScenarioVerdict
      readonly code: number | null
      readonly enhanced: string | null
      /** Of the reply, or the reason of a quarantine. */
      readonly text: Wanted | null
    }
  | { readonly kind: 'header'; readonly name: string; readonly value: Wanted | null; readonly absent: boolean }
  | { readonly kind: 'body'; readonly text: Wanted; readonly whole: boolean; readonly absent: boolean }
  | { readonly kind: 'sender'; readonly address: string }
  | { readonly kind: 'recipient'; readonly address: string; readonly absent: boolean }
  | { readonly kind: 'unchanged' }
  /** The filter that decided. */
  | { readonly kind: 'by'; readonly filter: string }
  /** What one filter of the chain answered last; `continue` is not met by an `accept`, which ends the filter's interest. */
  | {
      readonly kind: 'filter'
      readonly filter: string
      readonly verdict: ScenarioVerdict | 'continue' | 'failed'
      readonly code: number | null
      readonly enhanced: string | null
      readonly text: Wanted | null
    }
  /** One change that a filter asked for, whether it counted or not. */
  | { readonly kind: 'edit'; readonly filter: string; readonly edit: ScenarioEdit }

/** An edit as text: addresses and values as the filter gave them. */
export type ScenarioEdit =
  | { readonly kind: 'addHeader'; readonly name: string; readonly value: string }
  | { readonly kind: 'insertHeader'; readonly index: number; readonly name: string; readonly value: string }
  | { readonly kind: 'changeHeader'; readonly occurrence: number; readonly name: string; readonly value: string }
  | { readonly kind: 'removeHeader'; readonly occurrence: number; readonly name: string }
  /** Only how large the new body is. */
  | { readonly kind: 'replaceBody'; readonly bytes: number }
  | { readonly kind: 'addRecipient'; readonly address: string; readonly args: string }
  | { readonly kind: 'removeRecipient'; readonly address: string }
  | { readonly kind: 'changeSender'; readonly address: string; readonly args: string }
  | { readonly kind: 'quarantine'; readonly reason: string }

/** What the client was answered to one command. */
export interface Answer {
  /** An MTA's 2xx and 3xx are `continue`. */
  readonly kind: 'continue' | 'accept' | 'reject' | 'tempfail' | 'discard' | 'quarantine'
  /** `null`: the MTA's own words for that kind. */
  readonly reply: { readonly code: number; readonly enhanced: string | null; readonly lines: readonly string[] } | null
}

/** What became of the last message, as far as this stage shows it; what is absent cannot be seen there. */
export interface Seen {
  readonly outcome?: Delivery['outcome']
  readonly decidedBy?: string | null
  readonly quarantine?: string | null
  readonly trace?: Delivery['trace']
  /** `null`: nothing was kept. */
  readonly message?: DeliveredMessage | null
  /** Of the message: recipients and sender. @default true, when there is a message */
  readonly envelope?: boolean
}

/** The content of one message. */
export interface Content {
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: string
}

/** One SMTP connection on a stage. Each step resolves to the answer to it. */
export interface StageConnection {
  connect(): Promise<Answer>
  helo(name: string): Promise<Answer>
  mail(address: string, args: readonly string[]): Promise<Answer>
  rcpt(address: string, args: readonly string[]): Promise<Answer>
  data(): Promise<Answer>
  /** Content and its end; `data` came before and was not refused. */
  message(content: Content): Promise<Answer>
  /** Told with the next command. Absent where the MTA has its own. */
  macros?(stage: MacroStage, values: Readonly<Record<string, string>>): void
  reset(): Promise<void>
  quit(): Promise<void>
  /** Goes without a word; what is awaited then may never be answered. */
  disconnect(): Promise<void>
  /** `message`: what was kept is asked for, which may mean to wait for it to arrive. */
  seen(message: boolean): Promise<Seen>
}

/** Where a scenario is played. One for each scenario. */
export interface ScenarioStage {
  /** Why a step cannot be played here, as a clause: `the client's address cannot be chosen`; `null` when it can. */
  refuses(scenario: Scenario): string | null
  open(client: TestClient): Promise<StageConnection>
  wait(milliseconds: number): Promise<void>
  /** Whether the clock is one that `wait` alone moves. */
  readonly still: boolean
  close(): Promise<void>
}

/** How a scenario went. */
export interface ScenarioResult {
  readonly scenario: Scenario
  /** Why it was not played at all. */
  readonly skipped: string | null
  readonly failures: readonly { readonly line: number; readonly message: string }[]
  /** Expectations that this stage does not show: neither met nor failed. */
  readonly unseen: readonly { readonly line: number; readonly what: string }[]
}
