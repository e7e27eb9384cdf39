/** The pages of the documentation, as they lie in the repository, and the blocks of code in them. Read by the tests beside this file. */
import { globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

export const ROOT: string = resolve(import.meta.dirname, '../..')

/** Below the repository. */
export const PAGES: readonly string[] = [
  'README.md',
  'README.ja.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  ...globSync(['docs/*.md', '{plugins,packages}/*/README.md', '{examples,bench}/README.md'], { cwd: ROOT }).sort(),
]

/** What the home page of the site shows beside its first words: no page of its own, but code like theirs. */
const START = 'site/start.md'

export const pageText = (page: string): string => readFileSync(join(ROOT, page), 'utf8')

export interface Block {
  readonly page: string
  /** Unique, and fit for a file: `docs-testing.md-2` is the second block of its language on that page. */
  readonly name: string
  /** What stands behind the fence; empty where nothing does. */
  readonly language: string
  readonly text: string
}

export const BLOCKS: readonly Block[] = [...PAGES, START].flatMap(page => {
  const counts = new Map<string, number>()
  return [...pageText(page).matchAll(/^( *)```(\S*)\n([\s\S]*?)^\1```$/gm)].map(match => {
    const [, , language = '', text = ''] = match
    const number = (counts.get(language) ?? 0) + 1
    counts.set(language, number)
    return { page, name: `${page.replaceAll('/', '-')}-${number}`, language, text }
  })
})
