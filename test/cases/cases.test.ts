/** The scenario files of this folder, played in this process. `test/interop/scenarios` plays the same through real MTAs. */
import { test } from 'vitest'
import { readScenarios, runScenario, testPlugin } from '../../src/testing.ts'
import { obedient } from './obedient.ts'

for (const file of ['verdicts', 'edits', 'directives']) {
  for (const scenario of readScenarios(new URL(`${file}.scenario`, import.meta.url)))
    test(scenario.title, async () => {
      await runScenario(scenario, options => testPlugin(obedient(), options))
    })
}
