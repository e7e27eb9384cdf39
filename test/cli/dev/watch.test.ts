/** What the watcher of `milterhost dev` notices: also what was saved in a folder before it was known that the plugin reads there. */
import { mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { ChangeWatcher } from '../../../src/cli/dev/watch.ts'
import { place } from '../support.ts'

/** Long before any round, as files mostly are. */
const OLD = new Date('2026-01-01T00:00:00Z')

function watched(): { readonly watcher: ChangeWatcher; readonly project: string; readonly outside: string } {
  const { path } = place()
  const project = join(path, 'project')
  const outside = join(path, 'outside')
  for (const folder of [join(project, 'src'), outside]) mkdirSync(folder, { recursive: true })
  const watcher = new ChangeWatcher(project)
  onTestFinished(() => watcher.close())
  return { watcher, project, outside }
}

function old(file: string): string {
  writeFileSync(file, '')
  utimesSync(file, OLD, OLD)
  return file
}

/** A round that began before now. */
const BEFORE = 0
/** One that begins after all that was saved. */
const later = (): number => Date.now() + 60_000

test('a file that was saved after the round began, in a folder that was not watched yet, is a change', async () => {
  const { watcher, outside } = watched()
  const file = join(outside, 'word.ts')
  writeFileSync(file, '')
  watcher.watch([file], BEFORE)
  expect(await watcher.next()).toContain(file)
})

test('so is one that was taken away, and one that came', async () => {
  const { watcher, outside } = watched()
  watcher.watch([join(outside, 'gone.ts')], BEFORE)
  expect(await watcher.next()).toEqual([outside])
})

test('what lay there before the round is none, and nothing is told twice', async () => {
  const { watcher, outside } = watched()
  const file = old(join(outside, 'word.ts'))
  watcher.watch([file], later())
  // The folder is known now: what the round reads there once more is no news.
  watcher.watch([file], BEFORE)
  const next = watcher.next()
  const saved = join(outside, 'other.ts')
  writeFileSync(saved, '')
  expect(await next).toEqual([saved])
})

test('a new folder below src is watched at once, and what is in it', async () => {
  const { watcher, project } = watched()
  const first = watcher.next()
  mkdirSync(join(project, 'src/new/deep'), { recursive: true })
  expect(await first).toContain(join(project, 'src/new'))
  const second = watcher.next()
  const file = join(project, 'src/new/deep/word.ts')
  writeFileSync(file, '')
  expect(await second).toContain(file)
})

test('a folder that was replaced is watched anew', async () => {
  const { watcher, outside } = watched()
  const file = old(join(outside, 'word.ts'))
  watcher.watch([file], later())
  rmSync(outside, { recursive: true })
  expect(await watcher.next()).toContain(file)
  mkdirSync(outside)
  writeFileSync(file, '')
  watcher.watch([file], BEFORE)
  expect(await watcher.next()).toContain(file)
})
