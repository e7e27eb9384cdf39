/**
 * `milterhost restart FILTER`: the external milter behind a filter is started anew, by whoever milterhost starts it with.
 */
import { Command } from 'commander'
import { EXIT, EXIT_HELP, type ExitCode, print, printJson } from './console.ts'
import { forRunning, type RunningOptions, resultOf } from './running.ts'

export const restartCommand = (done: (code: ExitCode) => void): Command =>
  forRunning(new Command('restart'))
    .description('restart the external milter behind a filter')
    .argument('<filter>', 'its name in the configuration')
    .addHelpText(
      'after',
      `
A plugin is no process of its own: milterhost reload makes it anew.

Examples:
  milterhost restart clamav
${EXIT_HELP}`,
    )
    .action(async (filter: string, options: RunningOptions) => done(await restart(filter, options)))

async function restart(filter: string, options: RunningOptions): Promise<ExitCode> {
  const result = await resultOf(options, { do: 'restart', filter })
  if (options.json) printJson(result)
  else print(`${filter} was restarted.`)
  return EXIT.ok
}
