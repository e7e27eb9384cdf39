/**
 * `milterhost sessions` and `milterhost kill SESSION`: the SMTP connections that are open now, and the end of one.
 */
import { Command, Option } from 'commander'
import type { LiveSession } from '../daemon/control/protocol.ts'
import { formatDuration } from '../host/config/duration.ts'
import { EXIT, EXIT_HELP, type ExitCode, print, printJson } from './console.ts'
import { forRunning, type RunningOptions, resultOf } from './running.ts'
import { table } from './table.ts'

interface SessionsOptions extends RunningOptions {
  readonly limit: number
}

export const sessionsCommand = (done: (code: ExitCode) => void): Command =>
  forRunning(new Command('sessions'))
    .description('list the SMTP connections that are open now, those first that wait longest for a filter')
    .addOption(new Option('-n, --limit <number>', 'most to list').default(50).argParser(Number))
    .addHelpText(
      'after',
      `
Columns: how far the session is; the filter it waits for, and how long: "holds" when the filter makes the client wait on
purpose; nothing when it is the client's turn.

Examples:
  milterhost sessions
  milterhost sessions --json --limit 1000 | jq '.sessions[] | select(.waits.seconds > 10)'
${EXIT_HELP}`,
    )
    .action(async (options: SessionsOptions) => done(await sessions(options)))

export const killCommand = (done: (code: ExitCode) => void): Command =>
  forRunning(new Command('kill'))
    .description('end one SMTP session with 421')
    .argument('<session>', 'its id, as milterhost sessions and the log have it')
    .addHelpText(
      'after',
      `
A session that waits for a filter ends at once. To a client whose turn it is nothing can be said: it is told at its next command.

Examples:
  milterhost kill mhx2k4.1f
${EXIT_HELP}`,
    )
    .action(async (session: string, options: RunningOptions) => done(await kill(session, options)))

async function sessions({ limit, ...options }: SessionsOptions): Promise<ExitCode> {
  const result = await resultOf(options, { do: 'sessions', limit })
  if (options.json) {
    printJson(result)
    return EXIT.ok
  }
  if (result.total === 0) print('No sessions.')
  else print(table(['session', 'client', 'helo', 'age', 'stage', 'waits for', 'messages'], result.sessions.map(row)))
  const unlisted = result.total - result.sessions.length
  if (unlisted > 0) print(`\n${unlisted} more.`)
  return EXIT.ok
}

const row = ({ id, client, helo, age, stage, waits, messages }: LiveSession): string[] => [
  id,
  client ?? '',
  helo ?? '',
  lasting(age),
  stage,
  waits === null ? '' : `${waits.filter}, ${waits.held ? 'holds' : waits.stage} ${lasting(waits.seconds)}`,
  String(messages),
]

/** A tenth of a second is as exact as a person wants it. */
const lasting = (seconds: number): string => (seconds < 60 ? `${seconds}s` : formatDuration(Math.round(seconds) * 1000))

async function kill(session: string, options: RunningOptions): Promise<ExitCode> {
  const result = await resultOf(options, { do: 'kill', session })
  if (options.json) printJson(result)
  else if (result.ends === 'now') print(`${session} was ended with 421.`)
  else print(`${session} will be ended with 421 at its next command.`)
  return EXIT.ok
}
