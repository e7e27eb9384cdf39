// Installing a milter package is all that a postmaster should do: Debian's own packages, nine milters, on a machine that systemd boots with
// them, found, taken up and run as one chain behind real Postfix. All nine run; what they are told beyond their installation is
// rig/machine/milters.sh. No name leaves the machine: SpamAssassin and rspamd ask their lists of the rig's name server, which knows none, and
// rspamd has no Redis. The signatures of clamd are one of our own, of the EICAR test file.

import { beforeAll, describe, expect, it } from 'vitest'
import { arrived, bySubject, letter } from '../chain/letter.ts'
import {
  type Machine,
  type MailReplies,
  type Postfix,
  requirePrograms,
  smtp,
  startMachine,
  startPostfix,
  until,
} from '../harness/index.ts'
import { flow } from '../reload/flow.ts'
import { type InstalledHost, startInstalledHost } from './installed.ts'

const SERVICES = [
  ...['opendkim', 'opendmarc', 'pyspf-milter', 'dkimpy-milter', 'mimedefang', 'rspamd'],
  ...['clamav-daemon', 'clamav-milter', 'amavis', 'amavisd-milter', 'spamd', 'spamass-milter'],
]

/** In the order of the chain: where each listens, as whom it runs, how many seconds it gets at the end of a message. */
const MILTERS: readonly [name: string, address: string, user: string, end: number | undefined][] = [
  ['dkimpy-milter', 'unix:/run/dkimpy-milter/dkimpy-milter.sock', 'dkimpy-milter', undefined],
  ['opendkim', 'unix:/run/opendkim/opendkim.sock', 'opendkim', undefined],
  ['pyspf-milter', 'inet:8893@localhost', 'pyspf-milter', undefined],
  ['opendmarc', 'unix:/run/opendmarc/opendmarc.sock', 'opendmarc', undefined],
  ['clamav-milter', 'unix:/var/run/clamav/clamav-milter.ctl', 'clamav', 130],
  ['amavisd-milter', 'unix:/var/lib/amavis/amavisd-milter.sock', 'amavis', 310],
  ['mimedefang', 'unix:/var/spool/MIMEDefang/mimedefang.sock', 'defang', 600],
  ['rspamd', 'inet:11332@localhost', '_rspamd', 130],
  ['spamass-milter', 'unix:/var/spool/postfix/spamass/spamass.sock', 'spamass-milter', 600],
]
const NAMES = MILTERS.map(([name]) => name)
const FOR_REMOTE_MAIL = ['pyspf-milter', 'opendmarc', 'spamass-milter']

/** An address that the SPF record of example.com lists. */
const OUTSIDE = '198.51.100.7'
// In two parts, lest a scanner takes this file for what it is about.
const EICAR = 'X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-' + 'ANTIVIRUS-TEST-FILE!$H+H*\r\n'
const GTUBE = 'XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-' + 'ANTI-UBE-TEST-EMAIL*C.34X\r\n'

interface Found {
  readonly name: string
  readonly address: { readonly value: string }
  readonly user: { readonly value: string }
  readonly timeouts: { readonly command?: { readonly value: number }; readonly end?: { readonly value: number } }
  readonly used: boolean
}

