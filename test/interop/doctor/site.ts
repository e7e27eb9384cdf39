// Sites for the doctor: a configuration of Postfix or Sendmail in a folder of its own, with a running milterhost that it asks. A test
// plants one fault in a healthy site and compares what is found.

import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Diagnosis, diagnose, gatherSite, type Machine, thisMachine } from '../../../src/bridge/doctor/index.ts'
import { validateConfig } from '../../../src/host/config/validate.ts'
import { createLog } from '../../../src/host/observe/output.ts'
import { MetricsRegistry } from '../../../src/host/plugin/metrics.ts'
import type { Dns } from '../../../src/host/plugin/services.ts'
import { systemClock } from '../../../src/host/time/clock.ts'
import { tempDir } from '../harness/index.ts'
import { sendmailRoot } from '../harness/rig.ts'

export interface Planted {
  /** Of milterhost. */
  config?: Record<string, unknown>
  machine?: Partial<Machine>
}

export interface PostfixPlanted extends Planted {
  /** Parameters of main.cf instead of the healthy ones; '' leaves one out. */
  main?: Record<string, string>
  /** master.cf instead of the healthy one. */
  master?: string
}

export const MASTER = `smtp       inet  n - y - - smtpd
submission inet  n - y - - smtpd
  -o smtpd_sasl_auth_enable=yes
cleanup    unix  n - y - 0 cleanup
`

/** What the doctor is given beside the files; its look-ups are asked of nobody. */
export async function examine(
  where: { postfix?: string; sendmail?: string },
  { config = {}, machine = {} }: Planted,
): Promise<Diagnosis> {
  const clock = systemClock
  const log = createLog({ clock, level: 'error', format: 'json', write: () => {} })
  const site = await gatherSite({
    configuration: validateConfig(config, 'milterhost.config.ts'),
    file: 'milterhost.config.ts',
    postfix: where.postfix ?? null,
    sendmail: where.sendmail ?? null,
    // The temporary folder of a test may be in memory, and its disk small: the faults of that kind are planted.
    machine: { ...thisMachine(), fileSystem: () => ({ inMemory: false, free: 1e12 }), ...machine },
    clock,
    log,
    services: { dns: {} as Dns, metrics: new MetricsRegistry() },
  })
  return diagnose(site)
}

/** Writes main.cf and master.cf with these settings; the folder. */
export function postfixFiles(queue: string, milters: string, { main = {}, master = MASTER }: PostfixPlanted): string {
  const directory = tempDir('doctor-postfix')
  const settings = {
    compatibility_level: '3.6',
    queue_directory: queue,
    smtpd_milters: milters,
    non_smtpd_milters: '$smtpd_milters',
    milter_default_action: 'tempfail',
    ...main,
  }
  const lines = Object.entries(settings).flatMap(([name, value]) => (value === '-' ? [] : [`${name} = ${value}`]))
  writeFileSync(join(directory, 'main.cf'), `# a comment\n${lines.join('\n')}\n`)
  writeFileSync(join(directory, 'master.cf'), master)
  // Postfix's programs read a file of less than two seconds again until it is older.
  const before = new Date(Date.now() - 60_000)
  for (const name of ['main.cf', 'master.cf']) utimesSync(join(directory, name), before, before)
  return directory
}

/** A sendmail.cf made by m4 from these lines; the file. */
export function sendmailFile(mc: readonly string[], version?: string): string {
  const directory = tempDir('doctor-sendmail')
  const source = join(directory, 'sendmail.mc')
  const parts = join(sendmailRoot(), 'usr/share/sendmail/cf')
  const lines = [
    'divert(-1)dnl',
    `include(\`${parts}/m4/cf.m4')dnl`,
    "OSTYPE(`linux')dnl",
    "undefine(`confHOST_STATUS_DIRECTORY')dnl",
    ...mc,
    "MAILER(`smtp')dnl",
  ]
  writeFileSync(source, `${lines.join('\n')}\n`)
  const file = join(directory, 'sendmail.cf')
  const made = execFileSync('m4', [`-D_CF_DIR_=${parts}/`, source], {
    encoding: 'latin1',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  writeFileSync(file, version === undefined ? made : made.replace(/^DZ.*$/m, `DZ${version}`))
  return file
}

/** A folder for a socket that the MTA may pass through. */
export function folder(path: string, mode = 0o755): string {
  mkdirSync(path, { recursive: true })
  chmodSync(path, mode)
  return path
}
