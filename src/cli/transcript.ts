/**
 * A played conversation as text and as JSON.
 */
import { createTwoFilesPatch } from 'diff'
import { type ByteString, decodeText } from '../host/bytes.ts'
import { AT_END, type Edit } from '../host/message/edit.ts'
import type { HostEvent } from '../host/observe/event.ts'
import { harmless, readable } from '../host/observe/safe.ts'
import type { SmtpReply, Verdict } from '../host/verdict.ts'
import type { Played, Step } from './conversation.ts'
import { type MessageFile, messageLines } from './message-file.ts'

/** What Postfix says when a milter gives no words of its own. */
const REPLIES: Readonly<Record<Step['stage'], string>> = {
  connect: '220 ready',
  helo: '250 pleased to meet you',
  mail: '250 2.1.0 Ok',
  rcpt: '250 2.1.5 Ok',
  data: '354 End data with <CR><LF>.<CR><LF>',
  message: '250 2.0.0 Ok',
}
const REJECT: SmtpReply = { code: 550, enhanced: '5.7.1', lines: ['Command rejected'] }
const TEMPFAIL: SmtpReply = { code: 451, enhanced: '4.7.1', lines: ['Service unavailable - try again later'] }

/** The lines that the client would see. */
export function replyLines(stage: Step['stage'], verdict: Verdict): string[] {
  if (verdict.kind !== 'reject' && verdict.kind !== 'tempfail') return [REPLIES[stage]]
  const { code, enhanced, lines } = verdict.reply ?? (verdict.kind === 'reject' ? REJECT : TEMPFAIL)
  const status = enhanced === null ? '' : `${enhanced} `
  return lines.map((line, i) => `${code}${i === lines.length - 1 ? ' ' : '-'}${status}${decodeText(line)}`)
}

export function transcriptText({ steps, settled }: Played): string {
  const lines = steps.flatMap(step => [
    readable(step.command),
    ...step.events.flatMap(event => eventLines(event)),
    ...replyLines(step.stage, step.verdict).map(line => `  < ${harmless(line)}`),
  ])
  if (settled === null) return lines.join('\n')
  const by = settled.decidedBy === null ? '' : ` by ${settled.decidedBy}`
  const notSent = steps.every(({ stage }) => stage !== 'message') && settled.outcome === 'accept'
  lines.push('', `Outcome: ${settled.outcome}${by}${notSent ? ' (no filter wants the content)' : ''}`)
  return lines.join('\n')
}

/** What a filter did, a line of it and further ones below; without the time where a clock stands still. */
export function eventLines(event: HostEvent, timed = true): string[] {
  const time = (milliseconds: number): string => (timed ? `, ${milliseconds.toFixed(1)} ms` : '')
  switch (event.type) {
    case 'filter-answered': {
      const { filter, verdict, milliseconds, edits, observed } = event
      const head = `  ${filter}: ${verdictText(verdict)}${observed ? ' (observed only)' : ''}${time(milliseconds)}`
      return [head, ...edits.map(edit => `      ${editText(edit)}`)]
    }
    case 'filter-failed': {
      const { filter, code, detail, onFailure, milliseconds } = event
      return [`  ${filter}: FAILED (${code}), so ${onFailure}${time(milliseconds)}`, `      ${harmless(detail)}`]
    }
    case 'answer-refused':
      return [`  ${event.filter}: dropped: ${harmless(event.detail)}`]
    case 'condition-decided': {
      const { filter, takesPart, recipient, by } = event
      const whom = recipient === null ? '' : ` for ${readable(recipient)}`
      return [
        `  ${filter}: takes ${takesPart ? '' : 'no '}part${whom}${by.length === 0 ? '' : `: ${harmless(by.join(', '))}`}`,
      ]
    }
    case 'condition-failed':
      return [`  ${event.filter}: the condition ${harmless(event.condition)} failed: ${harmless(event.detail)}`]
    case 'limit-reached':
      return [`  limit reached (${event.code}): ${harmless(event.detail)}`]
    default:
      return []
  }
}

function verdictText(verdict: Verdict): string {
  if (verdict.kind === 'quarantine') return `quarantine (${readable(verdict.reason)})`
  if (!('reply' in verdict) || verdict.reply === null) return verdict.kind
  return `${verdict.kind} (${replyLines('message', verdict)
    .map(line => harmless(line))
    .join(' / ')})`
}

export function editText(edit: Edit): string {
  switch (edit.kind) {
    case 'addHeader':
      return `add header ${readable(edit.name)}:${readable(edit.value)}`
    case 'insertHeader': {
      const at = edit.index === AT_END ? 'at the end' : `at ${edit.index}`
      return `insert header ${at} ${readable(edit.name)}:${readable(edit.value)}`
    }
    case 'changeHeader':
      return `change header ${readable(edit.name)} (${edit.occurrence}) to${readable(edit.value)}`
    case 'removeHeader':
      return `remove header ${readable(edit.name)} (${edit.occurrence})`
    case 'replaceBody':
      return `replace body, ${edit.body.size} bytes`
    case 'addRecipient':
      return `add recipient ${readable(edit.address)} ${readable(edit.args)}`.trimEnd()
    case 'removeRecipient':
      return `remove recipient ${readable(edit.address)}`
    case 'changeSender':
      return `change sender to ${readable(edit.address)} ${readable(edit.args)}`.trimEnd()
    case 'quarantine':
      return `quarantine (${readable(edit.reason)})`
  }
}

type Content = Pick<MessageFile, 'headers' | 'body'>

/** Unified, or empty when nothing changed. */
export function messageDiff(received: Content, result: Content): string {
  const text = (content: Content): string => `${messageLines(content).join('\n')}\n`
  const [before, after] = [text(received), text(result)]
  if (before === after) return ''
  const patch = createTwoFilesPatch('received', 'result', before, after)
  // The first line is a separator that no other diff prints.
  return patch.split('\n').slice(1).map(shownLine).join('\n').trimEnd()
}

const shownLine = (line: ByteString): string => harmless(decodeText(line), 2000)

export function transcriptJson(played: Played, received: MessageFile): object {
  const { steps, settled, result } = played
  return {
    outcome: settled?.outcome ?? null,
    decidedBy: settled?.decidedBy ?? null,
    milliseconds: settled?.milliseconds ?? null,
    steps: steps.map(({ stage, command, verdict, events }) => ({
      stage,
      command: decodeText(command),
      verdict: verdict.kind,
      reply: replyLines(stage, verdict),
      filters: events.flatMap(filterJson),
    })),
    sender: settled === null ? null : decodeText(settled.result?.sender.raw ?? settled.sender),
    recipients: (settled?.result?.recipients.map(({ raw }) => raw) ?? settled?.recipients ?? []).map(decodeText),
    headers: result?.headers.map(({ name, value }) => [decodeText(name), decodeText(value)]) ?? null,
    diff: result === null ? null : messageDiff(received, result),
  }
}

function filterJson(event: HostEvent): object[] {
  if (event.type === 'filter-answered') {
    const { filter, verdict, milliseconds, edits, observed } = event
    return [{ filter, verdict: verdict.kind, milliseconds, edits: edits.map(editText), observed }]
  }
  if (event.type !== 'filter-failed') return []
  const { filter, code, detail, onFailure, milliseconds, observed } = event
  return [{ filter, verdict: null, failed: code, detail, onFailure, milliseconds, observed }]
}
