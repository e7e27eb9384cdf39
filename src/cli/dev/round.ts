/**
 * One round: the plugin is loaded, its scenarios are played, what happened is printed. In a process of its own, so that whatever
 * a plugin leaves running, breaks or never ends goes with it.
 *
 * Says to the process that started it which files were read. Called by `dev.ts` in that process.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { installation } from '../../host/config/installation.ts'
import { HostError } from '../../host/errors.ts'
import { harmless } from '../../host/observe/safe.ts'
import { describeThrown } from '../../host/plugin/thrown.ts'
import { playScenario } from '../../testing/scenario/play.ts'
import type { Scenario } from '../../testing/scenario/scenario.ts'
import { failureLines, readScenarios } from '../../testing/scenario/scenarios.ts'
import { EXIT, type ExitCode, print } from '../console.ts'
import { type ChainStage, chainStages } from '../scenario-chain.ts'
import { Strays } from '../strays.ts'
import { type Loaded, optionsHint, type Subject, SubjectLoader, scenarioFiles, shortPath } from './subject.ts'
import { bad, faint, good, Trace } from './trace.ts'

/** What the process that plays tells the one that watches. */
export interface RoundReport {
  readonly files: readonly string[]
}

export interface RoundOptions {
  /** As given; none are those of the subject. */
  readonly scenarios: readonly string[] | undefined
  /** Traces of scenarios that failed, and no others. */
  readonly failedOnly: boolean
}

/** Everything is told in print; the code says whether all was well. */
export async function playRound(subject: Subject, options: RoundOptions): Promise<ExitCode> {
  using strays = new Strays()
  const loader = new SubjectLoader()
  const files = scenarioFiles(subject, options.scenarios)
  const report = (): unknown => process.send?.({ files: [...loader.files, ...files] } satisfies RoundReport)
  let loaded: Loaded
  try {
    loaded = await loader.load(subject)
  } catch (error) {
    report()
    return told(error)
  }
  report()
  if (files.length === 0) return await withoutScenarios(loaded, subject, strays)
  return await new Round(loaded, options.failedOnly, strays).play(files)
}

class Round {
  readonly #loaded: Loaded
  readonly #stages: (scenario: Scenario) => Promise<ChainStage>
  readonly #failedOnly: boolean
  readonly #strays: Strays
  #passed = 0
  #failed = 0
  #unreadable = 0

  constructor(loaded: Loaded, failedOnly: boolean, strays: Strays) {
    this.#loaded = loaded
    this.#stages = chainStages(loaded.configuration)
    this.#failedOnly = failedOnly
    this.#strays = strays
  }

  async play(files: readonly string[]): Promise<ExitCode> {
    for (const file of files) {
      const scenarios = this.#read(file)
      if (scenarios.length === 0) continue
      const text = readFileSync(file, 'utf8').split('\n')
      print(faint(shortPath(file)))
      for (const scenario of scenarios) {
        let stage: ChainStage
        try {
          stage = await this.#stages(scenario)
        } catch (error) {
          // The others would be told the same.
          return told(error, optionsHint(error, this.#loaded))
        }
        await this.#one(scenario, stage, text)
      }
    }
    const outcome = `${this.#passed} passed, ${this.#failed} failed${this.#unreadable === 0 ? '' : `, ${this.#unreadable} unreadable`}`
    const well = this.#failed + this.#unreadable === 0 && this.#passed > 0
    print(well ? good(outcome) : bad(outcome))
    return well ? EXIT.ok : EXIT.failed
  }

  #read(file: string): Scenario[] {
    try {
      return readScenarios(file)
    } catch (error) {
      this.#unreadable++
      told(error)
      return []
    }
  }

  async #one(scenario: Scenario, stage: ChainStage, text: readonly string[]): Promise<void> {
    const trace = new Trace(stage.host, text)
    const result = await this.#strays.addTo(await playScenario(scenario, stage, trace))
    const failed = result.failures.length > 0
    print(`${failed ? bad('✗') : good('✓')}  ${harmless(scenario.title)}`)
    const lines = trace.end()
    if (failed || !this.#failedOnly) for (const line of lines) print(line)
    for (const line of failureLines({ ...result, scenario: { ...scenario, file: shortPath(scenario.file) } }))
      print(`     ${bad(harmless(line))}`)
    if (failed) this.#failed++
    else this.#passed++
  }
}

/** It is set up all the same: a mistake there is worth to be told. */
async function withoutScenarios(loaded: Loaded, { folder }: Subject, strays: Strays): Promise<ExitCode> {
  try {
    const stage = await chainStages(loaded.configuration)(NOTHING)
    await stage.close()
  } catch (error) {
    return told(error, optionsHint(error, loaded))
  }
  const escaped = await strays.take()
  for (const text of escaped) print(`${bad('✗')}  ${harmless(text)}`)
  if (escaped.length > 0) return EXIT.failed
  print(`The plugin loads and is set up. There is no scenario to play: write one, such as ${shortPath(join(folder, 'test/first.scenario'))}:

  SCENARIO a message goes through
  MAIL <a@example.org>
  RCPT <b@example.com>
  HEADER Subject: hello
  BODY Hello there
  END
  EXPECT accept

All that can be in it: ${join(installation().root, 'docs/testing.md')}`)
  return EXIT.failed
}

const NOTHING: Scenario = { title: '', file: '', line: 1, clock: null, dns: null, mta: null, steps: [] }

/** A mistake with a code is told in its words; anything else with its place. */
function told(error: unknown, hint = ''): ExitCode {
  const text = error instanceof HostError ? error.message : describeThrown(error)
  print(`${bad('✗')}  ${text}${hint}`)
  return EXIT.failed
}
