// What detection finds in the files of Debian's own packages, unpacked side by side and enabled as their installation enables them.

import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { detect, type FoundMilter } from '../../../src/bridge/detect/index.ts'
import { requirePrograms } from '../harness/programs.ts'
import { rig, sendmailRoot } from '../harness/rig.ts'

const PACKAGES = [
  'opendkim',
  'opendmarc',
  'pyspf-milter',
  'dkimpy-milter',
  'spamass-milter',
  'clamav-milter',
  'rspamd',
  'mimedefang',
  'amavisd-milter',
]

requirePrograms('apt')('Debian’s packages, unpacked', () => {
  let root: string
  let found: ReadonlyMap<string, FoundMilter>

  beforeAll(async () => {
    const cache = join(dirname(sendmailRoot()), 'milters')
    await rig('milters-fetch', cache, ...PACKAGES)
    root = mkdtempSync(join(tmpdir(), 'milterhost-packages-'))
    for (const name of PACKAGES) install(join(cache, name), root)
    found = new Map(detect(root).milters.map(milter => [milter.name, milter]))
  }, 300_000)

  afterAll(() => rmSync(root, { recursive: true, force: true }))

  it.each<[string, string, string, number | undefined]>([
    ['opendkim', 'unix:/run/opendkim/opendkim.sock', 'opendkim', undefined],
    ['opendmarc', 'unix:/run/opendmarc/opendmarc.sock', 'opendmarc', undefined],
    ['pyspf-milter', 'inet:8893@localhost', 'pyspf-milter', undefined],
    ['dkimpy-milter', 'unix:/run/dkimpy-milter/dkimpy-milter.sock', 'dkimpy-milter', undefined],
    ['spamass-milter', 'unix:/var/run/spamass/spamass.sock', 'spamass-milter', 600],
    ['clamav-milter', 'unix:/var/run/clamav/clamav-milter.ctl', 'clamav', 130],
    ['rspamd', 'inet:11332@localhost', '_rspamd', 130],
    ['mimedefang', 'unix:/var/spool/MIMEDefang/mimedefang.sock', 'defang', 600],
    ['amavisd-milter', 'unix:/var/lib/amavis/amavisd-milter.sock', 'amavis', 310],
  ])('hold %s at %s, run by %s', (name, address, user, end) => {
    const milter = found.get(name)
    expect(milter?.address.value).toBe(address)
    expect(milter?.user?.value).toBe(user)
    expect(milter?.timeouts.end?.value).toBe(end)
    expect(milter?.enabled.value).toBe(true)
    expect(milter?.idle).toBeNull()
  })

  it('give pyspf-milter the time of a look-up for an answer', () => {
    expect(found.get('pyspf-milter')?.timeouts.command?.value).toBe(30)
  })

  it('have nothing beside them and leave nothing to warn of', () => {
    expect([...found.keys()].sort()).toEqual([...PACKAGES].sort())
    expect(detect(root).warnings).toEqual([])
  })

  it('put spamass-milter into the chroot of a Postfix that is installed', () => {
    writeFileSync(join(root, 'usr/sbin/postfix'), '')
    const milter = detect(root).milters.find(({ name }) => name === 'spamass-milter')
    expect(milter?.address.value).toBe('unix:/var/spool/postfix/spamass/spamass.sock')
  })
})

/** What detection reads of a package, and what its installation adds: links, and clamav-milter's file out of debconf. */
function install(source: string, root: string): void {
  for (const folder of ['etc', 'lib/systemd', 'usr/lib/systemd', 'usr/sbin']) {
    const from = join(source, folder)
    if (existsSync(from)) cpSync(from, join(root, folder), { recursive: true, verbatimSymlinks: true })
  }
  const wants = join(root, 'etc/systemd/system/multi-user.target.wants')
  mkdirSync(wants, { recursive: true })
  for (const folder of ['lib/systemd/system', 'usr/lib/systemd/system']) {
    for (const unit of existsSync(join(source, folder)) ? readdirSync(join(source, folder)) : []) {
      if (unit.endsWith('.service')) symlinkSync(`/${folder}/${unit}`, join(wants, unit))
    }
  }
  mkdirSync(join(root, 'etc/rc2.d'), { recursive: true })
  for (const script of existsSync(join(source, 'etc/init.d')) ? readdirSync(join(source, 'etc/init.d')) : []) {
    symlinkSync(`../init.d/${script}`, join(root, 'etc/rc2.d', `S01${script}`))
  }
  if (!source.endsWith('/clamav-milter')) return
  const templates = readFileSync(join(source, 'DEBIAN/templates'), 'utf8')
  const answer = (name: string): string =>
    new RegExp(`^Template: clamav-milter/${name}\\n(?:.+\\n)*?Default: (.*)$`, 'm').exec(templates)?.[1] ?? ''
  const lines = ['MilterSocket', 'User', 'ReadTimeout', 'PidFile'].map(name => `${name} ${answer(name)}`)
  mkdirSync(join(root, 'etc/clamav'), { recursive: true })
  writeFileSync(join(root, 'etc/clamav/clamav-milter.conf'), `${lines.join('\n')}\n`)
}
