import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { requirePrograms } from '../../../../test/interop/harness/index.ts'
import { runner, SECRET } from '../command-stand.ts'
import { startRedis } from './servers.ts'

requirePrograms('redis')('milterhost greylist over a real Redis', () => {
  it('looks, changes, exports and imports as over the embedded store', async () => {
    const { url } = await startRedis('--appendonly', 'no')
    // The server's clock is not the test's: marks are made for a year and more.
    const options = (prefix: string) => ({
      store: { url, prefix, timeout: '10s' },
      secret: SECRET,
      limits: { storeTime: '10s' },
    })
    const [one, two] = ['a:', 'b:'].map(prefix => runner([{ name: 'greylist', options: options(prefix) }]))
    await one!('pass', ['d:example.org', '192.0.2.0/24'], { for: '900d' })
    await one!('trap', ['192.0.2.10'], { for: '900d' })
    expect(JSON.parse((await one!('stats', [], { json: true })).text)).toMatchObject({
      store: 'redis',
      entries: { pin: 2, trap: 1 },
    })
    const file = join(mkdtempSync(join(tmpdir(), 'greylist-export-')), 'marks.jsonl')
    expect((await one!('export', [], { output: file })).text).toBe('3 marks written')
    for (const _ of ['once', 'twice'])
      expect((await two!('import', [file])).text).toBe('3 entries read, 3 marks taken, 0 too old')
    const marks = async (greylist: typeof one) => [...(await greylist!('list', [], { json: true })).out].sort()
    expect(await marks(two)).toEqual(await marks(one))
    const check = { client: '192.0.2.10', from: 'a@example.org', to: 'me@example.com', json: true }
    expect(JSON.parse((await two!('check', [], check)).text)).toMatchObject({ verdict: 'defer', rule: 'trapped' })
    expect((await two!('forget', ['example.org'])).out).toEqual([
      'd:example.org: 1 mark forgotten',
      'h:example.org: 1 mark forgotten',
    ])
  }, 30_000)

  it('a Redis that is down is told in one line', async () => {
    const greylist = runner([{ name: 'greylist', options: { store: 'redis://127.0.0.1:1', secret: SECRET } }])
    await expect(greylist('stats')).rejects.toMatchObject({ code: 'GREYLIST_COMMAND' })
  }, 30_000)
})
