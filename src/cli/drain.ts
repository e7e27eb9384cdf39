/**
 * `milterhost drain`: the daemon takes no new mail, finishes what runs, and ends; the command waits for that.
 */
import { Command } from 'commander'
import { systemClock } from '../host/time/clock.ts'
import { within } from '../host/time/within.ts'
import { EXIT, EXIT_HELP, type ExitCode, print, printJson } from './console.ts'
import { askRunning, forRunning, type RunningOptions } from './running.ts'

/** The daemon itself takes 30 s at most; a filter's own closing comes on top. */
const PATIENCE = 60_000

export const drainCommand = (done: (code: ExitCode) => void): Command =>
  forRunning(new Command('drain'))
    .description('end the daemon when its running messages are done; waits until it has ended')
    .addHelpText(
      'after',
      `
Nothing new is taken; running messages have 25 s, and what is not done then is told 451 by the MTA. As SIGTERM.

Examples:
  milterhost drain && apt-get upgrade
${EXIT_HELP}`,
    )
    .action(async (options: RunningOptions) => done(await drain(options)))

async function drain(options: RunningOptions): Promise<ExitCode> {
  const { result, ended } = await askRunning(options, { do: 'drain' })
  if (!options.json) print(`Ending; ${result.sessions} SMTP sessions are open.`)
  await within(PATIENCE, systemClock, () => ended)
  if (options.json) printJson({ ...result, ended: true })
  else print('Ended.')
  return EXIT.ok
}
