/** Real mail through Postfix, recorded by the daemon, and played against the configuration it came through and against another. */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { milterhost, place, start } from '../../cli/support.ts'
import { freePort, requirePrograms, smtp, startPostfix, until } from '../harness/index.ts'

const config = (port: number, recordings: string, refused: string): string => `import { defineConfig } from 'milterhost'
import { definePlugin, reject } from 'milterhost/plugin'
const picky = definePlugin({
  name: 'picky',
  setup: () => ({
    rcpt: event => (event.recipient.address.endsWith('${refused}') ? reject('No one here') : undefined),
    end: event => event.edit.prependHeader('X-Tag', event.sender.address),
  }),
})
export default defineConfig({
  listen: 'inet:${port}@127.0.0.1',
  filters: [picky()],
  record: { directory: '${recordings}', minFree: 0 },
})
`

requirePrograms('postfix')('behind Postfix', () => {
  describe('recorded mail', () => {
    test('is played again the same, and otherwise where the configuration is', { timeout: 120_000 }, async () => {
      const folder = place()
      const recordings = join(folder.path, 'recordings')
      const port = await freePort()
      const same = folder.file('same.config.ts', config(port, recordings, '@refused.example'))
      const daemon = start(['run', '--config', same], folder.path)
      await daemon.until('ready')
      const postfix = await startPostfix({ milters: [`inet:127.0.0.1:${port}`] })
      const client = await smtp(postfix.port)
      for (const to of ['first@example.net', 'second@example.org']) {
        const { rcpt } = await client.mail({
          from: 'alice@example.com',
          to: ['someone@refused.example', to],
          data: 'Subject: private\r\nFrom: alice@example.com\r\n\r\nHello\r\n',
        })
        expect(rcpt.map(({ code }) => code)).toEqual([550, 250])
      }
      await client.quit()
      await until(
        () => `one session is recorded, the daemon said ${daemon.said()}`,
        () => milterhost(['status', '--json'], { cwd: folder.path }).out.includes('"sessions": 1'),
      )
      daemon.process.kill('SIGTERM')
      expect(await daemon.ended).toBe(0)

      const replay = (file: string) => milterhost(['replay', recordings, '--config', file, '--json'])
      const unchanged = replay(same)
      expect(JSON.parse(unchanged.out)).toMatchObject({ sessions: 1, messages: 2, changed: [], unreadable: [] })
      expect(unchanged.code).toBe(0)
      const other = folder.file('other.config.ts', config(port, recordings, '@example.org'))
      const { code, out } = replay(other)
      expect(code).toBe(1)
      const { changed } = JSON.parse(out) as { changed: { sender: string; recipients: string[]; outcome: object }[] }
      expect(changed.map(({ sender, recipients }) => [sender, ...recipients])).toEqual([
        [
          expect.stringMatching(/^<[a-z]{10}@example\.com>$/),
          expect.stringContaining('@refused.example>'),
          expect.stringContaining('@example.net>'),
        ],
        [
          expect.stringMatching(/^<[a-z]{10}@example\.com>$/),
          expect.stringContaining('@refused.example>'),
          expect.stringContaining('@example.org>'),
        ],
      ])
      expect(out).not.toMatch(/alice|private/)
    })
  })
})
