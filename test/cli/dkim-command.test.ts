/** The commands of milter-plugin-dkim from the command line: in a checkout the plugin's sources are found. */
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { milterhost, place } from './support.ts'

it('milterhost dkim and milterhost dmarc are run by the package milter-plugin-dkim', () => {
  const { path: cwd, file } = place()
  const key = join(cwd, 'k1.pem')
  const made = milterhost(['dkim', 'keygen', 'example.org', 'k1', '--type', 'ed25519', '--output', key], { cwd })
  expect(made).toMatchObject({
    code: 0,
    out: expect.stringContaining('k1._domainkey.example.org. IN TXT ( "v=DKIM1; k=ed25519; p='),
  })
  file(
    'milterhost.config.ts',
    `import { defineConfig } from 'milterhost'
import dkim from 'milter-plugin-dkim'
export default defineConfig({
  filters: [dkim({ sign: { keys: [{ domain: 'example.org', selector: 'k1', file: '${key}' }] }, reports: { store: '${join(cwd, 'd.db')}' } })],
})`,
  )
  expect(milterhost(['dkim', 'txt'], { cwd })).toMatchObject({ code: 0, out: made.out })
  expect(milterhost(['dmarc', 'report'], { cwd })).toMatchObject({ code: 0, err: 'no report was written\n' })
  expect(milterhost(['dmarc', '--help'], { cwd }).out).toContain('report [options] [domain...]')
}, 90_000)
