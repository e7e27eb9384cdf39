/**
 * What is different between two playings of one session, or between a recording and a playing of it. Pure.
 *
 * A filter that was not asked, since one before it had decided, has not changed its mind. Words of replies may hold times and
 * addresses; kinds and codes are compared, and of edits everything but the bytes of a new body.
 */
import { decodeText } from '../../host/bytes.ts'
import type { FilterAnswer, RecordedSession, RecordedTurn } from '../recording/recorded.ts'
import { editWords } from '../scenario/edit-words.ts'
import { type MessageOutcome, type Outcomes, outcomeOf, replyText, type Span, spansOf } from './outcome.ts'

/** One filter said something else. Texts such as `reject 550 5.7.1`, `failed`, or `-`: it said nothing. */
export interface FilterChange {
  readonly filter: string
  readonly from: string
  readonly to: string
  /** Edits that are gone, with `-`, and new ones, with `+`. */
  readonly edits: readonly string[]
}

/** A message of which something is different, or a connection without one. */
export interface MessageChange {
  /** With angle brackets; `null` for a connection. */
  readonly sender: string | null
  readonly recipients: readonly string[]
  /** `null` when it ends as before. */
  readonly outcome: { readonly from: MessageOutcome; readonly to: MessageOutcome } | null
  /** Recipients that are told something else. */
  readonly answers: readonly { readonly recipient: string; readonly from: string; readonly to: string }[]
  readonly filters: readonly FilterChange[]
}

/** The changes, and how many messages there were. */
export function compare(
  { turns }: RecordedSession,
  before: Outcomes,
  after: Outcomes,
): { readonly messages: number; readonly changes: readonly MessageChange[] } {
  const { connection, messages } = spansOf(turns)
  const changes: MessageChange[] = []
  const filters = filterChanges(before, after, connection)
  if (filters.length > 0 || messages.length === 0) {
    const change = { sender: null, recipients: [], outcome: null, answers: [], filters }
    const answers = answerChanges(turns, before, after, connection)
    if (filters.length + answers.length > 0) changes.push({ ...change, answers })
  }
  for (const span of messages) {
    const from = outcomeOf(turns, before, span)
    const to = reached(outcomeOf(turns, after, span), from)
    const change = {
      ...envelope(turns, span),
      outcome: sameOutcome(from, to) ? null : { from, to },
      answers: answerChanges(turns, before, after, span),
      filters: filterChanges(before, after, span),
    }
    if (change.outcome !== null || change.answers.length + change.filters.length > 0) changes.push(change)
  }
  return { messages: messages.length, changes }
}

/** What a filter did otherwise, in words. Where it answers the same it changes the message in another way. */
export const changeWords = ({ from, to }: { readonly from: string; readonly to: string }): string =>
  from === to ? `${to}, with other changes` : `${from} → ${to}`

/** Refused before its content was sent, and not any more: what would come then nobody knows. */
const reached = (to: MessageOutcome, from: MessageOutcome): MessageOutcome =>
  to.verdict === 'unfinished' && from.verdict !== 'unfinished' ? { verdict: 'goes on', reply: null, by: null } : to

const sameOutcome = (one: MessageOutcome, other: MessageOutcome): boolean =>
  one.verdict === other.verdict && one.reply === other.reply

const envelope = (turns: readonly RecordedTurn[], { from, to }: Span): { sender: string; recipients: string[] } => {
  const paths = (kind: 'mail' | 'rcpt'): string[] =>
    turns.slice(from, to).flatMap(({ command }) => (command.kind === kind ? [decodeText(command.path.raw)] : []))
  return { sender: paths('mail')[0]!, recipients: paths('rcpt') }
}

function answerChanges(
  turns: readonly RecordedTurn[],
  before: Outcomes,
  after: Outcomes,
  { from, to }: Span,
): MessageChange['answers'] {
  const changes: MessageChange['answers'][number][] = []
  for (let at = from; at < to; at++) {
    const { command } = turns[at]!
    const [one, other] = [before[at]?.answer, after[at]?.answer]
    if (command.kind === 'rcpt' ? false : command.kind !== 'connect' && command.kind !== 'helo') continue
    // Of one of them nobody knows what it would have been told.
    if (one === null || one === undefined || other === null || other === undefined) continue
    const [was, is] = [answerText(one), answerText(other)]
    const recipient = command.kind === 'rcpt' ? decodeText(command.path.raw) : command.kind
    if (was !== is) changes.push({ recipient, from: was, to: is })
  }
  return changes
}

const answerText = (verdict: NonNullable<FilterAnswer['verdict']>): string =>
  verdict.kind === 'continue' ? 'accept' : said(verdict)

function filterChanges(before: Outcomes, after: Outcomes, { from, to }: Span): FilterChange[] {
  const changes = new Map<string, FilterChange>()
  for (let at = from; at < to; at++) {
    const [one, other] = [before[at] ?? null, after[at] ?? null]
    const names = new Set([...(one?.filters ?? []), ...(other?.filters ?? [])].map(({ filter }) => filter))
    for (const filter of names) {
      const was = one?.filters.find(each => each.filter === filter)
      const is = other?.filters.find(each => each.filter === filter)
      const change = changed(filter, was, is, other)
      if (change !== null) changes.set(JSON.stringify(change), change)
    }
  }
  return [...changes.values()]
}

function changed(
  filter: string,
  was: FilterAnswer | undefined,
  is: FilterAnswer | undefined,
  turn: Outcomes[number],
): FilterChange | null {
  if (is === undefined) {
    const cut = turn === null || isRefusal(turn.answer)
    if (cut || (isPlain(was!.verdict) && was!.edits.length === 0)) return null
    return { filter, from: said(was!.verdict), to: '-', edits: editChanges(was!.edits, []) }
  }
  if (was === undefined) {
    if (isPlain(is.verdict) && is.edits.length === 0) return null
    return { filter, from: '-', to: said(is.verdict), edits: editChanges([], is.edits) }
  }
  const edits = editChanges(was.edits, is.edits)
  const [from, to] = [said(was.verdict), said(is.verdict)]
  const same = from === to || (isPlain(was.verdict) && isPlain(is.verdict))
  return same && edits.length === 0 ? null : { filter, from, to, edits }
}

function editChanges(before: FilterAnswer['edits'], after: FilterAnswer['edits']): string[] {
  const texts = (edits: FilterAnswer['edits']): string[] => edits.map(edit => editWords(edit).join(' '))
  const [one, other] = [texts(before), texts(after)]
  if (one.join('\n') === other.join('\n')) return []
  const gone = one.filter(text => !other.includes(text)).map(text => `- ${text}`)
  const fresh = other.filter(text => !one.includes(text)).map(text => `+ ${text}`)
  return gone.length + fresh.length > 0 ? [...gone, ...fresh] : ['the same in another order']
}

const isPlain = (verdict: FilterAnswer['verdict']): boolean =>
  verdict?.kind === 'continue' || verdict?.kind === 'accept'

const isRefusal = (verdict: FilterAnswer['verdict']): boolean =>
  verdict?.kind === 'reject' || verdict?.kind === 'tempfail' || verdict?.kind === 'discard'

/** A verdict in words: `failed`, `accept`, `reject 550 5.7.1`. */
function said(verdict: FilterAnswer['verdict']): string {
  if (verdict === null) return 'failed'
  const reply = replyText(verdict)
  return reply === null ? verdict.kind : `${verdict.kind} ${reply}`
}
