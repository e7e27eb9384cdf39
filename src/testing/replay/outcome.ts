/**
 * What came of a message in one playing of its session: its verdict, and whose it was.
 *
 * A session is cut into messages at each MAIL; what comes before the first is the connection. Pure.
 */
import type { Verdict } from '../../host/verdict.ts'
import type { FilterAnswer, RecordedTurn } from '../recording/recorded.ts'

/** What came of one command: what the MTA was told, and what each filter said. A recording has it, and so has every playing of it. */
export type TurnOutcome = Pick<RecordedTurn, 'answer' | 'filters'>

/** In the order of a session's turns; `null`: the MTA would not have said it, since it was refused before. */
export type Outcomes = readonly (TurnOutcome | null)[]

/** Places of turns in a session, from `from` on, before `to`. */
export interface Span {
  readonly from: number
  readonly to: number
}

/** The connection, which may be all there is, and its messages. */
export function spansOf(turns: readonly RecordedTurn[]): { readonly connection: Span; readonly messages: Span[] } {
  const begins = turns.flatMap(({ command }, at) => (command.kind === 'mail' ? [at] : []))
  const messages = begins.map((from, at) => ({ from, to: begins[at + 1] ?? turns.length }))
  return { connection: { from: 0, to: begins[0] ?? turns.length }, messages }
}

/** How a message ended: a verdict, `client-left`, `unfinished`, or `goes on` where what follows was not recorded. */
export interface MessageOutcome {
  readonly verdict: Exclude<Verdict['kind'], 'continue'> | 'client-left' | 'unfinished' | 'goes on'
  /** Code and enhanced code of the reply, where it has one of its own. */
  readonly reply: string | null
  readonly by: string | null
}

/** `content`: the session has the content of this message. */
export function outcomeOf(turns: readonly RecordedTurn[], outcomes: Outcomes, span: Span): MessageOutcome {
  for (let at = 0; at < span.from; at++) {
    const { kind } = turns[at]!.command
    const refused = kind === 'connect' || kind === 'helo' ? objection(outcomes[at]) : null
    if (refused !== null) return refused
  }
  let refusal: MessageOutcome | null = null
  let accepted = false
  for (let at = span.from; at < span.to; at++) {
    const { kind } = turns[at]!.command
    const outcome = outcomes[at]
    if (outcome === null || outcome === undefined) continue
    const objected = objection(outcome)
    if (kind === 'rcpt' && objected?.verdict !== 'discard') {
      if (objected === null) accepted = true
      else if (refusal === null || objected.verdict === 'tempfail') refusal = objected
    } else if (kind === 'message') {
      if (outcome.answer === null) return LEFT
      return objected ?? ACCEPTED
    } else if (objected !== null && (kind === 'mail' || kind === 'rcpt' || kind === 'data')) return objected
    else if (kind === 'data' && outcome.answer?.kind === 'accept') return ACCEPTED
    else if (kind === 'disconnect') return LEFT
    else if (kind === 'reset' && !accepted) break
  }
  if (!accepted) return refusal ?? UNFINISHED
  return UNFINISHED
}

const ACCEPTED: MessageOutcome = { verdict: 'accept', reply: null, by: null }
const LEFT: MessageOutcome = { verdict: 'client-left', reply: null, by: null }
const UNFINISHED: MessageOutcome = { verdict: 'unfinished', reply: null, by: null }

function objection(outcome: TurnOutcome | null | undefined): MessageOutcome | null {
  const answer = outcome?.answer ?? null
  if (answer === null || answer.kind === 'continue' || answer.kind === 'accept') return null
  return { verdict: answer.kind, reply: replyText(answer), by: decider(answer, outcome!.filters) }
}

/** The filter that said it, or whose failure came to it. */
function decider({ kind }: Verdict, filters: readonly FilterAnswer[]): string | null {
  const said = filters.findLast(({ verdict }) => verdict?.kind === kind)
  return (said ?? filters.findLast(({ verdict }) => verdict === null))?.filter ?? null
}

/** `550 5.7.1`; `null` for the MTA's own words. */
export function replyText(verdict: Verdict): string | null {
  const reply = 'reply' in verdict ? verdict.reply : null
  if (reply === null) return null
  return reply.enhanced === null ? String(reply.code) : `${reply.code} ${reply.enhanced}`
}
