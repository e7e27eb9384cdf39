// The packages as they are published, for a machine that reaches no registry: packed from a copy of the checkout, so that nothing is built
// where other tests read, and all that they need in a cache of npm's.

import { execFile } from 'node:child_process'
import { cpSync, symlinkSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { type Machine, tempDir, until } from '../harness/index.ts'
import { pack } from '../harness/pack.ts'

const ROOT = resolve(import.meta.dirname, '../../..')
const REGISTRY = join(ROOT, 'scripts/registry.mjs')
const PACKED = ['.', 'plugins/greylist']
const NOT_COPIED = ['node_modules', '.git', 'dist', 'site']

const exec = promisify(execFile)

/** What npm is told in the environment, to install milterhost as if it were published. */
export type NpmEnvironment = Readonly<Record<string, string>>

/** A registry on that machine. What is not ours comes out of the cache. */
export async function publishOn(machine: Machine): Promise<NpmEnvironment> {
  const copy = tempDir('checkout')
  cpSync(ROOT, copy, { recursive: true, filter: path => !NOT_COPIED.includes(basename(path)) })
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
  const tarballs = PACKED.map(folder => pack(join(copy, folder), machine.dir))
  const { stdout } = await exec('npm', ['config', 'get', 'registry'], { cwd: copy })
  const upstream = stdout.trim()
  const cache = join(machine.dir, 'npm-cache')
  const quiet = { npm_config_cache: cache, npm_config_audit: 'false', npm_config_fund: 'false' }
  await exec('npm', ['install', '--prefix', tempDir('prime'), ...tarballs], {
    cwd: copy,
    env: { ...process.env, ...quiet, npm_config_update_notifier: 'false' },
  })
  const serving = machine.start(
    'node',
    ...['--input-type=module', '--eval'],
    `import { serveTarballs } from ${JSON.stringify(REGISTRY)}
     console.log((await serveTarballs(${JSON.stringify(tarballs)}, ${JSON.stringify(upstream)})).url)`,
  )
  const url = await until(
    () => `the registry listens: ${serving.err()}`,
    () => /^http:\S+/.exec(serving.out())?.[0],
  )
  return {
    ...quiet,
    npm_config_registry: url,
    npm_config_prefer_offline: 'true',
    npm_config_fetch_retries: '0',
    npm_config_update_notifier: 'false',
  }
}
