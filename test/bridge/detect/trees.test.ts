/** What is found in trees laid out as distributions lay theirs out, with the file and line of every fact. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { detect } from '../../../src/bridge/detect/index.ts'

const TREES = join(import.meta.dirname, 'trees')
const names = readdirSync(TREES, { withFileTypes: true }).flatMap(entry => (entry.isDirectory() ? [entry.name] : []))

describe('detection finds in a tree of', () => {
  it('six distributions, at least', () => {
    expect(names).toEqual(
      expect.arrayContaining(['debian-12', 'debian-13', 'freebsd-14', 'pkgsrc', 'rhel-9', 'ubuntu-24.04']),
    )
  })

  it.each(names)('%s what its golden file says', name => {
    const root = join(TREES, name)
    const { milters, warnings } = detect(root)
    const golden = join(TREES, `${name}.json`)
    const found = `${JSON.stringify({ milters, warnings }, null, 2)}\n`
    if (process.env.DETECT_GOLDEN === '1') writeFileSync(golden, found)
    expect(JSON.parse(found)).toEqual(JSON.parse(readFileSync(golden, 'utf8')))
    expect(milters.length).toBeGreaterThanOrEqual(2)
  })

  it.each(names)('%s nothing whose source is not there', name => {
    const root = join(TREES, name)
    const sources = JSON.stringify(detect(root).milters).matchAll(/"source":\{"file":"([^"]*)","line":(\d+)\}/g)
    for (const [, file = '', line = ''] of sources) {
      const path = join(root, file)
      if (line === '0') continue
      expect(existsSync(path), file).toBe(true)
      expect(readFileSync(path, 'utf8').split('\n')[Number(line) - 1]?.trim(), `${file}:${line}`).not.toBe('')
    }
  })
})
