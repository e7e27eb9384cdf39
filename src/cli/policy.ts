/**
 * `milterhost policy`: shows and changes the central policy where it can be written (SQL, Redis, a YAML or JSON file), and prints the table that
 * an SQL database needs for it.
 *
 * It speaks to the source that `policy:` of the configuration names, not to the daemon, which sees a change when its cached answer has
 * expired, or at once where it watches a file.
 */
import { Command, Option } from 'commander'
import { encodeText } from '../host/bytes.ts'
import { suggestion } from '../host/config/problem.ts'
import { hostError } from '../host/errors.ts'
import { EnvelopeAddress } from '../host/plugin/address.ts'
import { isLookupEntry, type PolicyStore } from '../host/policy/lookup.ts'
import { recipientKeys } from '../host/policy/recipient-keys.ts'
import { readSwitch, readSwitches, type Switch, type Switches } from '../host/policy/switches.ts'
import { createPolicy, POLICY_TABLE, TABLE_NAME } from '../lookups/sql/policy-table.ts'
import { ConfigurationSource } from './configuration.ts'
import { EXIT, EXIT_HELP, type ExitCode, print, printJson } from './console.ts'
import { surroundings } from './environment.ts'
import { table } from './table.ts'

interface Options {
  readonly config?: string
  readonly json?: true
}

const DIALECTS = ['postgres', 'mysql', 'mariadb', 'sqlite'] as const

export function policyCommand(done: (code: ExitCode) => void): Command {
  const command = (name: string, description: string): Command =>
    new Command(name)
      .description(description)
      .option('-c, --config <file>', 'configuration file, or the folder it lies in')
  const run =
    <A extends unknown[]>(action: (...given: A) => Promise<ExitCode>) =>
    async (...given: A): Promise<void> =>
      done(await action(...given))
  return new Command('policy')
    .description('show and change which filters are on for whom, where the source of the policy can be written')
    .addCommand(
      new Command('init')
        .description('print what a database needs for the policy')
        .addOption(
          new Option('--sql [product]', 'the statements that make the table').choices(DIALECTS).preset('postgres'),
        )
        .option('--table <name>', 'name of the table', POLICY_TABLE)
        .action(run(init)),
    )
    .addCommand(
      command('get', 'show what holds for a recipient, a domain, or * for everybody')
        .argument('<recipient>')
        .option('--json', 'print JSON')
        .action(run(get)),
    )
    .addCommand(
      command('set', 'set filters on or off; what is not named stays')
        .argument('<recipient>', 'an address, a domain, or * for everybody')
        .argument('[filter=value...]', 'on, off, default (nothing is said here), or options as a JSON object')
        .option('--remove', 'take the recipient out of the policy')
        .action(run(set)),
    )
    .addCommand(command('list', 'list the whole policy').option('--json', 'print JSON').action(run(list)))
    .addHelpText(
      'after',
      `
Examples:
  milterhost policy init --sql mariadb | mariadb mail
  milterhost policy set user@example.org greylist=off
  milterhost policy set example.net greylist=default spf=on
  milterhost policy get user@example.org
  milterhost policy list --json
${EXIT_HELP}`,
    )
}

async function init({
  sql,
  table: name,
}: {
  readonly sql?: (typeof DIALECTS)[number]
  readonly table: string
}): Promise<ExitCode> {
  if (sql === undefined) throw hostError('POLICY_COMMAND', 'init prints nothing without --sql')
  if (!TABLE_NAME.test(name)) throw hostError('POLICY_COMMAND', `${JSON.stringify(name)} cannot be the name of a table`)
  print(createPolicy(sql === 'mariadb' ? 'mysql' : sql, name).trimEnd())
  return EXIT.ok
}

async function get(recipient: string, { config, json }: Options): Promise<ExitCode> {
  return withStore(config, async store => {
    for (const key of keysOf(recipient)) {
      const value = await store.get(key)
      if (value === null) continue
      const switches = read(key, value)
      if (json) printJson({ recipient, key, filters: switches })
      else print(`${key === recipient.toLowerCase() ? key : `${recipient}, as ${key}`}: ${words(switches)}`)
      return EXIT.ok
    }
    if (json) printJson({ recipient, key: null, filters: {} })
    else print(`${recipient}: the policy says nothing, so every filter is on`)
    return EXIT.ok
  })
}

