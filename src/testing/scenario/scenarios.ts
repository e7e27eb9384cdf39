/**
 * What an author's test calls: read a file of scenarios, run one.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { hostError } from '../../host/errors.ts'
import { inProcess, type StartHost } from './in-process.ts'
import { parseScenarios } from './parse.ts'
import { playScenario } from './play.ts'
import type { Scenario, ScenarioResult, ScenarioStage } from './scenario.ts'

/** The scenarios of a file, in order. Throws a coded error when it cannot be read, or with the line that is wrong. */
export function readScenarios(file: string | URL): Scenario[] {
  const path = file instanceof URL ? fileURLToPath(file) : file
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw hostError('SCENARIO_UNREADABLE', path, (error as Error).message)
  }
  return parseScenarios(text, path)
}

/**
 * Plays one scenario in this process, or on a stage of another kind. Rejects, with every expectation that was not met and its line,
 * when it fails.
 *
 * ```ts
 * for (const scenario of readScenarios(new URL('greylist.scenario', import.meta.url)))
 *   test(scenario.title, () => runScenario(scenario, options => testPlugin(greylist(), options)))
 * ```
 */
export async function runScenario(scenario: Scenario, on: StartHost | ScenarioStage): Promise<void> {
  const stage = typeof on === 'function' ? await inProcess(scenario, on) : on
  const result = await playScenario(scenario, stage)
  if (result.failures.length > 0) throw hostError('SCENARIO_FAILED', scenario.title, failureLines(result))
}

export const failureLines = ({ scenario, failures }: ScenarioResult): readonly string[] =>
  failures.map(({ line, message }) => `${scenario.file}:${line}: ${message}`)
