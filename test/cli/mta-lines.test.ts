import { describe, expect, it } from 'vitest'
import { parseSocketAddress } from '../../src/bridge/wire/index.ts'
import { mtaLines, mtaText } from '../../src/cli/mta-lines.ts'

const lines = (address: string): ReturnType<typeof mtaLines> => mtaLines(parseSocketAddress(address, 'listen'))

describe('the lines for an MTA', () => {
  it.each([
    ['inet:10025@127.0.0.1', 'inet:127.0.0.1:10025', 'inet:10025@127.0.0.1'],
    ['inet:mail.example.org:10025', 'inet:mail.example.org:10025', 'inet:10025@mail.example.org'],
    ['inet6:10025@::1', 'inet:[::1]:10025', 'inet6:10025@::1'],
    ['inet:10025', 'inet:127.0.0.1:10025', 'inet:10025@127.0.0.1'],
    ['inet6:10025', 'inet:[::1]:10025', 'inet6:10025@::1'],
    ['/run/milterhost/m.sock', 'unix:/run/milterhost/m.sock', 'unix:/run/milterhost/m.sock'],
    [
      'unix:/var/spool/postfix/milterhost/m.sock',
      'unix:milterhost/m.sock',
      'unix:/var/spool/postfix/milterhost/m.sock',
    ],
  ])('at %s name %s to Postfix and %s to Sendmail', (address, postfix, sendmail) => {
    const { postfix: mainCf, sendmail: mc } = lines(address)
    expect(mainCf[0]).toBe(`smtpd_milters = ${postfix}`)
    expect(mc).toEqual([`INPUT_MAIL_FILTER(\`milterhost', \`S=${sendmail}, F=T, T=C:30s;S:30s;R:30s;E:5m')dnl`])
  })

  it('put mail off when milterhost cannot be reached, for mail by SMTP and other mail', () => {
    expect(lines('inet:10025@127.0.0.1').postfix).toEqual([
      'smtpd_milters = inet:127.0.0.1:10025',
      'non_smtpd_milters = $smtpd_milters',
      'milter_default_action = tempfail',
      'milter_connect_timeout = 30s',
      'milter_command_timeout = 30s',
      'milter_content_timeout = 300s',
    ])
  })

  it('on TCP advise a UNIX socket for Sendmail', () => {
    expect(lines('inet:10025@127.0.0.1').notes).toEqual([expect.stringMatching(/^Sendmail: .*UNIX socket.*42 ms/)])
  })

  it('on a UNIX socket outside of the queue directory warn of the chroot', () => {
    expect(lines('unix:/run/m.sock').notes).toEqual([expect.stringMatching(/^Postfix: a chrooted smtpd cannot reach/)])
    expect(lines('unix:/var/spool/postfix/m.sock').notes).toEqual([])
  })

  it('can be copied', () => {
    expect(mtaText(parseSocketAddress('unix:/var/spool/postfix/m.sock', 'listen'))).toBe(`Postfix, in main.cf:
  smtpd_milters = unix:m.sock
  non_smtpd_milters = $smtpd_milters
  milter_default_action = tempfail
  milter_connect_timeout = 30s
  milter_command_timeout = 30s
  milter_content_timeout = 300s
Sendmail, in the .mc file:
  INPUT_MAIL_FILTER(\`milterhost', \`S=unix:/var/spool/postfix/m.sock, F=T, T=C:30s;S:30s;R:30s;E:5m')dnl`)
  })
})
