/** The site has every page, each once, and no other; what is built of it is not committed. */
import { existsSync, globSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { HOME, PAGES as SHOWN } from '../../site/pages.ts'
import { PAGES, ROOT } from './pages.ts'

const sources = [HOME, ...SHOWN].map(({ source }) => source)

test('every page stands in the sidebar', () => {
  const files = [...PAGES, ...globSync('examples/*/plugin.ts', { cwd: ROOT })]
  const missing = files.filter(file => !sources.includes(file))
  expect(
    missing,
    'add each of these to a section of SECTIONS in site/pages.ts, with its place on the site and its title',
  ).toEqual([])
})

test('every entry of the sidebar is a page', () => {
  const gone = sources.filter(source => !existsSync(join(ROOT, source)))
  expect(gone, 'take these out of SECTIONS in site/pages.ts').toEqual([])
})

test('no page, place or title is there twice', () => {
  for (const key of ['source', 'path', 'title'] as const) {
    const all = SHOWN.map(page => page[key])
    expect(all.filter((value, index) => all.indexOf(value) !== index)).toEqual([])
  }
})
