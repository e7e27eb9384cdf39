/** `npm run docs:reference`: writes the tables of the documentation that come from the code, each page where it lies. */
import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { pagesWithTables } from './pages.ts'

for (const [page, text] of pagesWithTables()) {
  const file = resolve(import.meta.dirname, '../..', page)
  const changed = readFileSync(file, 'utf8') !== text
  if (changed) writeFileSync(file, text)
  console.log(`${page}: ${changed ? 'written' : 'up to date'}`)
}
