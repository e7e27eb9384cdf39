import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { milterhost, place } from './support.ts'

describe('milterhost doctor', () => {
  it('says what is wrong with a sendmail.cf, where, and what to write, and ends with 1', () => {
    const { path, file } = place()
    file('milterhost.config.ts', "export default { listen: 'unix:/nowhere/m.sock' }")
    const cf = file('sendmail.cf', 'DZ8.17.1\nO InputMailFilters=milterhost\nXmilterhost, S=unix:/nowhere/m.sock\n')
    const { code, out, err } = milterhost(['doctor', '--sendmail-cf', cf], { cwd: path })
    expect(err).toBe('')
    expect(code).toBe(1)
    expect(out).toContain(
      `wrong   SENDMAIL_FLAG  milterhost has no F=: while milterhost cannot be reached, Sendmail lets mail`,
    )
    expect(out).toContain(
      `        at     ${cf}:3\n        write  INPUT_MAIL_FILTER(\`milterhost', \`S=unix:/nowhere/m.sock, F=T`,
    )
    expect(out).toMatch(/^\d+ wrong, \d+ could be better, \d+ checks ok$/m)
    const json = JSON.parse(milterhost(['doctor', '--sendmail-cf', cf, '--json'], { cwd: path }).out)
    expect(json.looked).toMatchObject({ sendmail: `Sendmail 8.17.1, ${cf}`, postfix: null })
    expect(json.findings.map(({ code }: { code: string }) => code)).toContain('SOCKET_ABSENT')
    const all = milterhost(['doctor', '--sendmail-cf', cf, '--verbose'], { cwd: path }).out
    expect(all).toContain('ok      CHAIN_SPELLING  Addresses of milters are spelt as the MTA reads them')
  })

  it('names a file that it cannot read, and ends with 2', () => {
    const { path } = place()
    writeFileSync(join(path, 'milterhost.config.ts'), 'export default {}')
    const { code, err } = milterhost(['doctor', '--sendmail-cf', '/nowhere/sendmail.cf'], { cwd: path })
    expect(code).toBe(2)
    expect(err).toContain('the Sendmail configuration /nowhere/sendmail.cf cannot be read')
  })
})
