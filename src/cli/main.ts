/**
 * The command `milterhost`: reads the command line, runs one command, ends with its exit code.
 *
 * Errors with a code are for the postmaster and printed without a stack; others are bugs and keep it.
 */
import { Command, CommanderError } from 'commander'
import { installation } from '../host/config/installation.ts'
import { checkCommand } from './check.ts'
import { complain, EXIT, EXIT_HELP, type ExitCode } from './console.ts'
import { detectCommand } from './detect.ts'
import { devCommand } from './dev.ts'
import { doctorCommand } from './doctor.ts'
import { drainCommand } from './drain.ts'
import { explainCommand } from './explain.ts'
import { importCommand } from './import.ts'
import { initCommand } from './init.ts'
import { listCommand } from './list.ts'
import { livenessAgentCommand } from './liveness-agent.ts'
import { pluginCommand } from './plugin-command.ts'
import { pluginsCommand } from './plugins.ts'
import { policyCommand } from './policy.ts'
import { reloadCommand } from './reload.ts'
import { replayCommand } from './replay.ts'
import { restartCommand } from './restart.ts'
import { runCommand } from './run.ts'
import { killCommand, sessionsCommand } from './sessions.ts'
import { statusCommand } from './status.ts'
import { disableCommand, enableCommand } from './switch.ts'
import { testCommand } from './test.ts'
import { tryCommand } from './try.ts'

// Node opens its debugger on SIGUSR1 unless somebody listens to it: a port that runs any code is no place for a mail filter.
process.on('SIGUSR1', () => {})

/** Codes, and beginnings of codes, that say the command line or a file named on it is wrong. */
const USAGE_FAMILIES: readonly string[] = [
  'CONFIG_',
  'DEV_',
  'DOCTOR_',
  'IMPORT_',
  'OUTPUT_',
  'REPLAY_',
  'SCENARIO_INVALID',
  'SCENARIO_UNREADABLE',
]
const USAGE: ReadonlySet<string> = new Set([
  'AGENT_OPTIONS',
  'COMMAND_UNKNOWN',
  'CONTROL_FILTER',
  'FILTER_NOT_CREATED',
  'MESSAGE_UNREADABLE',
  'POLICY_COMMAND',
  'ZONE_UNREADABLE',
])

const PLUGIN_HELP = `
A plugin may bring a command of its own: milterhost NAME is run by the package milter-plugin-NAME.`

export async function main(argv: readonly string[]): Promise<ExitCode> {
  let code: ExitCode = EXIT.ok
  const done = (result: ExitCode): void => {
    code = result
  }
  const program = new Command('milterhost')
    .description('One milter to Postfix and Sendmail, many filters behind it in one ordered chain')
    .version(installation().version, '-V, --version')
    .addCommand(runCommand(done))
    .addCommand(checkCommand(done))
    .addCommand(listCommand(done))
    .addCommand(initCommand(done))
    .addCommand(doctorCommand(done))
    .addCommand(importCommand(done))
    .addCommand(detectCommand(done))
    .addCommand(tryCommand(done))
    .addCommand(testCommand(done))
    .addCommand(devCommand(done))
    .addCommand(replayCommand(done))
    .addCommand(pluginsCommand(done))
    .addCommand(policyCommand(done))
    .addCommand(explainCommand(done))
    .addCommand(livenessAgentCommand(done))
    .addCommand(statusCommand(done))
    .addCommand(reloadCommand(done))
    .addCommand(enableCommand(done))
    .addCommand(disableCommand(done))
    .addCommand(restartCommand(done))
    .addCommand(sessionsCommand(done))
    .addCommand(killCommand(done))
    .addCommand(drainCommand(done))
    .addHelpText('after', PLUGIN_HELP)
    .addHelpText('after', EXIT_HELP)
    .showHelpAfterError('(add --help for what there is)')
  // Waiting for a configuration or a plugin must not end the process because nothing else is going on.
  const awake = setInterval(() => {}, 60_000)
  try {
    const known = program.commands.map(command => command.name())
    const added = await pluginCommand(argv, known, done)
    if (added !== null) program.addCommand(added)
    for (const command of [program, ...program.commands, ...program.commands.flatMap(({ commands }) => commands)])
      command.exitOverride().configureOutput({ writeErr: text => complain(text.trimEnd()) })
    await program.parseAsync(argv, { from: 'user' })
    return code
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
    const { code, message, stack } = error as {
      readonly code?: string
      readonly message: string
      readonly stack?: string
    }
    if (code === undefined) {
      complain(`milterhost: ${stack ?? message}`)
      return EXIT.failed
    }
    complain(`milterhost: ${message}`)
    return USAGE_FAMILIES.some(family => code.startsWith(family)) || USAGE.has(code) ? EXIT.usage : EXIT.failed
  } finally {
    clearInterval(awake)
  }
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)))
