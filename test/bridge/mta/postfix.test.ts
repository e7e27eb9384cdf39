import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { readPostfix } from '../../../src/bridge/mta/index.ts'

/** A postconf that says this; it must be asked for the values alone, with `$names` replaced. */
function postconf(says: string, code = 0): string {
  const folder = mkdtempSync(join(tmpdir(), 'milterhost-postconf-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'postconf')
  const asked = '-x -h default_process_limit milter_command_timeout'
  writeFileSync(path, `#!/bin/sh\n[ "$*" = "${asked}" ] || exit 9\nprintf '${says}'\nexit ${code}\n`)
  chmodSync(path, 0o755)
  return path
}

it.each([
  ['100\\n30s\\n', 100, 30_000],
  ['250\\n5m\\n', 250, 300_000],
  ['1\\n7\\n', 1, 7_000],
])('reads how many processes Postfix may have and how long it waits: %s', async (says, processes, commandTimeout) => {
  expect(await readPostfix(postconf(says))).toEqual({ processes, commandTimeout })
})

it.each(['', '\\n\\n', '0\\n30s\\n', '100\\n', '100\\nsoon\\n', 'many\\n30s\\n', '-5\\n30s\\n', '1e400\\n30s\\n'])(
  'knows nothing where that makes no sense: %j',
  async says => {
    expect(await readPostfix(postconf(says))).toBeNull()
  },
)

it('knows nothing where there is no postconf, or one that fails', async () => {
  expect(await readPostfix('/nowhere/postconf')).toBeNull()
  expect(await readPostfix(postconf('100\\n30s\\n', 1))).toBeNull()
})
