/** docs/migrating.md names everything that the import knows, so that nobody looks for an option of milter manager in vain. */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { SHIPPED_CONDITIONS } from '../../src/bridge/import/conditions.ts'
import { CALLS } from '../../src/bridge/import/interpret.ts'
import { GLOBAL_SETTINGS, MILTER_SETTINGS } from '../../src/bridge/import/settings.ts'

import { OPTIONS } from './milter-manager-options.ts'

const page = readFileSync(join(resolve(import.meta.dirname, '../..'), 'docs/migrating.md'), 'utf8')

describe('docs/migrating.md', () => {
  it.each([
    ['setting', Object.keys(GLOBAL_SETTINGS)],
    ['setting of a milter', Object.keys(MILTER_SETTINGS)],
    ['function', Object.keys(CALLS)],
    ['condition', SHIPPED_CONDITIONS],
  ])('says of every %s what it is here', (_, names) => {
    expect(names.length).toBeGreaterThan(5)
    expect(names.filter(name => !page.includes(`\`${name}\``))).toEqual([])
  })
})

describe('the options of milter manager', () => {
  it.each(Object.entries(OPTIONS))('%s: each stands in a table, with what it is here', (_, names) => {
    const left = page
      .split('\n')
      .filter(line => line.startsWith('| '))
      .map(line => line.split(' | ')[0]!)
    const named = new Set(left.flatMap(cell => [...cell.matchAll(/`([^`]+)`/g)].map(match => match[1]!)))
    expect(names.filter(name => !named.has(name))).toEqual([])
  })
})
