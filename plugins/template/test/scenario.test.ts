import { readScenarios, runScenario, testPlugin } from 'milterhost/testing'
import { test } from 'vitest'
import template from '../src/index.ts'

for (const scenario of readScenarios(new URL('template.scenario', import.meta.url)))
  test(scenario.title, () => runScenario(scenario, options => testPlugin(template({ size: 100 }), options)))
