/**
 * `milterhost reload`: the daemon reads its configuration again; what is wrong with it is told here, and the old one serves on.
 */
import { Command } from 'commander'
import { EXIT, EXIT_HELP, type ExitCode, print, printJson } from './console.ts'
import { forRunning, type RunningOptions, resultOf } from './running.ts'

export const reloadCommand = (done: (code: ExitCode) => void): Command =>
  forRunning(new Command('reload'))
    .description('read the configuration again; a mistake in it is told, and the old one goes on serving')
    .addHelpText(
      'after',
      `
New sessions get the new configuration, those that are open keep the one they began with.

Examples:
  milterhost reload
  milterhost reload --socket /run/milterhost/control.sock
${EXIT_HELP}`,
    )
    .action(async (options: RunningOptions) => done(await reload(options)))

async function reload(options: RunningOptions): Promise<ExitCode> {
  const result = await resultOf(options, { do: 'reload' })
  if (options.json) printJson(result)
  else {
    const { generation, filters, milliseconds } = result
    print(`Configuration ${generation} serves, read in ${milliseconds} ms: ${filters.join(', ') || 'no filters'}.`)
  }
  return EXIT.ok
}
