/** The Japanese README says what the English one says: the same code, links and packages, section by section. */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'

const read = (name: string): string => readFileSync(join(resolve(import.meta.dirname, '../..'), name), 'utf8')
const english = read('README.md')
const japanese = read('README.ja.md')

const all = (text: string, pattern: RegExp): string[] => [...text.matchAll(pattern)].map(match => match[1]!)
/** Comments are translated. */
const code = (text: string): string[] =>
  all(text, /^```\w*\n([\s\S]*?)^```/gm).map(block => block.replace(/#.*$/gm, '#'))

test('the same code', () => {
  expect(code(japanese)).toEqual(code(english))
  expect(code(japanese).length).toBeGreaterThan(3)
})

test('as many sections and points', () => {
  for (const mark of [/^(##) /gm, /^(- \*\*)/gm]) expect(all(japanese, mark).length).toBe(all(english, mark).length)
})

test('the same links, besides those to each other', () => {
  const links = (text: string): string[] =>
    all(text, /\]\(([^)]+)\)/g).filter(link => !/^README(\.ja)?\.md$/.test(link))
  expect(links(japanese)).toEqual(links(english))
})
