/**
 * Who takes part in a message and why, as data, as text and as JSON. Made from what the real chain did with stand-ins for the filters.
 */
import type { Surroundings } from '../daemon/generation.ts'
import { decodeText } from '../host/bytes.ts'
import { formatDuration } from '../host/config/duration.ts'
import type { Configuration } from '../host/config/validate.ts'
import type { HostEvent } from '../host/observe/event.ts'
import { harmless } from '../host/observe/safe.ts'
import type { Found } from '../host/policy/lookup.ts'
import { type Envelope, play } from './conversation.ts'
import type { MessageFile } from './message-file.ts'
import { type Assumed, type Heard, standIns } from './stand-ins.ts'
import { byCommand } from './switched.ts'
import { replyLines } from './transcript.ts'

/** One filter and one recipient. */
export interface RecipientExplanation {
  readonly recipient: string
  /** `null`: the message or this recipient was refused before it came to that. */
  readonly takesPart: boolean | null
  /** When it was decided; `null` where nothing had to be. */
  readonly stage: string | null
  /** The conditions that settled it. */
  readonly because: readonly string[]
  readonly lookups: readonly Found<unknown>[]
}

export interface FilterExplanation {
  readonly name: string
  /** Where it stands in the configuration: `filters[2]`. */
  readonly at: string
  readonly enabled: boolean
  /** `enabled` comes from a command, and the configuration says otherwise. */
  readonly overridden: boolean
  /** Its whole condition; `null`: for all mail. */
  readonly condition: string | null
  readonly recipients: readonly RecipientExplanation[]
  /** Conditions that failed. */
  readonly failures: readonly string[]
}

export interface Explanation {
  readonly filters: readonly FilterExplanation[]
  /** Commands that were not simply accepted. */
  readonly refusals: readonly { readonly command: string; readonly reply: string }[]
}

type DecidedEvent = Extract<HostEvent, { readonly type: 'condition-decided' }>

export async function explain(
  configuration: Configuration,
  envelope: Envelope,
  message: MessageFile,
  around: Surroundings,
  assumed: Assumed = { verdicts: new Map(), results: new Map() },
): Promise<Explanation> {
  const heard = new Map<string, Heard>()
  const conditions = new Map<string, string>()
  const played = await play(configuration, envelope, message, around, async (...given) => {
    const filters = await standIns(...given, assumed, heard)
    for (const { policy, gate } of filters) if (gate) conditions.set(policy.name, gate.condition.describe)
    return filters
  })
  const events = played.steps.flatMap(step => step.events)
  const went = new Set(
    played.steps.flatMap(step => (step.verdict.kind === 'continue' ? [decodeText(step.command)] : [])),
  )
  const whole = played.settled?.outcome === 'accept' || played.settled?.outcome === 'quarantine'
  return {
    filters: configuration.entries.map(({ policy: { name, enabled }, at = '', overridden = false }) => ({
      name,
      at,
      enabled,
      overridden,
      condition: conditions.get(name) ?? null,
      recipients: enabled
        ? envelope.to.map(to =>
            recipientOf(to, heard.get(name)!, events, name, whole && went.has(`RCPT TO:${pathOf(to)}`)),
          )
        : [],
      failures: events.flatMap(event =>
        event.type === 'condition-failed' && event.filter === name ? [`${event.condition}: ${event.detail}`] : [],
      ),
    })),
    refusals: played.steps.flatMap(({ command, stage, verdict }) =>
      verdict.kind === 'continue' || verdict.kind === 'accept'
        ? []
        : [{ command: decodeText(command), reply: replyLines(stage, verdict).join(' ') }],
    ),
  }
}

function recipientOf(
  to: string,
  heard: Heard,
  events: readonly HostEvent[],
  filter: string,
  delivered: boolean,
): RecipientExplanation {
  const path = pathOf(to)
  const decisions = events.filter(
    (event): event is DecidedEvent =>
      event.type === 'condition-decided' &&
      event.filter === filter &&
      (event.recipient === null || decodeText(event.recipient) === path),
  )
  // What was decided of the client is decided again for each message: the first time is when it was known.
  const last = decisions.at(-1)
  const decision = decisions.find(({ takesPart, by }) => takesPart === last?.takesPart && by.join() === last.by.join())
  const told = heard.recipients.has(path)
  return {
    recipient: to,
    takesPart: told ? true : delivered ? false : decision?.takesPart === false ? false : null,
    stage: decision?.stage ?? null,
    because: decision?.by ?? [],
    lookups: decision?.found ?? [],
  }
}

const pathOf = (address: string): string => (address.startsWith('<') ? address : `<${address}>`)

export function explanationText({ filters, refusals }: Explanation): string {
  const lines: string[] = []
  for (const [index, filter] of filters.entries()) {
    const { name, at, enabled, overridden, condition, recipients, failures } = filter
    const switched = overridden ? `: ${enabled ? 'on' : 'off'}${byCommand(overridden)}` : enabled ? '' : ': off'
    lines.push(`${index + 1}. ${name} (${at})${switched}`)
    if (!enabled) continue
    lines.push(`   for ${condition === null ? 'all mail' : harmless(condition)}`)
    for (const one of recipients)
      lines.push(`   ${harmless(one.recipient)}: ${verdictText(one)}`, ...one.lookups.map(foundText))
    for (const failure of failures) lines.push(`   failed: ${harmless(failure)}`)
  }
  for (const { command, reply } of refusals) lines.push(`${harmless(command)} is answered: ${harmless(reply)}`)
  return lines.join('\n')
}

function verdictText({ takesPart, stage, because }: RecipientExplanation): string {
  const answer = takesPart === null ? 'refused before it came to that' : takesPart ? 'takes part' : 'does not take part'
  if (stage === null) return answer
  return `${answer}; known at ${stage}${because.length === 0 ? '' : ` by ${harmless(because.join(', '))}`}`
}

function foundText({ source, key, value, from, age, error }: Found<unknown>): string {
  const text = value === null ? 'nothing' : harmless(JSON.stringify(value) ?? String(value))
  const origin = from === 'source' ? 'asked just now' : `${from}, ${formatDuration(Math.round(age / 1000) * 1000)} old`
  return `     ${harmless(source)}: ${text} under ${harmless(JSON.stringify(key))} (${origin}${error === undefined ? '' : `; ${harmless(error.message)}`})`
}

/** Errors as their text. */
export const explanationJson = (file: string | null, { filters, refusals }: Explanation): object => ({
  file,
  filters: filters.map(filter => ({
    ...filter,
    recipients: filter.recipients.map(one => ({
      ...one,
      lookups: one.lookups.map(found => ({
        ...found,
        ...(found.error === undefined ? {} : { error: found.error.message }),
      })),
    })),
  })),
  refusals,
})
