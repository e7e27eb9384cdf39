/**
 * One expectation held against what was answered and seen. Pure; called by `play.ts`.
 */
import type { DeliveredMessage } from '../delivery.ts'
import { editOf } from './edit-form.ts'
import { editWords } from './edit-words.ts'
import type { Answer, Content, Expectation, ScenarioVerdict, Seen, Wanted } from './scenario.ts'

export type Judged =
  | { readonly kind: 'met' }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'unseen'; readonly what: string }

export interface Evidence {
  /** `null` when the client did not wait for it. */
  readonly answer: Answer | null
  readonly seen: Seen
  readonly sent: Pick<DeliveredMessage, 'sender' | 'recipients' | 'body'> & { readonly headers: Content['headers'] }
}

const MET: Judged = { kind: 'met' }
const failed = (message: string): Judged => ({ kind: 'failed', message })
const met = (is: boolean, message: () => string): Judged => (is ? MET : failed(message()))

export function judge(expected: Expectation, evidence: Evidence): Judged {
  const { seen } = evidence
  switch (expected.kind) {
    case 'verdict':
      return verdict(expected, evidence)
    case 'by':
      if (seen.decidedBy === undefined) return { kind: 'unseen', what: 'the filter that decided' }
      return met(
        seen.decidedBy === expected.filter,
        () => `decided by ${seen.decidedBy ?? 'no filter'}, not by ${expected.filter}`,
      )
    case 'filter':
      return filterSaid(expected, seen)
    case 'edit': {
      if (seen.trace === undefined) return { kind: 'unseen', what: `what filter ${expected.filter} changed` }
      const wanted = editWords(expected.edit).join(' ')
      const edits = seen.trace.flatMap(({ filter, edits: asked }) => (filter === expected.filter ? asked : []))
      const are = edits.map(edit => editWords(editOf(edit)).join(' '))
      return met(
        are.includes(wanted),
        () => `filter ${expected.filter} asked for ${are.join(', ') || 'no change'}; missing: ${wanted}`,
      )
    }
    default:
      return inMessage(expected, evidence)
  }
}

/** Whether what was delivered is evidence. */
export const looksAtMessage = ({ kind }: Expectation): boolean =>
  kind !== 'verdict' && kind !== 'by' && kind !== 'filter' && kind !== 'edit'

function filterSaid(expected: Extract<Expectation, { kind: 'filter' }>, { trace }: Seen): Judged {
  const { filter, verdict: wanted } = expected
  if (trace === undefined) return { kind: 'unseen', what: `what filter ${filter} answered` }
  const step = trace.findLast(each => each.filter === filter)
  if (step === undefined) return failed(`filter ${filter} was not asked`)
  const said = step.verdict === null ? 'failed' : step.verdict.kind
  const is = wanted === 'accept' && said === 'continue' ? 'accept' : said
  if (is !== wanted) return failed(`filter ${filter} answered ${said}, not ${wanted}`)
  const { verdict } = step
  if (verdict?.kind === 'quarantine')
    return met(
      expected.text === null || matches(verdict.reason, expected.text),
      () => `filter ${filter} quarantined for ${quote(verdict.reason)}, not ${show(expected.text!)}`,
    )
  const given = verdict === null || !('reply' in verdict) ? null : verdict.reply
  return reply(expected, { kind: verdict?.kind ?? 'continue', reply: given })
}

const plain = (kind: Answer['kind']): ScenarioVerdict => (kind === 'continue' ? 'accept' : kind)

function verdict(expected: Extract<Expectation, { kind: 'verdict' }>, { answer, seen }: Evidence): Judged {
  const wanted = expected.verdict
  if (wanted === 'client-left' || wanted === 'aborted' || answer === null) {
    if (seen.outcome === undefined) return { kind: 'unseen', what: `that the message ended with ${wanted}` }
    return met(seen.outcome === wanted, () => `the message ended with ${seen.outcome}, not with ${wanted}`)
  }
  const said = plain(answer.kind)
  // Both are a 250 to the client; what became of the message tells them apart.
  if (said === 'accept' && (wanted === 'discard' || wanted === 'quarantine')) {
    if (seen.outcome === undefined) return { kind: 'unseen', what: `a ${wanted} behind a reply that accepts` }
    if (seen.outcome !== wanted) return failed(`the message ended with ${seen.outcome}, not with ${wanted}`)
  } else if (said !== wanted) {
    return failed(`answered ${answerText(answer)}, not ${wanted}`)
  } else if (wanted === 'accept' && (seen.outcome === 'discard' || seen.outcome === 'quarantine')) {
    return failed(`answered as accepted, but the message ended with ${seen.outcome}`)
  }
  if (wanted === 'quarantine' && expected.text !== null) {
    if (seen.quarantine === undefined) return { kind: 'unseen', what: 'the reason of the quarantine' }
    return met(
      seen.quarantine !== null && matches(seen.quarantine, expected.text),
      () => `quarantined for ${quote(seen.quarantine)}, not ${show(expected.text!)}`,
    )
  }
  return reply(expected, answer)
}

