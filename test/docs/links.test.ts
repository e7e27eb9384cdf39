/** Links between pages lead to files that exist, and to headings that are there. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { headingsOf } from '../../site/slug.ts'
import { PAGES, pageText, ROOT } from './pages.ts'

interface Link {
  readonly target: string
  readonly file: string
  readonly heading: string | undefined
}

/** Links of the text; brackets in code are none. */
function linksOf(page: string): Link[] {
  const text = pageText(page)
    .replace(/^```[\s\S]*?^```/gm, '')
    .replace(/(`+)[^`]*?\1/g, 'code')
  return [...text.matchAll(/\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)/g)].map(([, path = '', heading]) => ({
    target: `${path}${heading === undefined ? '' : `#${heading}`}`,
    file: path === '' ? resolve(ROOT, page) : resolve(ROOT, page, '..', path),
    heading,
  }))
}

describe('links between pages', () => {
  it('are found', () => {
    expect(PAGES.flatMap(linksOf).length).toBeGreaterThan(100)
    expect(PAGES.flatMap(linksOf).filter(({ heading }) => heading !== undefined).length).toBeGreaterThan(10)
  })

  it.each(PAGES)('%s points only at what exists', page => {
    const dead = linksOf(page).filter(({ file, heading }) => {
      if (!existsSync(file)) return true
      return heading !== undefined && !headingsOf(pageText(file.slice(ROOT.length + 1))).includes(heading)
    })
    expect(dead.map(({ target }) => target)).toEqual([])
  })
})
