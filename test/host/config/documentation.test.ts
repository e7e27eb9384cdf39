import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { allKeys } from '../../../src/host/config/schema.ts'

it('docs/configuration.md has a row for every key and no other', () => {
  const page = readFileSync(new URL('../../../docs/configuration.md', import.meta.url), 'utf8')
  const [keys = '', entries = ''] = page.split('## Entries of `filters`')
  const rows = (text: string): string[] => [...text.matchAll(/^\| `([\w.]+)` +\|/gm)].map(([, key]) => key!)
  const documented = [...rows(keys), ...rows(entries).map(key => `entry.${key}`)]
  expect(documented.toSorted()).toEqual(allKeys().toSorted())
})
