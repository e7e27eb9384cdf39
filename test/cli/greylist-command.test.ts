/** `milterhost greylist` beside a running daemon: one store, and progress for whoever sits at a terminal. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { requirePrograms } from '../interop/harness/index.ts'
import { atTerminal, milterhost, place, start } from './support.ts'

requirePrograms('script')('milterhost greylist', () => {
  it('works while the daemon runs, and shows progress on a terminal and nowhere else', async () => {
    const { path: cwd, file } = place()
    file(
      'milterhost.config.ts',
      `import { defineConfig } from 'milterhost'
import greylist from 'milter-plugin-greylist'
export default defineConfig({
  listen: 'unix:${join(cwd, 'mta')}',
  filters: [greylist({ store: { path: '${join(cwd, 'greylist.sqlite')}' } })],
})`,
    )
    const early = milterhost(['greylist', 'stats'], { cwd })
    expect(early).toMatchObject({ code: 1, out: '', err: expect.stringContaining('there is no greylist in') })
    await start(['run'], cwd).until('ready')
    const rows = Array.from(
      { length: 3_000 },
      (_, at) => `WHITE|10.${at >> 8}.${at & 255}.1|||1796900000|1796901500|9999999999|3|12\n`,
    )
    const dump = file('spamdb.txt', rows.join(''))
    const imported = ['greylist', 'import', '--from', 'spamdb', '--no-dns', dump]
    expect(atTerminal(imported, cwd)).toMatch(/\r\u001b\[K\d+ of \d+ \d+ %.*3000 entries read, 6000 marks taken/s)
    expect(milterhost(imported, { cwd })).toEqual({ code: 0, out: expect.stringContaining('6000 marks'), err: '' })
    const exported = join(cwd, 'export.jsonl')
    expect(atTerminal(['greylist', 'export', '--output', exported], cwd)).toMatch(
      /\r\u001b\[K6000 of 6000 100 %\r\u001b\[K.*6000 marks written/s,
    )
    expect(readFileSync(exported, 'utf8').split('\n')).toHaveLength(6_002)
    expect(milterhost(['greylist', 'export'], { cwd })).toMatchObject({ code: 0, err: '' })
  }, 120_000)
})
