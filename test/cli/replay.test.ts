/** `milterhost replay` as a user starts it. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { CONFIG_AFTER, CONFIG_BEFORE, fileOf, isPlanted, PLANTED, writeTraffic } from './replay-traffic.ts'
import { milterhost, place } from './support.ts'

interface Found {
  readonly sessions: number
  readonly messages: number
  readonly counts: readonly object[]
  readonly changed: readonly { readonly file: string; readonly sender: string }[]
  readonly unreadable: readonly { readonly file: string; readonly why: string }[]
}

test('10,000 sessions: exactly the planted change is found, twice the same', { timeout: 300_000 }, () => {
  const folder = place()
  const config = folder.file('new.config.ts', CONFIG_AFTER)
  const recordings = join(folder.path, 'recordings')
  writeTraffic(recordings, 10_000)
  const first = milterhost(['replay', recordings, '--config', config, '--json'])
  expect({ code: first.code, err: first.err }).toEqual({ code: 1, err: '' })
  const found = JSON.parse(first.out) as Found
  const planted = Array.from({ length: 10_000 }, (_, n) => n).filter(isPlanted)
  expect(found).toMatchObject({ sessions: 10_000, messages: 10_000, unreadable: [] })
  expect(found.changed.map(({ file }) => file)).toEqual(planted.map(fileOf))
  expect(new Set(found.changed.map(({ sender }) => sender))).toEqual(new Set([`<${PLANTED}>`]))
  expect(found.counts).toEqual([{ filter: 'planted', from: '-', to: 'reject 550 5.7.0', messages: planted.length }])
  expect(milterhost(['replay', recordings, '--config', config, '--json']).out).toBe(first.out)
})

test('the same configuration is no change, and ends with 0', () => {
  const folder = place()
  const config = folder.file('same.config.ts', CONFIG_BEFORE)
  const recordings = join(folder.path, 'recordings')
  writeTraffic(recordings, 30)
  expect(milterhost(['replay', recordings, '--config', config])).toMatchObject({
    code: 0,
    out: '30 sessions with 30 messages were played; nothing is different\n',
    err: '',
  })
})

test('text says which message, and what changed; a damaged file is named and the others are played', () => {
  const folder = place()
  const config = folder.file('new.config.ts', CONFIG_AFTER)
  const recordings = join(folder.path, 'recordings')
  writeTraffic(recordings, 20)
  const cut = join(recordings, fileOf(3))
  writeFileSync(cut, readFileSync(cut, 'utf8').slice(0, 200))
  writeFileSync(join(recordings, fileOf(4)), 'NONSENSE\n# end\n')
  const { code, out } = milterhost(['replay', recordings, '--config', config])
  expect(code).toBe(1)
  expect(out).toBe(
    [
      '18 sessions with 18 messages were played; 1 are different',
      `left out: ${fileOf(3)}: it is cut off, or no recording: its last line is not # end`,
      `left out: ${fileOf(4)}: ${fileOf(4)}:1: NONSENSE is no command`,
      '',
      'filter   from  to                messages',
      'planted  -     reject 550 5.7.0  1',
      '',
      `${fileOf(13)}  <${PLANTED}> to <person13@example.com>`,
      '  accept → reject 550 5.7.0 by planted',
      '  planted: - → reject 550 5.7.0',
      '',
    ].join('\n'),
  )
})

test('--against compares two configurations, whatever was recorded', () => {
  const folder = place()
  const before = folder.file('old.config.ts', CONFIG_BEFORE.replace("'No one here'", "'No', { code: 553 }"))
  const after = folder.file('new.config.ts', CONFIG_AFTER.replace("'No one here'", "'No', { code: 553 }"))
  const recordings = join(folder.path, 'recordings')
  writeTraffic(recordings, 20)
  const found = (args: string[]): Found =>
    JSON.parse(milterhost(['replay', recordings, ...args, '--json']).out) as Found
  expect(found(['--config', after, '--against', before]).changed.map(({ file }) => file)).toEqual([fileOf(13)])
  expect(found(['--config', after]).changed.map(({ file }) => file)).toEqual([7, 13, 17].map(fileOf))
})

test('wrong use ends with 2', () => {
  const folder = place()
  const config = folder.file('a.config.ts', CONFIG_BEFORE)
  const missing = milterhost(['replay', join(folder.path, 'none'), '--config', config])
  expect(missing).toMatchObject({ code: 2, out: '' })
  expect(missing.err).toContain('cannot be read')
  expect(milterhost(['replay', folder.path, '--config', config])).toMatchObject({ code: 2 })
  folder.file('broken.scenario', 'HELO x\n')
  const broken = milterhost(['replay', folder.path, '--config', config])
  expect(broken.code).toBe(2)
  expect(broken.err).toContain('none of its 1 files can be read')
  expect(milterhost(['replay', folder.path, '--config', join(folder.path, 'no.ts')])).toMatchObject({ code: 2 })
})
