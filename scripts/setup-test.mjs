// setup-test.mjs: puts in place the real MTAs and milters that test/interop runs against, and the browser that looks at the site.
//
// As root on a Debian-like system it installs the missing packages of test/interop/rig/needs.json and unpacks Sendmail in a cache
// folder; elsewhere it says what is missing and how to get it. Nothing is removed, no daemon is started. With everything in place
// it does nothing, in a few milliseconds. `npm test` runs it first. Plain JavaScript, so that it runs on the system's Node.
//
// The interop tests skip, visibly, what is missing; with CI=true (or --require) that is a failure instead.

import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const HELP = `usage: node scripts/setup-test.mjs [--check] [--require]
  Installs what test/interop needs (as root on Debian) or says what is missing.
  --check     only say what is missing
  --require   exit 1 if something is missing in the end (the default when CI=true)`

const POLICY = '/usr/sbin/policy-rc.d'
const rig = fileURLToPath(new URL('../test/interop/rig', import.meta.url))
const isRoot = process.getuid !== undefined && process.getuid() === 0
const cache = isRoot ? '/var/cache' : process.env.XDG_CACHE_HOME || join(homedir(), '.cache')
const sendmailRoot = process.env.SENDMAIL_ROOT || join(cache, 'milterhost-test', 'sendmail')
const needed = JSON.parse(readFileSync(join(rig, 'needs.json'), 'utf8')).packages

const options = process.argv.slice(2)
const unknown = options.find(o => !['--check', '--require', '--help', '-h'].includes(o))
if (unknown !== undefined || options.includes('--help') || options.includes('-h')) {
  console.log(unknown === undefined ? HELP : `unknown option ${unknown}\n${HELP}`)
  process.exit(unknown === undefined ? 0 : 2)
}
const required = options.includes('--require') || process.env.CI === 'true'

function missingPackages() {
  if (!existsSync('/var/lib/dpkg/status')) return needed
  const installed = new Set()
  for (const entry of readFileSync('/var/lib/dpkg/status', 'latin1').split('\n\n')) {
    const name = /^Package: (.*)$/m.exec(entry)
    if (name && /^Status: \S+ ok installed$/m.test(entry)) installed.add(name[1])
  }
  return needed.filter(name => !installed.has(name))
}

const ANSWERS = [
  'postfix postfix/main_mailer_type select No configuration',
  // a database in the MariaDB that the tests use
  'opendmarc opendmarc/dbconfig-install boolean false',
]
const SPAMASSASSIN_KEYS = '/var/lib/spamassassin/sa-update-keys'

const sendmailMissing = () => !existsSync(join(sendmailRoot, 'usr/libexec/sendmail/sendmail'))

const APT = ['-o', 'DPkg::Lock::Timeout=500']
// --no-remove: on a machine that runs another MTA, installing postfix would take that one away
const installLine = names => ['install', '-y', '--no-install-recommends', '--no-remove', ...APT, ...names]

function run(program, args, input) {
  const result = spawnSync(program, args, {
    input,
    encoding: 'utf8',
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', SENDMAIL_ROOT: sendmailRoot },
  })
  if (result.status === 0) return true
  const why = result.error
    ? result.error.message
    : `${result.stderr || result.stdout}`.trim().split('\n').slice(-5).join('\n')
  console.error(`setup-test: ${program} ${args.join(' ')} failed:\n${why}`)
  return false
}

function install(names) {
  const ownPolicy = !existsSync(POLICY)
  // an interrupt ends apt-get; we live on to take our policy file away
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => {})
  if (ownPolicy) writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    if (!run('apt-get', ['update', ...APT])) return
    if (names.length === 0) return
    console.error(`setup-test: installing ${names.join(' ')}`)
    const answers = ANSWERS.filter(line => names.includes(line.split(' ')[0]))
    if (answers.length > 0) run('debconf-set-selections', [], `${answers.join('\n')}\n`)
    run('apt-get', installLine(names))
    // left behind by the installation of spamassassin
    if (existsSync(SPAMASSASSIN_KEYS) && existsSync('/usr/bin/gpgconf'))
      run('gpgconf', ['--homedir', SPAMASSASSIN_KEYS, '--kill', 'all'])
  } finally {
    if (ownPolicy) rmSync(POLICY, { force: true })
  }
}

const isDebian = existsSync('/usr/bin/apt-get')
if (isRoot && isDebian && !options.includes('--check')) {
  const names = missingPackages()
  if (names.length > 0 || sendmailMissing()) install(names)
  if (sendmailMissing() && missingPackages().length === 0) {
    console.error(`setup-test: unpacking Sendmail in ${sendmailRoot}`)
    run(join(rig, 'bin/sendmail-fetch'), [sendmailRoot])
  }
}

const names = missingPackages()
if (names.length > 0 || sendmailMissing()) {
  const lines = [
    '',
    'The tests against real MTAs and milters need more than this machine has, and are skipped where it is missing.',
  ]
  if (names.length > 0) {
    lines.push(
      'On Debian 12, as root:',
      ...ANSWERS.map(line => `  echo "${line}" | debconf-set-selections`),
      `  apt-get update && DEBIAN_FRONTEND=noninteractive apt-get ${installLine(names).join(' ')}`,
    )
  }
  if (sendmailMissing())
    lines.push('Sendmail, unpacked and not installed:', `  test/interop/rig/bin/sendmail-fetch ${sendmailRoot}`)
  if (!isRoot)
    lines.push(
      'or both by: sudo node scripts/setup-test.mjs',
      'The tests themselves need root for Postfix and Sendmail.',
    )
  console.error(`${lines.join('\n')}\n`)
  if (required) process.exit(1)
}
