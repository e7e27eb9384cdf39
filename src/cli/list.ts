/**
 * `milterhost list`: the chain as configured and switched, without making or contacting a filter.
 */
import { Command } from 'commander'
import { formatDuration } from '../host/config/duration.ts'
import type { ConfiguredEntry } from '../host/config/validate.ts'
import type { Selection } from '../host/policy/gate.ts'
import { usersText } from '../host/policy/users.ts'
import { ConfigurationSource } from './configuration.ts'
import { EXIT, EXIT_HELP, type ExitCode, print, printJson } from './console.ts'
import { byCommand, withSwitches } from './switched.ts'
import { table } from './table.ts'

interface ListOptions {
  readonly config?: string
  readonly json?: true
}

export const listCommand = (done: (code: ExitCode) => void): Command =>
  new Command('list')
    .description('list the filters of the configuration; nothing is contacted')
    .option('-c, --config <file>', 'configuration file, or the folder it lies in')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Examples:
  milterhost list
  milterhost list --json | jq '.filters[].name'
${EXIT_HELP}`,
    )
    .action(async (options: ListOptions) => done(await list(options)))

async function list({ config, json }: ListOptions): Promise<ExitCode> {
  const { file, configuration } = await new ConfigurationSource(config).load()
  const { settings, entries } = withSwitches(configuration)
  const listen = settings.listen.map(({ address }) => address)
  if (json) {
    printJson({ file, listen, filters: entries.map(describe) })
    return EXIT.ok
  }
  print(`${file ?? 'default configuration'}, listening on ${listen.join(', ')}\n`)
  if (entries.length === 0) {
    print('No filters.')
    return EXIT.ok
  }
  const rows = entries.map(({ entry, policy, overridden }, index) => [
    String(index + 1),
    policy.name,
    entry.kind,
    `${policy.enabled ? policy.mode : 'off'}${byCommand(overridden)}`,
    policy.onFailure,
    timeoutsText(entry.kind, policy),
    entry.describe,
  ])
  print(table(['', 'filter', 'kind', 'mode', 'on failure', 'timeouts', 'what'], rows))
  return EXIT.ok
}

const describe = ({ entry, policy: { selection, ...policy }, overridden = false }: ConfiguredEntry): object => ({
  ...policy,
  overridden,
  ...(selection !== undefined && selectionJson(selection)),
  kind: entry.kind,
  timeouts: Object.fromEntries(Object.entries(policy.timeouts).map(([name, ms]) => [name, ms / 1000])),
  what: entry.describe,
})

const selectionJson = ({ when, users, recipients, mixed }: Selection): object => ({
  ...(when !== null && { when: when.describe }),
  ...(users !== null && { users: usersText(users) }),
  recipients,
  mixed,
})

/** `10s/30s/5m`: connect, for external milters, command and end. */
export function timeoutsText(
  kind: ConfiguredEntry['entry']['kind'],
  { timeouts }: Pick<ConfiguredEntry['policy'], 'timeouts'>,
): string {
  const { connect, command, end } = timeouts
  return (kind === 'socket' ? [connect, command, end] : [command, end]).map(formatDuration).join('/')
}
