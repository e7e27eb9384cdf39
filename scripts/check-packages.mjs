// Packs every package of the repository, checks the tarballs with publint and attw, installs them together in an empty
// folder, and runs the installed command there: what a user would get, and nothing of the checkout. With them an author begins too.
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pack } from '../test/interop/harness/pack.ts'
import { checkCreated } from './check-created.mjs'

const root = resolve(import.meta.dirname, '..')
const work = mkdtempSync(join(tmpdir(), 'milterhost-packages-'))
const run = (command, args, options = {}) =>
  execFileSync(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8', ...options })

try {
  const folders = ['plugins', 'packages'].flatMap(part =>
    readdirSync(join(root, part)).map(name => join(root, part, name)),
  )
  const tarballs = [root, ...folders].map(folder => pack(folder, work))
  for (const tarball of tarballs) {
    console.log(`checking ${tarball.slice(work.length + 1)}`)
    run('npx', ['publint', tarball, '--strict'], { stdio: 'inherit' })
    // What makes plugins exports nothing that has types.
    if (!tarball.includes('/create-')) run('npx', ['attw', tarball, '--profile', 'esm-only'], { stdio: 'inherit' })
  }

  const home = join(work, 'empty')
  execFileSync('mkdir', [home])
  writeFileSync(join(home, 'package.json'), JSON.stringify({ name: 'empty', private: true, type: 'module' }))
  run('npm', ['install', '--no-audit', '--no-fund', ...tarballs], { cwd: home, stdio: 'inherit' })
  const installed = JSON.parse(readFileSync(join(home, 'node_modules/milterhost/package.json'), 'utf8'))
  const version = run('npx', ['milterhost', '--version'], { cwd: home }).trim()
  if (version !== installed.version) throw new Error(`milterhost --version says ${version}, not ${installed.version}`)

  // Without a configuration the shipped one serves, with all that it brings; milters of this machine are left out of it.
  const env = { ...process.env, STATE_DIRECTORY: work, MILTERHOST_DETECT_ROOT: home }
  console.log(run('npx', ['milterhost', 'check'], { cwd: home, env }))
  writeFileSync(
    join(home, 'milterhost.config.ts'),
    `import { defineConfig } from 'milterhost'
import template from 'milter-plugin-template'
export default defineConfig({ listen: 'unix:${join(work, 'm.sock')}', filters: [template()] })
`,
  )
  console.log(run('npx', ['milterhost', 'check'], { cwd: home }))
  await runsAndEnds(home)
  await created(tarballs)
  console.log('packages are sound')
} finally {
  rmSync(work, { recursive: true, force: true })
}

/** Where Postfix cannot be started this part is left out, in words; never where a change is landed. */
async function created(tarballs) {
  const able = existsSync('/usr/sbin/postfix') && process.getuid() === 0
  if (able) return checkCreated(tarballs, work, run('npm', ['config', 'get', 'registry']).trim())
  const what = 'a message through a new plugin needs Postfix and root: node scripts/setup-test.mjs'
  if (process.env.CI === 'true') throw new Error(what)
  console.warn(`left out: ${what}`)
}

/** Starts the installed daemon, waits until it says it listens, and ends it. */
async function runsAndEnds(home) {
  const daemon = spawn(process.execPath, ['node_modules/milterhost/bin/milterhost.mjs', 'run'], { cwd: home })
  let said = ''
  for (const stream of [daemon.stdout, daemon.stderr]) stream.on('data', chunk => (said += chunk))
  const ended = new Promise(done => daemon.on('exit', code => done(code)))
  const late = Date.now() + 30_000
  while (!said.includes('m.sock')) {
    if (Date.now() > late || daemon.exitCode !== null) throw new Error(`the installed daemon did not start:\n${said}`)
    await new Promise(done => setTimeout(done, 50))
  }
  daemon.kill('SIGTERM')
  const code = await ended
  if (code !== 0) throw new Error(`the installed daemon ended with ${code}:\n${said}`)
}
