/**
 * `milterhost enable FILTER` and `milterhost disable FILTER`: a switch that outlasts restarts, in place of `enabled` in the configuration.
 */
import { Command } from 'commander'
import { EXIT, EXIT_HELP, type ExitCode, print, printJson } from './console.ts'
import { forRunning, type RunningOptions, resultOf } from './running.ts'

const NOTE = `
The switch outlasts restarts and reloads; it is in place of the option "enabled" of the configuration, which is read again with
it. Sessions that are open keep the filters they began with. milterhost status shows what was switched.`

export const enableCommand = (done: (code: ExitCode) => void): Command =>
  forRunning(new Command('enable'))
    .description('run a filter of the configuration, now and after restarts')
    .argument('<filter>', 'its name in the configuration')
    .addHelpText('after', `${NOTE}\n\nExamples:\n  milterhost enable greylist\n${EXIT_HELP}`)
    .action(async (filter: string, options: RunningOptions) => done(await turn('enable', filter, options)))

export const disableCommand = (done: (code: ExitCode) => void): Command =>
  forRunning(new Command('disable'))
    .description('leave a filter out of the chain, now and after restarts')
    .argument('<filter>', 'its name in the configuration')
    .addHelpText('after', `${NOTE}\n\nExamples:\n  milterhost disable clamav\n${EXIT_HELP}`)
    .action(async (filter: string, options: RunningOptions) => done(await turn('disable', filter, options)))

async function turn(word: 'enable' | 'disable', filter: string, options: RunningOptions): Promise<ExitCode> {
  const result = await resultOf(options, { do: word, filter })
  if (options.json) printJson(result)
  else if (result.changed) print(`${filter} is ${word}d; configuration ${result.generation} serves.`)
  else print(`${filter} was ${word}d already.`)
  return EXIT.ok
}
