/** Each row of docs/mta-differences.md names a test, and that test is there. */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')
const page = readFileSync(join(ROOT, 'docs/mta-differences.md'), 'utf8')
const table = page.split('## What can be set')[0]!
const rows = table.split('\n').filter(line => /^\| (?!what|-)/.test(line))
const named = [...table.matchAll(/`(test\/[\w/.-]+\.test\.ts)`: (.*?)\s*\|$/gm)].map(
  ([, file, name]) => [name!, file!] as const,
)

describe('docs/mta-differences.md', () => {
  it('names a test in every row', () => {
    expect(rows.length).toBeGreaterThan(10)
    expect(named.length).toBe(rows.length)
  })

  it.each(named)('the test "%s" is in %s', (name, file) => {
    expect(readFileSync(join(ROOT, file), 'utf8')).toContain(name)
  })
})
