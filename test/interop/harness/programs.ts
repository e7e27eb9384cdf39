// Tests against real programs, where these may be missing: visible skip on a developer's machine, failure in CI.

import { existsSync, readFileSync } from 'node:fs'
import { describe, test } from 'vitest'
import { sendmailRoot } from './rig.ts'

/** Names in rig/needs.json. 'postfix' and 'sendmail' also need root. */
export type Program =
  | 'milters'
  | 'installing'
  | 'postfix'
  | 'sendmail'
  | 'sasl'
  | 'openssl'
  | 'opendkim'
  | 'opendkim-tools'
  | 'dkimpy'
  | 'pymilter'
  | 'perl-milter'
  | 'miltertest'
  | 'dns'
  | 'postfix-tables'
  | 'postgres'
  | 'mariadb'
  | 'slapd'
  | 'redis'
  | 'systemd'
  | 'script'
  | 'browser'

/** What is missing of these, in words; empty if nothing is. */
export function missingPrograms(...programs: Program[]): string[] {
  const needs = JSON.parse(readFileSync(new URL('../rig/needs.json', import.meta.url), 'utf8')) as {
    programs: Record<Program, string[]>
  }
  const missing = programs.filter(
    program => !needs.programs[program].every(file => existsSync(file.replace('$SENDMAIL', sendmailRoot()))),
  ) as string[]
  const wantsRoot = programs.includes('postfix') || programs.includes('sendmail')
  return wantsRoot && process.getuid?.() !== 0 ? [...missing, 'root'] : missing
}

/**
 * `describe` for a suite that needs programs. Where one is missing, the suite is one skipped test that says what and how to get it;
 * with CI=true that test fails.
 *
 *     requirePrograms('postfix', 'opendkim')('OpenDKIM behind Postfix', () => { ... })
 */
export function requirePrograms(...programs: Program[]): (name: string, suite: () => void) => void {
  const missing = missingPrograms(...programs)
  if (missing.length === 0) return describe
  const note = `needs ${missing.join(', ')}: node scripts/setup-test.mjs, as root`
  return name => {
    describe(name, () => {
      test(note, context => {
        if (process.env.CI === 'true') throw new Error(note)
        console.warn(`skipped: ${name}: ${note}`)
        context.skip(note)
      })
    })
  }
}
