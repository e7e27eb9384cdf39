/**
 * Reads the stream of events into the log: one summary line a message, one line a failure.
 *
 * What a single peer can cause at will (answers that were refused, limits that were reached) is limited in number. What
 * happens within a message is told only at level debug.
 */
import { type ByteString, decodeText } from '../bytes.ts'
import type { Client } from '../events.ts'
import type { HealthState } from '../filter.ts'
import type { Clock } from '../time/clock.ts'
import type { SmtpReply, Verdict } from '../verdict.ts'
import type { HostEvent, Observer } from './event.ts'
import { JunkFilter } from './junk.ts'
import type { Logger } from './logger.ts'

/** Recipients named in a summary line; the rest are counted. */
const NAMED = 5
const DETAILS: ReadonlySet<HostEvent['type']> = new Set(['session-opened', 'session-closed', 'filter-answered'])

const HEALTH_WORDS: Readonly<Record<HealthState, string>> = {
  unknown: 'is not known yet',
  up: 'is up',
  failing: 'fails',
  down: 'is down',
  starting: 'is being started',
  wedged: 'is wedged',
}

/** `detailed`: whether lines of level debug are written at all; to make them up costs more than to write the others. */
export function logEvents(log: Logger, clock: Clock, detailed: () => boolean): Observer {
  const junk = new JunkFilter(clock)
  const seldom = (kind: string, fields: object, message: string): void => {
    const unsaid = junk.admit(kind)
    if (unsaid !== null) log.warn(unsaid === 0 ? fields : { ...fields, unsaid }, message)
  }
  return event => {
    if (DETAILS.has(event.type) && !detailed()) return
    const { session } = event
    const where = event.message === null ? { session } : { session, message: event.message }
    switch (event.type) {
      case 'session-opened':
        return log.debug({ ...where, client: clientText(event.client), mta: event.mta }, 'session opened')
      case 'session-closed':
        return log.debug({ ...where, messages: event.messages, ms: rounded(event.milliseconds) }, 'session closed')
      case 'filter-answered': {
        const { filter, stage, verdict, edits, observed } = event
        const fields = { ...where, filter, stage, ...verdictFields(verdict), ms: rounded(event.milliseconds) }
        const more = { ...(edits.length > 0 ? { edits: edits.length } : {}), ...(observed ? { observed } : {}) }
        return log.debug({ ...fields, ...more }, 'filter answered')
      }
      case 'filter-failed': {
        const { filter, stage, code, detail, onFailure, observed } = event
        const fields = { ...where, filter, stage, code, onFailure, ms: rounded(event.milliseconds) }
        return log.error(observed ? { ...fields, observed } : fields, `filter failed: ${detail}`)
      }
      case 'answer-refused': {
        const fields = { ...where, filter: event.filter, stage: event.stage }
        return seldom(`refused ${event.filter}`, fields, `answer of a filter dropped: ${event.detail}`)
      }
      case 'condition-decided': {
        const { filter, stage, recipient, takesPart, by } = event
        const whom = recipient === null ? {} : { to: decodeText(recipient) }
        return log.debug({ ...where, filter, stage, ...whom, takesPart, by }, 'condition decided')
      }
      case 'condition-failed': {
        const { filter, condition, detail, used } = event
        const fields = { ...where, filter, condition, ...(used === null ? {} : { used }) }
        return seldom(`condition ${filter} ${condition}`, fields, `a condition failed: ${detail}`)
      }
      case 'client-left': {
        const client = event.client === null ? {} : { client: clientText(event.client) }
        const fields = { ...where, ...client, filter: event.awaited, ms: rounded(event.milliseconds) }
        return log.info(fields, 'client left')
      }
      case 'health-changed': {
        const { filter, state, was, reason, milliseconds } = event
        const fields = { filter, state, was, seconds: Math.round(milliseconds / 1000) }
        const words = `external milter ${HEALTH_WORDS[state]}: ${reason}`
        return state === 'up' || state === 'starting' ? log.info(fields, words) : log.warn(fields, words)
      }
      case 'limit-reached':
        return seldom(event.code, { ...where, code: event.code }, event.detail)
      case 'message-settled':
        return log.info(summary(event), 'message')
    }
  }
}

type Settled = Extract<HostEvent, { readonly type: 'message-settled' }>

function summary(event: Settled): object {
  const { recipients, decidedBy, verdict } = event
  const reply = 'reply' in verdict ? verdict.reply : null
  return {
    ...(event.queueId === null ? {} : { queue: decodeText(event.queueId) }),
    message: event.message,
    session: event.session,
    ...(event.client === null ? {} : { client: clientText(event.client) }),
    ...(event.helo === null ? {} : { helo: decodeText(event.helo) }),
    from: decodeText(event.sender),
    to: recipients.slice(0, NAMED).map(decodeText),
    recipients: recipients.length,
    size: event.size,
    verdict: event.outcome,
    ...(reply === null ? {} : { reply: replyText(reply) }),
    ...(decidedBy === null ? {} : { by: decidedBy }),
    ms: rounded(event.milliseconds),
    filters: Object.fromEntries([...event.timings].map(([name, spent]) => [name, rounded(spent)])),
  }
}

/** `mail.example.org[192.0.2.1]`, as Postfix writes it. */
export function clientText(client: Client): string {
  if (client.family === 'unknown') return 'unknown'
  const name = decodeText(client.hostname)
  return name.startsWith('[') ? name : `${name}[${decodeText(client.address)}]`
}

/** One line, as SMTP would say it. */
export const replyText = (reply: SmtpReply): string =>
  [String(reply.code), ...(reply.enhanced === null ? [] : [reply.enhanced]), ...reply.lines.map(decodeText)].join(' ')

function verdictFields(verdict: Verdict): object {
  if (verdict.kind === 'quarantine') return { verdict: verdict.kind, reason: decodeText(verdict.reason) }
  const reply: { readonly reply: ByteString } | object =
    'reply' in verdict && verdict.reply !== null ? { reply: replyText(verdict.reply) } : {}
  return { verdict: verdict.kind, ...reply }
}

const rounded = (milliseconds: number): number => Math.round(milliseconds * 10) / 10
