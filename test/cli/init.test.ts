import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { requirePrograms } from '../interop/harness/index.ts'
import { milterhost, type Place, place } from './support.ts'

const written = ({ path }: Place): string => readFileSync(join(path, 'milterhost.config.ts'), 'utf8')

describe('milterhost init', () => {
  it('writes a configuration that check takes, and the lines for the MTA', () => {
    const here = place()
    const cf = here.file(
      'sendmail.cf',
      'DZ8.17.1\nO InputMailFilters=clamav, milterhost\nXclamav, S=inet:7357@127.0.0.1, F=T\nXmilterhost, S=unix:/run/m.sock\n',
    )
    const { code, out, err } = milterhost(['init', '--sendmail-cf', cf], { cwd: here.path })
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toContain("INPUT_MAIL_FILTER(`milterhost', `S=unix:/run/milterhost/milterhost.sock, F=T,")
    expect(written(here)).toBe(`// By milterhost init, for Sendmail 8.17.1 (${cf}).
import { defineConfig, detected, socket } from 'milterhost'

export default defineConfig({
  listen: 'unix:/run/milterhost/milterhost.sock',
  filters: [
    // The MTA asks it now (${cf}:3); take it out there.
    socket('clamav', 'inet:7357@127.0.0.1'),
    // Every enabled milter of this machine: milterhost detect shows them.
    ...detected(),
  ],
})
`)
    expect(milterhost(['list'], { cwd: here.path, env: { MILTERHOST_DETECT_ROOT: here.path } }).out).toContain(
      'inet:7357@127.0.0.1',
    )
  })

  it('does not write over a file, unless it is told to', () => {
    const here = place()
    const cf = here.file('sendmail.cf', '')
    here.file('milterhost.config.ts', '// mine\n')
    const again = milterhost(['init', '--sendmail-cf', cf], { cwd: here.path })
    expect(again).toMatchObject({ code: 2, err: expect.stringContaining('--force replaces it') })
    expect(written(here)).toBe('// mine\n')
    expect(milterhost(['init', '--sendmail-cf', cf, '--force'], { cwd: here.path }).code).toBe(0)
    expect(milterhost(['check'], { cwd: here.path, env: { MILTERHOST_DETECT_ROOT: here.path } }).code).toBe(0)
  })

  it('makes the folder, and says why it cannot', () => {
    const here = place()
    const cf = here.file('sendmail.cf', '')
    expect(milterhost(['init', '--sendmail-cf', cf, '-o', 'a/b/milterhost.config.ts'], { cwd: here.path }).code).toBe(0)
    const { code, err } = milterhost(['init', '--sendmail-cf', cf, '-o', `${cf}/b/c.ts`], { cwd: here.path })
    expect(code).toBe(2)
    expect(err).toContain('cannot be written')
  })
})

requirePrograms('postfix')('milterhost init beside Postfix', () => {
  it('takes over the milters that Postfix asks, its limits and its patience', () => {
    const here = place()
    const etc = join(here.path, 'postfix')
    mkdirSync(etc)
    writeFileSync(
      join(etc, 'main.cf'),
      `compatibility_level = 3.6
queue_directory = /var/spool/postfix
smtpd_milters = unix:opendkim/opendkim.sock, { inet:127.0.0.1:8893, command_timeout=10s }, inet:127.0.0.1:10025
non_smtpd_milters = unix:opendkim/opendkim.sock
default_process_limit = 4000
milter_command_timeout = 10s
`,
    )
    writeFileSync(join(etc, 'master.cf'), 'smtp inet n - y - - smtpd\ncleanup unix n - y - 0 cleanup\n')
    const { code, out, err } = milterhost(['init', '--postfix-dir', etc], { cwd: here.path })
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toContain('smtpd_milters = inet:127.0.0.1:10025')
    const text = written(here)
    expect(text).toContain("listen: 'inet:10025@127.0.0.1'")
    expect(text).toContain("socket('opendkim', 'unix:/var/spool/postfix/opendkim/opendkim.sock')")
    expect(text).toContain("socket('milter-8893', 'inet:8893@127.0.0.1')")
    expect(text.match(/socket\('/g)).toHaveLength(2)
    expect(text).toContain('limits: { sessions: 5000 }')
    expect(text).toContain("budget: { command: '8s' }")
    expect(milterhost(['list'], { cwd: here.path, env: { MILTERHOST_DETECT_ROOT: here.path } }).code).toBe(0)
  })
})
