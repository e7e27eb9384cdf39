import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { fileLimit } from '../../src/daemon/files.ts'

function limits(line: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'milterhost-files-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const head = 'Limit                     Soft Limit           Hard Limit           Units     \n'
  writeFileSync(
    join(folder, 'limits'),
    `${head}Max processes             95000                95000                processes \n${line}\n`,
  )
  return join(folder, 'limits')
}

it('the limit to open files is the soft one', () => {
  expect(fileLimit(limits('Max open files            1024                 524288               files     '))).toBe(1024)
})

it.each([
  ['without a limit', () => limits('Max open files            unlimited            unlimited            files     ')],
  ['on a system that does not tell', () => '/nonexistent/limits'],
])('%s there is none', (_, path) => {
  expect(fileLimit(path())).toBeNull()
})

it('this process has one on Linux', () => {
  expect(fileLimit()).toBeGreaterThan(0)
})