/** What both MTAs say where a filter gives no words; only the code and its class are common to them. */
const OWN: Readonly<Record<string, { readonly code: number; readonly enhanced: string }>> = {
  reject: { code: 550, enhanced: '5.7.1' },
  tempfail: { code: 451, enhanced: '4.7.1' },
}

function reply({ code, enhanced, text }: Extract<Expectation, { kind: 'verdict' | 'filter' }>, answer: Answer): Judged {
  const own = OWN[answer.kind] ?? null
  const given = answer.reply ?? (own === null ? null : { ...own, lines: [] as string[] })
  if (given === null) return met(code === null && text === null, () => `answered ${answerText(answer)}`)
  if (code !== null && given.code !== code) return failed(`answered ${answerText(answer)}, not with ${code}`)
  if (enhanced !== null && given.enhanced !== enhanced)
    return failed(`answered ${answerText(answer)}, not with ${enhanced}`)
  const words = given.lines.join('\n')
  return met(text === null || matches(words, text), () => `answered ${answerText(answer)}, not ${show(text!)}`)
}

/** `reject 550 5.7.1 Not here`. */
export const answerText = ({ kind, reply }: Answer): string =>
  reply === null
    ? plain(kind)
    : `${plain(kind)} ${reply.code} ${reply.enhanced ?? ''} ${reply.lines.join(' / ')}`.replace(/ +/g, ' ').trim()

function inMessage(
  expected: Exclude<Expectation, { kind: 'verdict' | 'by' | 'filter' | 'edit' }>,
  { seen, sent }: Evidence,
): Judged {
  const { message } = seen
  if (message === undefined) return { kind: 'unseen', what: `the delivered message: ${expected.kind}` }
  if (message === null) return failed('no message was kept')
  const envelope = seen.envelope ?? true
  switch (expected.kind) {
    case 'header':
      return header(expected, message)
    case 'body': {
      const { text, whole, absent } = expected
      const body = message.body.replaceAll('\r\n', '\n')
      const has = whole ? body === text : matches(body, text)
      return met(
        has !== absent,
        () => `the body is ${quote(body)}, ${absent ? 'and should not have' : 'not'} ${show(text)}`,
      )
    }
    case 'sender':
      if (!envelope) return { kind: 'unseen', what: 'the envelope sender' }
      return met(
        message.sender === expected.address,
        () => `the sender is <${message.sender}>, not <${expected.address}>`,
      )
    case 'recipient': {
      if (!envelope) return { kind: 'unseen', what: 'the recipients' }
      const has = message.recipients.includes(expected.address)
      const list = message.recipients.map(address => `<${address}>`).join(', ') || 'none'
      return met(
        has !== expected.absent,
        () => `the recipients are ${list}; ${expected.absent ? 'not wanted' : 'missing'}: <${expected.address}>`,
      )
    }
    case 'unchanged': {
      const given = new Set(sent.headers.map(([name]) => name.toLowerCase()))
      const fields = message.headers.filter(
        ({ name }) => given.has(name.toLowerCase()) || !TRACE.has(name.toLowerCase()),
      )
      const before = sent.headers.map(([name, value]) => `${name}: ${unfolded(value)}`)
      const after = fields.map(({ name, value }) => `${name}: ${unfolded(value)}`)
      if (before.join('\n') !== after.join('\n')) return failed(`the header fields are ${quote(after.join('\n'))}`)
      if (message.body !== sent.body) return failed(`the body was changed to ${quote(message.body)}`)
      return met(!envelope || message.sender === sent.sender, () => `the sender was changed to <${message.sender}>`)
    }
  }
}

/** What MTAs add where it is missing, and on delivery. */
const TRACE = new Set(['received', 'return-path', 'delivered-to', 'x-original-to', 'date', 'message-id', 'from'])

function header({ name, value, absent }: Extract<Expectation, { kind: 'header' }>, message: DeliveredMessage): Judged {
  const values = message.headers
    .filter(field => field.name.toLowerCase() === name.toLowerCase())
    .map(field => field.value)
  const has = value === null ? values.length > 0 : values.some(one => equals(one, value))
  const are = values.length === 0 ? `there is no ${name}` : `${name} is ${values.map(quote).join(' and ')}`
  return met(
    has !== absent,
    () => `${are}${absent ? ', and should not be' : value === null ? '' : `, not ${show(value)}`}`,
  )
}

const matches = (text: string, wanted: Wanted): boolean =>
  typeof wanted === 'string'
    ? text.includes(wanted)
    : new RegExp(wanted.source, wanted.flags.replace('g', '')).test(text)

/** A header has the whole value; folds count as one space. */
const equals = (value: string, wanted: Wanted): boolean =>
  typeof wanted === 'string' ? unfolded(value) === unfolded(wanted) : matches(value, wanted)

const unfolded = (value: string): string => value.replace(/\r?\n[ \t]+/g, ' ').trim()

const show = (wanted: Wanted): string => (typeof wanted === 'string' ? quote(wanted) : String(wanted))
const quote = (text: string | null | undefined): string => {
  const shown = JSON.stringify(text ?? '')
  return shown.length > 300 ? `${shown.slice(0, 300)}…"` : shown
}
