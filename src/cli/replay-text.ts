/**
 * What a replay found, as text: a summary, the counts for each filter, and the messages. Pure.
 */
import { harmless } from '../host/observe/safe.ts'
import { changeWords, type MessageChange } from '../testing/replay/compare.ts'
import type { MessageOutcome } from '../testing/replay/outcome.ts'
import type { Changed, FilterCount } from '../testing/replay/report.ts'
import type { Unreadable } from './recordings.ts'
import { table } from './table.ts'

export interface ReplayResult {
  readonly sessions: number
  readonly messages: number
  readonly counts: readonly FilterCount[]
  readonly changed: readonly Changed[]
  readonly unreadable: readonly Unreadable[]
  /** By filter: sessions in which it was asked what it was not asked then. */
  readonly unknowns: ReadonlyMap<string, number>
}

export function replayText({ sessions, messages, counts, changed, unreadable, unknowns }: ReplayResult): string {
  const lines = [
    `${sessions} sessions with ${messages} messages were played; ${changed.length === 0 ? 'nothing is different' : `${changed.length} are different`}`,
    ...[...unknowns].map(
      ([filter, count]) =>
        `${filter} was asked in ${count} sessions what it was not asked when they were recorded: taken to have no opinion (--live asks it)`,
    ),
    ...unreadable.map(({ file, why }) => `left out: ${file}: ${why}`),
  ].map(line => harmless(line))
  if (counts.length > 0) {
    const rows = counts.map(({ filter, from, to, messages: count }) => [
      filter,
      from,
      from === to ? `${to}, with other changes` : to,
      String(count),
    ])
    lines.push('', table(['filter', 'from', 'to', 'messages'], rows))
  }
  for (const change of changed) lines.push('', ...changeLines(change).map(line => harmless(line, 2_000)))
  return lines.join('\n')
}

function changeLines(change: Changed): string[] {
  return [`${change.file}  ${whose(change)}`, ...whatOf(change).map(line => `  ${line}`)]
}

const whose = ({ sender, recipients }: MessageChange): string =>
  sender === null ? 'the connection' : `${sender} to ${recipients.join(', ') || 'nobody'}`

/** A line for each thing that is different. */
export function whatOf({ outcome, answers, filters }: MessageChange): string[] {
  return [
    ...(outcome === null ? [] : [`${outcomeText(outcome.from)} → ${outcomeText(outcome.to)}`]),
    ...answers.map(({ recipient, from, to }) => `${recipient}: ${from} → ${to}`),
    ...filters.flatMap(({ filter, edits, ...change }) => [
      `${filter}: ${changeWords(change)}`,
      ...edits.map(edit => `  ${edit}`),
    ]),
  ]
}

const outcomeText = ({ verdict, reply, by }: MessageOutcome): string =>
  [verdict, ...(reply === null ? [] : [reply]), ...(by === null ? [] : [`by ${by}`])].join(' ')