async function set(
  recipient: string,
  given: readonly string[],
  { config, remove }: Options & { readonly remove?: true },
): Promise<ExitCode> {
  if (remove ? given.length > 0 : given.length === 0) {
    throw hostError('POLICY_COMMAND', 'set needs either filter=value, or --remove')
  }
  return withStore(config, async (store, filters) => {
    const key = recipient.toLowerCase()
    if (remove) {
      await store.set(key, null)
      print(`${key} is not in the policy any more`)
      return EXIT.ok
    }
    const before = await store.get(key)
    const switches = new Map<string, Switch>(before === null ? [] : Object.entries(read(key, before)))
    for (const text of given) change(switches, text, filters)
    await store.set(key, switches.size === 0 ? null : Object.fromEntries(switches))
    print(`${key}: ${words(Object.fromEntries(switches))}`)
    return EXIT.ok
  })
}

async function list({ config, json }: Options): Promise<ExitCode> {
  return withStore(config, async store => {
    const all: [string, Switches][] = []
    for await (const [key, value] of store.list()) all.push([key, read(key, value)])
    if (json) printJson(Object.fromEntries(all))
    else if (all.length === 0) print('The policy is empty: every filter is on for everybody.')
    else
      print(
        table(
          ['recipient', 'filters'],
          all.map(([key, switches]) => [key, words(switches)]),
        ),
      )
    return EXIT.ok
  })
}

function change(switches: Map<string, Switch>, text: string, filters: readonly string[]): void {
  const [, filter, value] = /^([^=]+)=(.*)$/s.exec(text) ?? []
  if (filter === undefined || value === undefined) {
    throw hostError('POLICY_COMMAND', `${JSON.stringify(text)} is not filter=value, as greylist=off`)
  }
  if (value === 'default') {
    switches.delete(filter)
    return
  }
  // Taking out a filter that is configured no more must stay possible; adding one is a slip of the hand.
  if (!filters.includes(filter)) {
    throw hostError(
      'POLICY_COMMAND',
      `the configuration has no filter ${JSON.stringify(filter)}${suggestion(filter, filters)}`,
    )
  }
  try {
    switches.set(filter, readSwitch(value))
  } catch (error) {
    throw hostError('POLICY_COMMAND', `${filter} ${(error as RangeError).message}`)
  }
}

/** Runs with the store of the configured policy and the names of the filters; closes it in the end. */
async function withStore(
  config: string | undefined,
  use: (store: PolicyStore, filters: readonly string[]) => Promise<ExitCode>,
): Promise<ExitCode> {
  const { configuration } = await new ConfigurationSource(config).load()
  const { policy, entries } = configuration
  if (!isLookupEntry(policy)) {
    const what =
      policy === undefined ? 'the configuration has no policy' : 'the policy stands in the configuration itself'
    throw hostError('POLICY_COMMAND', `${what}: there is nothing that a command could read and write`)
  }
  if (policy.edit === undefined) {
    throw hostError(
      'POLICY_COMMAND',
      `the policy comes from ${policy.describe}, which a command cannot write: it can be sql(url), redis(url), or file() of YAML or JSON`,
    )
  }
  const { clock, log, services } = surroundings(configuration.settings)
  const store = await policy.edit({ clock, log, metrics: services.metrics })
  try {
    return await use(
      store,
      entries.map(entry => entry.policy.name),
    )
  } finally {
    await store.close()
  }
}

/** Under which keys a recipient is looked up; a domain and `*` are keys of their own. */
function keysOf(recipient: string): readonly string[] {
  if (!recipient.includes('@'))
    return recipientKeys({ local: '', domain: recipient }).filter(key => !key.startsWith('@'))
  return recipientKeys(new EnvelopeAddress(encodeText(recipient)))
}

function read(key: string, value: unknown): Switches {
  try {
    return readSwitches(value)
  } catch (error) {
    throw hostError('LOOKUP_VALUE', 'policy', key, (error as RangeError).message)
  }
}

const words = (switches: Switches): string =>
  Object.entries(switches)
    .map(([filter, on]) => `${filter}=${typeof on === 'object' ? JSON.stringify(on) : on ? 'on' : 'off'}`)
    .join(' ') || 'nothing, so every filter is on'
