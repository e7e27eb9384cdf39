/** docs/doctor.md has a row for each check of the doctor, with its severity and title, and no other. */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { CHECKS } from '../../src/bridge/doctor/index.ts'

const page = readFileSync(join(resolve(import.meta.dirname, '../..'), 'docs/doctor.md'), 'utf8')

describe('docs/doctor.md', () => {
  it('has each check once, and no other', () => {
    const rows = [...page.matchAll(/^\| `(\w+)`\s*\| (\w+)\s*\| (.*?)\s*\|$/gm)].map(([, ...cells]) => cells)
    expect(rows).toEqual(CHECKS.map(({ code, severity, title }) => [code, severity, title]))
  })

  it('gives each check a code of its own', () => {
    expect(new Set(CHECKS.map(({ code }) => code)).size).toBe(CHECKS.length)
  })

  it('plants every fault in the tests on real configurations', () => {
    const tests = ['postfix', 'sendmail'].map(name =>
      readFileSync(resolve(import.meta.dirname, `../interop/doctor/${name}.test.ts`), 'utf8'),
    )
    const planted = new Set(
      tests
        .join('\n')
        .match(/'[A-Z][A-Z_]+'/g)
        ?.map(code => code.slice(1, -1)),
    )
    expect(CHECKS.map(({ code }) => code).filter(code => !planted.has(code))).toEqual([])
  })
})
