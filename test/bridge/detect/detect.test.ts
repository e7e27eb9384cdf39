/** Detection where files are missing, masked, unreadable or lead astray. */

import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { detect } from '../../../src/bridge/detect/index.ts'
import { enable, installOpendkim, testTree } from './tree.ts'

describe('detection', () => {
  it('finds nothing on a machine without milters, and on none at all', () => {
    expect(detect(testTree().root)).toMatchObject({ milters: [], warnings: [] })
    expect(detect('/nowhere/at/all')).toMatchObject({ milters: [], warnings: [] })
  })

  it('follows links inside the root only', () => {
    const tree = testTree()
    installOpendkim(tree, 8891)
    tree.remove('/etc/opendkim.conf')
    tree.file('/srv/opendkim.conf', 'Socket inet:7777@127.0.0.1\n')
    tree.link('/etc/opendkim.conf', '/srv/../../../srv/opendkim.conf')
    expect(detect(tree.root).milters[0]?.address.value).toBe('inet:7777@127.0.0.1')
  })

  it('warns of links that go round, and goes on', () => {
    const tree = testTree()
    installOpendkim(tree, 8891)
    tree.remove('/etc/opendkim.conf')
    tree.link('/etc/opendkim.conf', '/etc/opendkim.conf')
    const { milters, warnings } = detect(tree.root)
    expect(milters).toEqual([])
    expect(warnings).toContainEqual({
      file: '/etc/opendkim.conf',
      line: 0,
      what: 'cannot be read: its symbolic links go round in a circle',
    })
  })

  it('is not held by a FIFO, and takes no folder for a file', () => {
    const tree = testTree()
    installOpendkim(tree, 8891)
    tree.remove('/etc/opendkim.conf')
    execFileSync('mkfifo', [join(tree.root, 'etc/opendkim.conf')])
    mkdirSync(join(tree.root, 'etc/opendmarc.conf'))
    expect(detect(tree.root).milters).toEqual([])
  })

  it('warns of a file it may not read', () => {
    const tree = testTree()
    installOpendkim(tree, 8891)
    chmodSync(tree.root, 0o755)
    chmodSync(join(tree.root, 'etc/opendkim.conf'), 0)
    const root = process.geteuid?.() === 0
    if (root) process.seteuid?.(65_534)
    try {
      expect(detect(tree.root).warnings[0]).toMatchObject({ what: 'cannot be read: permission denied' })
    } finally {
      if (root) process.seteuid?.(0)
    }
  })

  it('warns of a file that is too large, and of a socket that is none', () => {
    const tree = testTree()
    installOpendkim(tree, 8891)
    tree.file('/etc/opendkim.conf', 'Socket inet:eight@nowhere\n')
    expect(detect(tree.root).warnings).toEqual([
      { file: '/etc/opendkim.conf', line: 1, what: 'opendkim: the socket "inet:eight@nowhere" cannot be read' },
    ])
    writeFileSync(join(tree.root, 'etc/opendkim.conf'), Buffer.alloc(2 * 1024 * 1024, 35))
    expect(detect(tree.root).warnings[0]?.what).toContain('too many')
  })

  it('finds no masked unit, and takes the one of /etc before the package', () => {
    const tree = testTree()
    installOpendkim(tree, 8891)
    enable(tree, 'opendkim.service')
    tree.file(
      '/etc/systemd/system/opendkim.service',
      '[Service]\nExecStart=/usr/sbin/opendkim -p inet:9999@127.0.0.1\n',
    )
    expect(detect(tree.root).milters[0]).toMatchObject({
      address: { value: 'inet:9999@127.0.0.1' },
      enabled: { value: true },
    })
    tree.remove('/etc/systemd/system/opendkim.service')
    tree.link('/etc/systemd/system/opendkim.service', '/dev/null')
    expect(detect(tree.root).milters).toEqual([])
  })

  it('asks a milter that listens on every IPv6 address on this machine', () => {
    const tree = testTree({
      '/usr/lib/systemd/system/clamav-milter.service': '[Service]\nExecStart=/usr/sbin/clamav-milter\n',
      '/etc/mail/clamav-milter.conf': 'MilterSocket inet:7357@[::]\n',
    })
    expect(detect(tree.root).milters.map(({ address }) => address.value)).toEqual(['inet6:7357@::1'])
  })

  it('takes of two units that start the same milter the one that is enabled, else the first', () => {
    const unit = (more: string): string =>
      `[Service]\nEnvironmentFile=-/etc/sysconfig/spamass-milter\n${more}ExecStart=/usr/sbin/spamass-milter -p \${SOCKET} $MORE -m\n`
    const tree = testTree({
      '/usr/lib/systemd/system/spamass-milter.service': unit('User=sa-milt\n'),
      '/usr/lib/systemd/system/spamass-milter-root.service': unit(''),
      // Nothing is set in it: braces give an argument all the same, an empty one, and -m is none of the socket's.
      '/etc/sysconfig/spamass-milter': '#SOCKET=/somewhere\n',
    })
    const found = () => {
      const { milters, warnings } = detect(tree.root)
      expect(warnings).toEqual([])
      return milters.map(({ name, address, user, launch }) => [name, address.value, user?.value, launch?.value])
    }
    const socket = 'unix:/run/spamass-milter/spamass-milter.sock'
    expect(found()).toEqual([['spamass-milter', socket, 'sa-milt', { systemd: 'spamass-milter.service' }]])
    enable(tree, 'spamass-milter-root.service')
    expect(found()).toEqual([['spamass-milter', socket, undefined, { systemd: 'spamass-milter-root.service' }]])
  })

  it('starts by the init script on a machine without systemd', () => {
    const tree = testTree()
    installOpendkim(tree, 8891)
    tree.file('/etc/init.d/opendkim', '#!/bin/sh\nDAEMON=/usr/sbin/opendkim\n')
    tree.link('/etc/rc2.d/S01opendkim', '../init.d/opendkim')
    expect(detect(tree.root).milters[0]).toMatchObject({
      launch: { value: { service: 'opendkim' } },
      enabled: { value: true },
    })
    tree.file('/usr/lib/systemd/systemd', '')
    expect(detect(tree.root).milters[0]).toMatchObject({
      launch: { value: { systemd: 'opendkim.service' } },
      enabled: { value: false },
    })
  })

  it('puts pyspf-milter behind dkimpy-milter, which removes its result, and before OpenDMARC, which reads it', () => {
    const tree = testTree()
    for (const [name, socket] of [
      ['opendmarc', 'Socket inet:8894@localhost'],
      ['pyspf-milter', 'Socket = inet:8893@localhost'],
      ['dkimpy-milter', 'Socket inet:8892@localhost'],
    ] as const) {
      tree.file(`/usr/lib/systemd/system/${name}.service`, `[Service]\nExecStart=/usr/bin/${name} /etc/${name}.conf\n`)
      tree.file(`/etc/${name}.conf`, `${socket}\n`)
      enable(tree, `${name}.service`)
    }
    expect(detect(tree.root).milters.map(({ name }) => name)).toEqual(['dkimpy-milter', 'pyspf-milter', 'opendmarc'])
  })

  it('does not run what a script would run, nor believe it', () => {
    const tree = testTree({
      '/etc/init.d/spamass-milter': '#!/bin/sh\nDAEMON=/usr/sbin/spamass-milter\nSOCKET=`touch /tmp/never`/x.sock\n',
      '/etc/default/spamass-milter': 'SOCKET=$(hostname)/spam.sock\n',
    })
    expect(detect(tree.root)).toMatchObject({
      milters: [],
      warnings: [{ what: 'spamass-milter is installed, but nothing says where it listens' }],
    })
  })

  it('never throws, whatever the files hold', { timeout: 120_000 }, () => {
    const places = [
      '/etc/opendkim.conf',
      '/etc/rspamd/rspamd.conf',
      '/etc/milter-greylist/greylist.conf',
      '/etc/default/mimedefang',
      '/etc/init.d/spamass-milter',
      '/etc/rc.conf',
      '/etc/postfix/main.cf',
      '/etc/mail/sendmail.mc',
      '/etc/mail/sendmail.cf',
      '/usr/lib/systemd/system/opendkim.service',
      '/usr/local/etc/rc.d/milter-opendkim',
    ]
    const tree = testTree(Object.fromEntries(places.map(path => [path, ''])))
    for (const unit of ['rspamd', 'milter-greylist', 'mimedefang'])
      tree.file(
        `/usr/lib/systemd/system/${unit}.service`,
        `[Service]\nEnvironmentFile=/etc/default/${unit}\nExecStart=/bin/x\n`,
      )
    const bits = [
      '$',
      '${',
      '}',
      '{',
      '"',
      "'",
      '\\',
      '\n',
      '#',
      '=',
      ':',
      ' ',
      '-p',
      '$A',
      '${A:-',
      '$(',
      '`',
      '[',
      ']',
      '%i',
      '%',
      '/*',
      ';',
      'A=',
      'A=$A$A\n',
      'Socket ',
      'socket "',
      'tarpit 99999999999h',
      'smtpd_milters = ',
      'X a, S=',
      "INPUT_MAIL_FILTER(`a', `S=",
      'worker "rspamd_proxy" {\n',
      '.include "',
      '[Service]\n',
      'ExecStart=',
      'name=',
      ': ${x:=',
      'inet:1@',
      'unix:/',
      '\0',
      'ß',
      '&',
      '|',
    ]
    const text = fc
      .array(fc.oneof(fc.constantFrom(...bits), fc.string({ maxLength: 8 })), { maxLength: 60 })
      .map(parts => parts.join(''))
    fc.assert(
      fc.property(fc.constantFrom(...places), text, (path, content) => {
        tree.file(path, content)
        const { milters } = detect(tree.root)
        for (const { address } of milters) expect(address.value).toMatch(/^(?:unix:\/|inet6?:\d+@)/)
      }),
      { numRuns: 300 },
    )
  })
})
