/**
 * What became of a test message, put together from what the MTA was told and from the host's events.
 */
import { type ByteString, byteString, decodeText } from '../host/bytes.ts'
import type { Stage } from '../host/events.ts'
import type { Outcome } from '../host/filter.ts'
import type { Edit } from '../host/message/edit.ts'
import type { MessageSnapshot } from '../host/message/snapshot.ts'
import type { HostEvent } from '../host/observe/event.ts'
import type { Verdict } from '../host/verdict.ts'

/** One answer of one filter, or its failure. */
export interface TraceStep {
  readonly filter: string
  readonly stage: Stage
  /** `null` when the filter failed. */
  readonly verdict: Verdict | null
  readonly edits: readonly Edit[]
  /** Why there is no verdict: a code of the error table and its text. */
  readonly failure: { readonly code: string; readonly detail: string } | null
  /** In observe mode: the verdict did not count. */
  readonly observed: boolean
}

/** What was answered to one command. */
export interface TestReply {
  readonly command: 'connect' | 'helo' | 'mail' | 'rcpt' | 'data' | 'message'
  /** The recipient, at `rcpt`. */
  readonly recipient?: string
  readonly verdict: Verdict
}

/** The message as the MTA keeps it. */
export interface DeliveredMessage {
  /** Without angle brackets. */
  readonly sender: string
  readonly recipients: readonly string[]
  /** In order; values as they would be written, trimmed and UTF-8 decoded, folds kept. */
  readonly headers: readonly { readonly name: string; readonly value: string }[]
  /** UTF-8 decoded where it is UTF-8, with CRLF line ends. */
  readonly body: string
  /** The value of the first header field of that name. */
  header(name: string): string | undefined
}

export interface Delivery {
  /** How the message ended for the whole chain. */
  readonly outcome: Outcome
  /** The verdict that decided, as the client was told; `continue` when the message was accepted. */
  readonly verdict: Verdict
  /** The filter that decided, `null` when none objected. */
  readonly decidedBy: string | null
  /** The answers to the commands of this message, in order. */
  readonly replies: readonly TestReply[]
  /** `null` unless the MTA keeps the message. */
  readonly message: DeliveredMessage | null
  /** The reason when the message goes into the hold queue. */
  readonly quarantine: string | null
  /** What the MTA is asked to change, in the order in which it is told. */
  readonly edits: readonly Edit[]
  /** What each filter answered, in order. */
  readonly trace: readonly TraceStep[]
  /** What filters sent that was dropped, in words. */
  readonly refused: readonly string[]
}

export function traceOf(events: readonly HostEvent[]): readonly TraceStep[] {
  return events.flatMap((event): TraceStep[] => {
    if (event.type === 'filter-answered') {
      const { filter, stage, verdict, edits, observed } = event
      return [{ filter, stage, verdict, edits, failure: null, observed }]
    }
    if (event.type !== 'filter-failed') return []
    const { filter, stage, code, detail, observed } = event
    return [{ filter, stage, verdict: null, edits: [], failure: { code, detail }, observed }]
  })
}

export function deliveredMessage(snapshot: MessageSnapshot): DeliveredMessage {
  const { memory } = snapshot.body
  if (memory === null) throw new Error('a test message is kept in memory')
  return shownMessage(snapshot.headers, byteString(Buffer.concat(memory)), {
    sender: unbracketed(snapshot.sender.raw),
    recipients: snapshot.recipients.map(({ raw }) => unbracketed(raw)),
  })
}

/** Stored bytes as a test is shown them. */
export function shownMessage(
  fields: readonly { readonly name: string; readonly value: ByteString }[],
  body: ByteString,
  envelope: Pick<DeliveredMessage, 'sender' | 'recipients'>,
): DeliveredMessage {
  const headers = fields.map(({ name, value }) => ({ name, value: decodeText(value).trim() }))
  return {
    ...envelope,
    headers,
    body: decodeText(body),
    header: name => headers.find(field => field.name.toLowerCase() === name.toLowerCase())?.value,
  }
}

const unbracketed = (path: string): string => decodeText(path.replace(/^<(.*)>$/s, '$1'))
