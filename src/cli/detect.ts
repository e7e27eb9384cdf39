/**
 * `milterhost detect`: the milters of this machine, or of one whose files lie below `--root`, with the file and line each fact
 * comes from; as a table, as JSON, or as a configuration to paste. Contacts and starts nothing.
 */
import { Command, Option } from 'commander'
import {
  type Detection,
  detect,
  detectRoot,
  type FoundMilter,
  inUse,
  type Source,
  sourceText,
} from '../bridge/detect/index.ts'
import { complain, EXIT, EXIT_HELP, type ExitCode, print, printJson } from './console.ts'
import { detectedConfig } from './detected-config.ts'
import { table } from './table.ts'

interface DetectOptions {
  readonly root?: string
  readonly json?: true
  readonly configuration?: true
}

export const detectCommand = (done: (code: ExitCode) => void): Command =>
  new Command('detect')
    .description('find the milters installed on this machine; nothing is contacted or started')
    .option('--root <folder>', 'where the file system to look at begins')
    .addOption(new Option('--json', 'print JSON').conflicts('configuration'))
    .option('--configuration', 'print a configuration to paste')
    .addHelpText(
      'after',
      `
What a configuration takes up with ...detected() are those that are in use.

Examples:
  milterhost detect
  milterhost detect --json | jq '.milters[] | {name, address: .address.value}'
  milterhost detect --root /mnt/image --configuration
${EXIT_HELP}`,
    )
    .action((options: DetectOptions) => done(run(options)))

function run({ root = detectRoot(), json, configuration }: DetectOptions): ExitCode {
  const found = detect(root)
  if (json) {
    printJson({
      root,
      milters: found.milters.map(milter => ({ ...milter, used: inUse(milter) })),
      warnings: found.warnings,
    })
    return EXIT.ok
  }
  if (configuration) print(detectedConfig(found.milters))
  else print(text(found))
  for (const { file, line, what } of found.warnings) complain(`warning: ${sourceText({ file, line })}: ${what}`)
  return EXIT.ok
}

function text({ milters }: Detection): string {
  if (milters.length === 0) return 'No milter was found.'
  const rows = milters.map(milter => [
    milter.name,
    state(milter),
    milter.address.value,
    milter.user?.value ?? '',
    timesText(milter),
    milter.condition === 'remote' ? 'remote mail' : 'all mail',
    milter.onFailure,
    milter.launch === null ? '' : Object.entries(milter.launch.value).flat().join(' '),
  ])
  const head = ['milter', 'state', 'socket', 'user', 'timeouts', 'for', 'on failure', 'started by']
  return `${table(head, rows)}\n\n${milters.map(sources).join('\n')}`
}

const state = (milter: FoundMilter): string =>
  milter.idle !== null ? 'idle' : milter.enabled.value ? 'in use' : 'not enabled'

const timesText = ({ timeouts }: FoundMilter): string =>
  Object.entries(timeouts)
    .map(([stage, { value }]) => `${stage} ${value}s`)
    .join(' ')

/** Where each fact of one milter stands. */
function sources(milter: FoundMilter): string {
  const facts: [string, { readonly source: Source | null } | null][] = [
    ['socket', milter.address],
    ['enabled', milter.enabled],
    [`idle, ${milter.idle?.value}`, milter.idle],
    ['user', milter.user],
    ['group', milter.group],
    ['pid file', milter.pidFile],
    ['start', milter.launch],
    ...Object.entries(milter.timeouts).map(([stage, fact]): [string, { source: Source | null }] => [
      `timeout ${stage}`,
      fact,
    ]),
  ]
  const rows = facts.flatMap(([what, fact]) =>
    fact === null
      ? []
      : [`  ${what}: ${fact.source === null ? `the default of ${milter.title}` : sourceText(fact.source)}`],
  )
  return `${milter.name} (${milter.title})\n${rows.join('\n')}`
}
