/**
 * `milterhost check`: would it work now? Validates the configuration, makes every filter, and meets every external milter.
 */
import { Command } from 'commander'
import { closeFilters } from '../daemon/generation.ts'
import type { ChainFilter } from '../host/chain/member.ts'
import type { ConfiguredEntry } from '../host/config/validate.ts'
import type { AbortReason, FilterReport } from '../host/filter.ts'
import { harmless } from '../host/observe/safe.ts'
import { ConfigurationSource } from './configuration.ts'
import { EXIT, EXIT_HELP, type ExitCode, print, printJson } from './console.ts'
import { surroundings, tryFilters } from './environment.ts'
import { timeoutsText } from './list.ts'
import { table } from './table.ts'

interface CheckOptions {
  readonly config?: string
  readonly json?: true
}

interface Finding {
  readonly configured: ConfiguredEntry
  /** `null` when it is disabled or does not work. */
  readonly report: FilterReport | null
  readonly problem: string | null
}

export const checkCommand = (done: (code: ExitCode) => void): Command =>
  new Command('check')
    .description('validate the configuration, load the plugins and negotiate with every external milter')
    .option('-c, --config <file>', 'configuration file, or the folder it lies in')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Examples:
  milterhost check
  milterhost check --config ./milterhost.config.ts && systemctl reload milterhost
${EXIT_HELP}`,
    )
    .action(async (options: CheckOptions) => done(await check(options)))

async function check({ config, json }: CheckOptions): Promise<ExitCode> {
  const { file, configuration } = await new ConfigurationSource(config).load()
  const around = surroundings(configuration.settings)
  const made = await tryFilters(configuration, around)
  const findings = await Promise.all(configuration.entries.map(entry => examine(entry, made.get(entry.policy.name))))
  await closeFilters(
    [...made.values()].filter((filter): filter is ChainFilter => !(filter instanceof Error)),
    around,
  )
  if (json) printJson({ file, ok: findings.every(isWell), filters: findings.map(asJson) })
  else printFindings(file, findings)
  return findings.every(isWell) ? EXIT.ok : EXIT.failed
}

async function examine(configured: ConfiguredEntry, made: ChainFilter | Error | undefined): Promise<Finding> {
  if (made === undefined) return { configured, report: null, problem: null }
  if (made instanceof Error) return { configured, report: null, problem: made.message }
  const { connect, command } = configured.policy.timeouts
  const controller = new AbortController()
  const reason: AbortReason = { kind: 'timeout', detail: 'it did not answer in time' }
  const timer = setTimeout(() => controller.abort(reason), connect + command)
  try {
    const report = await made.filter.probe(controller.signal)
    for (const lookup of made.gate?.lookups ?? []) await lookup.probe(controller.signal)
    return { configured, report, problem: null }
  } catch (error) {
    return { configured, report: null, problem: error instanceof Error ? error.message : String(error) }
  } finally {
    clearTimeout(timer)
  }
}

const isWell = ({ problem }: Finding): boolean => problem === null

function printFindings(file: string | null, findings: readonly Finding[]): void {
  print(`${file ?? 'default configuration'}: valid\n`)
  if (findings.length === 0) {
    print('No filters: every message is accepted unchanged.')
    return
  }
  const rows = findings.map(({ configured: { entry, policy }, report, problem }) => [
    policy.name,
    entry.kind,
    report?.events.join(' ') ?? '-',
    report === null ? '-' : report.mayEdit.join(' ') || 'nothing',
    timeoutsText(entry.kind, policy),
    !policy.enabled ? 'off' : problem === null ? 'ok' : 'FAILED',
  ])
  print(table(['filter', 'kind', 'events', 'may edit', 'timeouts', ''], rows))
  for (const { configured, problem } of findings) {
    if (problem !== null) print(`\n${configured.policy.name}: ${harmless(problem)}`)
  }
}

const asJson = ({ configured: { entry, policy }, report, problem }: Finding): object => ({
  name: policy.name,
  kind: entry.kind,
  what: entry.describe,
  enabled: policy.enabled,
  ok: problem === null,
  problem,
  events: report?.events ?? null,
  mayEdit: report?.mayEdit ?? null,
  facts: report?.facts ?? null,
})
