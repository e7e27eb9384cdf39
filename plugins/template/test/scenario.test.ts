import { readScenarios, runScenario, testConfig } from 'milterhost/testing'
import { test } from 'vitest'
import config from '../milterhost.config.ts'

for (const scenario of readScenarios(new URL('template.scenario', import.meta.url)))
  test(scenario.title, () => runScenario(scenario, options => testConfig(config, options)))
