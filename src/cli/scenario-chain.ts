/**
 * Stages for scenarios in this process: the chain of a configuration, a fresh one for each scenario.
 *
 * Plugins keep their state in a folder of its own, gone when the stage is closed. Called by `milterhost test` and `milterhost dev`.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Configuration } from '../host/config/validate.ts'
import { systemClock } from '../host/time/clock.ts'
import { TestHost } from '../testing/host.ts'
import { inProcess } from '../testing/scenario/in-process.ts'
import type { Scenario, ScenarioStage } from '../testing/scenario/scenario.ts'

export interface ChainStage extends ScenarioStage {
  /** What it is played on. */
  readonly host: TestHost
}

/** Rejects, with what a daemon would say at its start, when a filter cannot be made. */
export function chainStages(configuration: Configuration): (scenario: Scenario) => Promise<ChainStage> {
  // What stands behind a socket does not know of a clock that stands still.
  const real = configuration.entries.some(({ entry, policy }) => entry.kind === 'socket' && policy.enabled)
  return async scenario => {
    const folder = mkdtempSync(join(tmpdir(), 'milterhost-test-'))
    process.env.STATE_DIRECTORY = folder
    let host: TestHost | undefined
    const start = async (around: Parameters<typeof TestHost.of>[1]): Promise<TestHost> => {
      host = await TestHost.of(configuration, around)
      return host
    }
    const remove = (): void => rmSync(folder, { recursive: true, force: true })
    try {
      const stage = await inProcess(scenario, start, real ? systemClock : null)
      const close = async (): Promise<void> => {
        await stage.close()
        remove()
      }
      return {
        host: host!,
        still: stage.still,
        refuses: one => stage.refuses(one),
        open: client => stage.open(client),
        wait: time => stage.wait(time),
        close,
      }
    } catch (error) {
      remove()
      throw error
    }
  }
}
