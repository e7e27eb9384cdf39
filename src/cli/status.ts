/**
 * `milterhost status`: the daemon that runs, its configuration, and how each filter is.
 */
import { Command, Option } from 'commander'
import type { FilterStatus, Status } from '../daemon/control/protocol.ts'
import { formatDuration } from '../host/config/duration.ts'
import { harmless } from '../host/observe/safe.ts'
import { changeWords } from '../testing/replay/compare.ts'
import { EXIT, EXIT_HELP, type ExitCode, print, printJson } from './console.ts'
import { forRunning, type RunningOptions, resultOf } from './running.ts'
import { byCommand } from './switched.ts'
import { table } from './table.ts'

interface StatusOptions extends RunningOptions {
  readonly watch?: number | true
}

export const statusCommand = (done: (code: ExitCode) => void): Command =>
  forRunning(new Command('status'))
    .description('show the daemon that runs, its configuration, and how each filter is')
    .addOption(new Option('-w, --watch [seconds]', 'show it again and again').argParser(Number))
    .addHelpText(
      'after',
      `
Counts are since the daemon started. "refused" is what the filter refused, put off, discarded or quarantined; median and p99 are
what one message spent in the filter.

Examples:
  milterhost status
  milterhost status --watch 5
  milterhost status --json | jq -e '.filters | all(.health.state == "up" or .enabled == false)'
${EXIT_HELP}`,
    )
    .action(async (options: StatusOptions) => done(await status(options)))

async function status({ watch, ...options }: StatusOptions): Promise<ExitCode> {
  const seconds = watch === true ? 2 : (watch ?? 0)
  for (;;) {
    const result = await resultOf(options, { do: 'status' })
    const clear = seconds > 0 && process.stdout.isTTY ? '\u001b[2J\u001b[H' : ''
    if (options.json) printJson(result)
    else print(`${clear}${statusText(result)}`)
    if (!(seconds > 0)) return EXIT.ok
    await new Promise(resolve => setTimeout(resolve, seconds * 1000))
  }
}

function statusText(status: Status): string {
  const {
    version,
    pid,
    state,
    uptime,
    listen,
    generation,
    reload,
    sessions,
    generations,
    ignored,
    recording = null,
    shadow = null,
  } = status
  const { failed } = reload
  const older = generations > 1 ? `, ${generations - 1} older ${generations === 2 ? 'has' : 'have'} sessions still` : ''
  const lines = [
    `milterhost ${version}, pid ${pid}, ${state} for ${lasting(uptime)}, listens on ${listen.join(', ') || 'nothing'}`,
    `configuration ${generation}, read ${reload.at} in ${reload.milliseconds} ms${older}`,
    ...(failed === null ? [] : [`the reload at ${failed.at} failed: ${failed.message}`]),
    `${sessions} sessions open; messages: ${counted(status.messages) || 'none yet'}`,
    ...(recording === null ? [] : [recordingText(recording)]),
    ...(shadow === null ? [] : shadowLines(shadow)),
    ...ignored.map(name => `${name} was enabled or disabled by command, and is not in the configuration: ignored`),
  ]
  const { filters } = status
  if (filters.length === 0) return [...lines, '', 'No filters.'].join('\n')
  const reasons = filters
    .filter(({ health }) => health.reason !== null && health.state !== 'up')
    .map(({ name, health }) => `${name} is ${health.state}: ${health.reason}`)
  const head = ['', 'filter', 'kind', 'mode', 'state', 'since', 'messages', 'refused', 'failures', 'median', 'p99']
  return [
    ...lines.map(line =>
      line
        .split('\n')
        .map(each => harmless(each))
        .join('\n'),
    ),
    '',
    table(head, filters.map(row)),
    ...(reasons.length > 0 ? ['', ...reasons.map(line => harmless(line))] : []),
  ].join('\n')
}

function shadowLines({
  file,
  state,
  reason,
  messages,
  different,
  dropped,
  filters,
}: NonNullable<Status['shadow']>): string[] {
  const how = state === 'stopped' ? `stopped (${reason})` : state
  const left = dropped === 0 ? '' : `, ${dropped} sessions left out`
  return [
    `shadow ${file} ${how}: of ${messages} messages ${different} would be different${left}`,
    ...filters.map(({ filter, messages: count, ...change }) => `  ${filter}: ${changeWords(change)} in ${count}`),
  ]
}

function recordingText({ directory, state, reason, sessions, dropped }: NonNullable<Status['recording']>): string {
  const how = state === 'recording' ? 'recording' : `not recording (${state}: ${reason})`
  return `${how} in ${directory}: ${sessions} sessions${dropped === 0 ? '' : `, ${dropped} left out`}`
}

function row(filter: FilterStatus, index: number): string[] {
  const { name, kind, mode, enabled, overridden, health, messages, verdicts, failures, median, p99 } = filter
  const refused = verdicts.reject + verdicts.tempfail + verdicts.discard + verdicts.quarantine
  return [
    String(index + 1),
    name,
    kind,
    `${enabled ? mode : 'off'}${byCommand(overridden)}`,
    health.state,
    health.since ?? '',
    String(messages),
    String(refused),
    String(failures),
    milliseconds(median),
    milliseconds(p99),
  ]
}

const counted = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([what, count]) => `${count} ${what}`)
    .join(', ')

const milliseconds = (value: number | null): string =>
  value === null ? '' : value >= 10 ? `${Math.round(value)} ms` : `${value.toPrecision(2)} ms`

const lasting = (seconds: number): string => formatDuration(Math.max(1, Math.round(seconds)) * 1000)
