/**
 * `milterhost test FILE…`: plays scenario files through the configured chain, through any milter at a socket, or through a running MTA,
 * and says which expectations were not met.
 *
 * In this process plugins keep their state in a folder of its own for each scenario, so that a test neither needs nor touches what the
 * daemon has learned; stores that the configuration names by itself are used as they are.
 */
import { Command, InvalidArgumentError, Option } from 'commander'
import { socket } from '../bridge/milter/index.ts'
import { validateConfig } from '../host/config/validate.ts'
import { harmless } from '../host/observe/safe.ts'
import { playScenario } from '../testing/scenario/play.ts'
import type { Scenario, ScenarioResult, ScenarioStage } from '../testing/scenario/scenario.ts'
import { failureLines, readScenarios } from '../testing/scenario/scenarios.ts'
import { smtpStage } from '../testing/scenario/smtp-stage.ts'
import { ConfigurationSource } from './configuration.ts'
import { EXIT, EXIT_HELP, type ExitCode, print, printJson } from './console.ts'
import { Maildir } from './maildir.ts'
import { chainStages } from './scenario-chain.ts'
import { Strays } from './strays.ts'

interface TestCommandOptions {
  readonly config?: string
  readonly socket?: string
  readonly smtp?: { readonly host: string; readonly port: number }
  readonly mta?: 'postfix' | 'sendmail'
  readonly xclient?: true
  readonly maildir?: string
  readonly only?: readonly string[]
  readonly json?: true
}

type Stages = (scenario: Scenario) => Promise<ScenarioStage>

export const testCommand = (done: (code: ExitCode) => void): Command =>
  new Command('test')
    .description('play scenario files through the filters and check what is expected in them')
    .argument('<file...>', 'scenario files')
    .option('-c, --config <file>', 'configuration file, or the folder it lies in')
    .addOption(new Option('-s, --socket <address>', 'through the one milter at this address').conflicts('config'))
    .addOption(
      new Option('--smtp <host:port>', 'through the MTA that answers there')
        .argParser(placeOf)
        .conflicts(['config', 'socket']),
    )
    .addOption(new Option('--mta <kind>', 'which MTA that is').choices(['postfix', 'sendmail']))
    .option('--xclient', 'the MTA is Postfix and takes XCLIENT from here, so that scenarios can choose the client')
    .option('--maildir <folder>', 'where the MTA delivers: look at the messages that arrive')
    .option('--only <text>', 'scenarios whose title holds this, repeatable', collect)
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Examples:
  milterhost test test/*.scenario
  milterhost test greylist.scenario --config ./milterhost.config.ts --only 'second attempt'
  milterhost test signing.scenario --socket unix:/run/opendkim/opendkim.sock
  milterhost test all.scenario --smtp 127.0.0.1:25 --mta postfix --maildir ~/Maildir
${EXIT_HELP}`,
    )
    .action(async (files: string[], options: TestCommandOptions) => done(await run(files, options)))

async function run(files: readonly string[], options: TestCommandOptions): Promise<ExitCode> {
  const wanted = files
    .flatMap(file => readScenarios(file))
    .filter(({ title }) => options.only?.some(text => title.includes(text)) ?? true)
  const stages = await stagesOf(options)
  const results: ScenarioResult[] = []
  using strays = new Strays()
  for (const scenario of wanted) {
    const result = await strays.addTo(await playScenario(scenario, await stages(scenario)))
    results.push(result)
    if (!options.json) print(resultText(result))
  }
  const failed = results.filter(({ failures }) => failures.length > 0).length
  const skipped = results.filter(({ skipped }) => skipped !== null).length
  if (options.json) printJson(results.map(resultJson))
  else
    print(
      `${results.length - failed - skipped} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} not played`}`,
    )
  return failed > 0 || results.length === 0 ? EXIT.failed : EXIT.ok
}

async function stagesOf(options: TestCommandOptions): Promise<Stages> {
  const { smtp, socket: address, maildir, xclient, mta } = options
  if (smtp !== undefined) {
    const mail = maildir === undefined ? null : new Maildir(maildir)
    return async () =>
      smtpStage({
        ...smtp,
        ...(mta === undefined ? {} : { mta }),
        xclient: xclient === true,
        ...(mail === null ? {} : { arrived: (id: string) => mail.arrived(id) }),
      })
  }
  if (address !== undefined) return chainStages(validateConfig({ filters: [socket('milter', address)] }, '--socket'))
  return chainStages((await new ConfigurationSource(options.config).load()).configuration)
}

function resultText(result: ScenarioResult): string {
  const { scenario, skipped, unseen } = result
  const title = harmless(scenario.title)
  if (skipped !== null) return `-  ${title}: not played, ${skipped}`
  const failures = failureLines(result)
  if (failures.length > 0) return [`✗  ${title}`, ...failures.map(line => `     ${harmless(line)}`)].join('\n')
  return `✓  ${title}${unseen.length === 0 ? '' : ` (${unseen.length} not to be seen here: ${unseen.map(({ what }) => what).join(', ')})`}`
}

const resultJson = ({ scenario, skipped, failures, unseen }: ScenarioResult): object => ({
  title: scenario.title,
  file: scenario.file,
  line: scenario.line,
  outcome: skipped !== null ? 'not played' : failures.length > 0 ? 'failed' : 'passed',
  skipped,
  failures,
  unseen,
})

const collect = (value: string, before: readonly string[] = []): string[] => [...before, value]

function placeOf(text: string): { host: string; port: number } {
  const [, six, four, digits] = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(text) ?? []
  const port = Number(digits)
  if (digits === undefined || port < 1 || port > 65_535)
    throw new InvalidArgumentError('it is HOST:PORT, such as 127.0.0.1:25.')
  return { host: (six ?? four)!, port }
}