requirePrograms('postfix', 'milters')('the milters of Debian, as their packages install and start them', () => {
  let machine: Machine
  let host: InstalledHost
  let postfix: Postfix

  beforeAll(async () => {
    machine = await startMachine('milters.sh', SERVICES)
    host = await startInstalledHost(machine, NAMES)
    postfix = await startPostfix({ milters: [host.address] })
  }, 300_000)

  async function send(data: string, from?: string): Promise<MailReplies> {
    const client = await smtp(postfix.port)
    if (from !== undefined) await client.command(`XCLIENT ADDR=${from} NAME=spike.example.com`)
    const replies = await client.mail({ from: 'alice@example.com', to: 'bob@example.net', data })
    await client.quit()
    return replies
  }

  async function delivered(subject: string): Promise<ReturnType<typeof arrived>> {
    const wanted = async () => (await postfix.deliveries()).some(mail => arrived(mail).all('Subject')[0] === subject)
    await until(`"${subject}" is delivered`, wanted)
    return arrived(bySubject(await postfix.deliveries(), subject))
  }

  describe('milterhost detect', () => {
    let found: Found[]
    beforeAll(async () => {
      const { milters, warnings } = JSON.parse(await host.command('detect', '--json'))
      expect(warnings).toEqual([])
      found = milters
    })

    it.each(MILTERS)('finds %s at %s, run by %s, with its time, in use', (name, address, user, end) => {
      const milter = found.find(candidate => candidate.name === name)
      expect(milter).toMatchObject({ address: { value: address }, user: { value: user }, used: true })
      expect(milter?.timeouts.end?.value).toBe(end)
      expect(milter?.timeouts.command?.value).toBe(name === 'pyspf-milter' ? 30 : undefined)
    })

    it('finds no other, and puts them into the order of the chain', () => {
      expect(found.map(({ name }) => name)).toEqual(NAMES)
    })
  })

  describe('as one chain behind Postfix', () => {
    it('sign our own mail, which the three for mail from outside are not asked about', async () => {
      expect((await send(letter('ours'))).last.text).toMatch(/^250 /)
      const mail = await delivered('ours')
      expect(mail.all('DKIM-Signature').join()).toMatch(/\bd=example\.com\b.*\bs=rig\b/s)
      expect(host.chains().at(-1)).toEqual(NAMES.filter(name => !FOR_REMOTE_MAIL.includes(name)))
    })

    it('let signed mail from outside through, on which each left its trace', async () => {
      const [signature] = (await delivered('ours')).all('DKIM-Signature')
      // Its subject is signed, so that it is the same again; X-Copy tells the two apart.
      const signed = `DKIM-Signature: ${signature}\r\nX-Copy: yes\r\n${letter('ours')}`
      expect((await send(signed, OUTSIDE)).last.text).toMatch(/^250 /)
      const copies = async () => (await postfix.deliveries()).map(arrived).find(({ all }) => all('X-Copy').length > 0)
      const mail = await until('the copy is delivered', copies)
      const results = mail.all('Authentication-Results').map(field => field.replaceAll(/\s+/g, ' '))
      expect(results).toEqual([
        expect.stringMatching(/^mx\.rig\.example; dmarc=pass /),
        expect.stringMatching(/^mx\.rig\.example; spf=pass /),
        expect.stringMatching(/^opendkim\.rig\.example; dkim=pass /),
        expect.stringMatching(/^mx\.rig\.example; dkim=pass \(Good 2048 bit/),
      ])
      expect(mail.all('X-Virus-Scanned').join()).toMatch(/^clamav-milter \d.* at mx\.rig\.example$/)
      expect(mail.all('X-Scanned-By').join()).toMatch(/^MIMEDefang /)
      expect(mail.all('X-Rspamd-Server')).toEqual(['mx.rig.example'])
      expect(mail.all('X-Spam-Status').join()).toMatch(/^No, .*DKIM_VALID/s)
      expect(mail.all('X-Spam-Checker-Version').join()).toMatch(/^SpamAssassin .* on mx\.rig\.example$/)
      const amavis = await machine.run('journalctl', '--unit', 'amavis', '--no-pager', '--output', 'cat')
      expect(amavis).toMatch(
        /Passed CLEAN .*AM\.PDP-SOCK \[198\.51\.100\.7\] .*<alice@example\.com> -> <bob@example\.net>/,
      )
      expect(host.chains().at(-1)).toEqual(NAMES)
    })

    it('give the SPF result of one to the DMARC of another', async () => {
      expect((await send(letter('unsigned'), OUTSIDE)).last.text).toMatch(/^250 /)
      const results = (await delivered('unsigned')).all('Authentication-Results')
      expect(results.map(field => /\b(?:dmarc|spf|dkim)=\w+/.exec(field)?.[0])).toEqual(['dmarc=pass', 'spf=pass'])
    })

    it('refuse a virus by clamav-milter and spam by rspamd, and what rspamd does not see SpamAssassin marks', async () => {
      const refusing = (): string | undefined => host.log().findLast(({ msg }) => msg === 'message')?.by
      expect((await send(letter('virus', EICAR), OUTSIDE)).last.text).toMatch(/^550 5\.7\.1 /)
      expect(refusing()).toBe('clamav-milter')
      expect((await send(letter('spam', GTUBE), OUTSIDE)).last.text).toBe('554 5.7.1 Gtube pattern\r\n')
      expect(refusing()).toBe('rspamd')
      await host.command('disable', 'rspamd')
      expect((await send(letter('marked', GTUBE), OUTSIDE)).last.text).toMatch(/^250 /)
      await host.command('enable', 'rspamd')
      const mail = await delivered('marked')
      expect(mail.all('X-Spam-Flag')).toEqual(['YES'])
      expect(mail.all('X-Rspamd-Server')).toEqual([])
    })
  })

  it('come and go while mail flows, by the machine and by milterhost, and no session fails', {
    timeout: 300_000,
  }, async () => {
    const mail = flow(postfix.port, { clients: 2, address: OUTSIDE })
    const before = host.chains().length
    const without = (name: string): string[] => NAMES.filter(other => other !== name)
    /** Until a message of a new session is done, which has to have been judged by these. */
    const judgedBy = async (names: readonly string[]): Promise<void> => {
      await host.settled()
      const done = host.chains().length
      await until(`messages go through ${names.join()}`, () => host.chains().length > done + 3, 90)
      expect(
        new Set(
          host
            .chains()
            .slice(done)
            .map(chain => chain.join()),
        ),
      ).toEqual(new Set([names.join()]))
    }
    const says = async (what: string, name: string): Promise<void> => {
      await until(`the log has ${what} ${name}`, () =>
        host.log().some(({ msg, milter }) => msg === what && milter === name),
      )
      await until(
        'it has reloaded',
        () => host.log().findLast(({ msg }) => msg === 'reloaded' || msg === what)?.msg === 'reloaded',
      )
    }
    await judgedBy(NAMES)
    // One with a unit of systemd, one with an init script.
    for (const name of ['opendmarc', 'spamass-milter']) {
      await machine.run('systemctl', 'disable', name)
      await says('a milter of this machine is not in use any more', name)
      await judgedBy(without(name))
      await machine.run('systemctl', 'stop', name)
      await judgedBy(without(name))
      await machine.run('systemctl', 'enable', name)
      await machine.run('systemctl', 'start', name)
      await says('a milter of this machine is in use now', name)
      await judgedBy(NAMES)
    }
    await host.command('disable', 'mimedefang')
    await judgedBy(without('mimedefang'))
    await host.command('enable', 'mimedefang')
    await judgedBy(NAMES)
    await mail.stop()
    expect(mail.trouble).toEqual([])
    expect(host.log().filter(({ level }) => level === 'error')).toEqual([])
    // No message saw a part of one chain and a part of another.
    const chains = new Set(
      host
        .chains()
        .slice(before)
        .map(chain => chain.join()),
    )
    expect(chains).toEqual(new Set([NAMES, ...['opendmarc', 'spamass-milter', 'mimedefang'].map(without)].map(String)))
  })
})
