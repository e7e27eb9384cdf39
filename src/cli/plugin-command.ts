/**
 * `milterhost NAME …` where NAME is none of our own commands: the command that `milter-plugin-NAME` brings.
 *
 * The package is looked for where the configuration lies, as the configuration itself would import it, and only when its command is
 * asked for: no plugin is loaded for `milterhost --help`. What a package exports is checked before it is used.
 */
import { dirname } from 'node:path'
import { Command } from 'commander'
import { locateConfig, SYSTEM_FOLDER } from '../host/config/locate.ts'
import { suggestion } from '../host/config/problem.ts'
import { hostError } from '../host/errors.ts'
import { harmless } from '../host/observe/safe.ts'
import type { CommandCall, ConfiguredPlugin, PluginCommand, PluginSubcommand } from '../host/plugin/command.ts'
import { ConfigurationSource } from './configuration.ts'
import { complain, EXIT, EXIT_HELP, type ExitCode, print, printProgress } from './console.ts'
import { surroundings } from './environment.ts'
import { lazyDns } from './lazy-dns.ts'
import { Progress } from './progress.ts'

/** Commands that the package of another name brings, under `commands`. */
const ELSEWHERE: Readonly<Record<string, string>> = { dmarc: 'dkim' }

/** The command that `argv` asks for, or `null` when `known` commands are to deal with it. Throws when nobody can. */
export async function pluginCommand(
  argv: readonly string[],
  known: readonly string[],
  done: (code: ExitCode) => void,
): Promise<Command | null> {
  const [name] = argv
  if (name === undefined || !/^[a-z0-9][a-z0-9._-]*$/i.test(name) || [...known, 'help'].includes(name)) return null
  const named = configOption(argv)
  const file = locateConfig(named, [process.cwd(), SYSTEM_FOLDER])
  const folder = file === null ? process.cwd() : dirname(file)
  const source = new ConfigurationSource(named)
  const plugin = ELSEWHERE[name] ?? name
  const module = `milter-plugin-${plugin}/command`
  const exported = await source.importFrom(folder, module)
  if (exported === null) {
    if (suggestion(name, known) !== '') return null
    throw hostError('COMMAND_UNKNOWN', name, `milter-plugin-${plugin}`, folder)
  }
  const entries = async (): Promise<readonly ConfiguredPlugin[]> => {
    const { configuration } = await source.load()
    return configuration.entries.flatMap(({ entry, policy }) =>
      entry.plugin?.name === plugin ? [{ name: policy.name, options: entry.plugin.options }] : [],
    )
  }
  const dns = lazyDns(async () => surroundings((await source.load()).configuration.settings).services.dns)
  return commandOf(
    name,
    readCommand(module, plugin === name ? exported.command : (exported.commands as Exported)?.[name]),
    { entries, dns },
    done,
  )
}

type Exported = Readonly<Record<string, unknown>> | undefined

function commandOf(
  name: string,
  { description, subcommands }: PluginCommand,
  lent: Pick<CommandCall, 'entries' | 'dns'>,
  done: (code: ExitCode) => void,
): Command {
  const command = new Command(name).description(description)
  for (const [subname, { description: what, operands, options, examples, run }] of Object.entries(subcommands)) {
    const sub = command
      .command(operands === undefined ? subname : `${subname} ${operands}`)
      .description(what)
      .option('-c, --config <file>', 'configuration file, or the folder it lies in')
    for (const [flags, meaning] of Object.entries(options ?? {})) sub.option(flags, meaning)
    const shown = examples === undefined ? '' : `\nExamples:\n${examples.map(line => `  ${line}\n`).join('')}`
    sub.addHelpText('after', `${shown}${EXIT_HELP}`)
    sub.action(async () => {
      const terminal = process.stderr.isTTY ? printProgress : null
      const progress = new Progress(terminal, () => performance.now())
      const aside = (write: (text: string) => void) => (text: string) => {
        progress.clear()
        write(lines(text))
      }
      let code: Awaited<ReturnType<typeof run>>
      try {
        code = await run({
          operands: sub.args,
          options: sub.opts<CommandCall['options']>(),
          print: aside(print),
          complain: aside(complain),
          progress: (at, total) => progress.show(at, total),
          ...lent,
          clock: { now: () => Date.now() },
        })
      } finally {
        progress.clear()
      }
      done(code === 1 || code === 2 ? code : EXIT.ok)
    })
  }
  return command
}

/** What comes from mail or from a store may hold anything. */
const lines = (text: string): string =>
  text
    .split('\n')
    .map(line => harmless(line, Number.POSITIVE_INFINITY))
    .join('\n')

function readCommand(module: string, exported: unknown): PluginCommand {
  const refuse = (what: string): never => {
    throw hostError('COMMAND_INVALID', module, what)
  }
  const { description, subcommands } = (exported ?? {}) as Partial<PluginCommand>
  if (typeof description !== 'string') refuse('it must export `command`, with a description')
  if (typeof subcommands !== 'object' || subcommands === null) return refuse('command.subcommands is missing')
  for (const [name, sub] of Object.entries(subcommands as Record<string, Partial<PluginSubcommand> | undefined>))
    if (typeof sub?.run !== 'function' || typeof sub.description !== 'string')
      refuse(`${name} needs a description and a function run`)
  return exported as PluginCommand
}

/** The configuration decides where the package is looked for, before its options can be known. */
function configOption(argv: readonly string[]): string | undefined {
  for (const [index, argument] of argv.entries()) {
    if (argument === '--') return undefined
    if (argument === '-c' || argument === '--config') return argv[index + 1]
    const joined = /^(?:--config=|-c)(.+)$/.exec(argument)
    if (joined !== null) return joined[1]
  }
  return undefined
}
