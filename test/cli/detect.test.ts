/** `milterhost detect`, and a daemon whose machine changes. */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { disable, enable, installOpendkim, testTree } from '../bridge/detect/tree.ts'
import { milterhost, place, start } from './support.ts'

const DEBIAN = resolve(import.meta.dirname, '../bridge/detect/trees/debian-12')

describe('milterhost detect', () => {
  it('prints a table, and for each fact its file and line', { timeout: 60_000 }, () => {
    const { code, out, err } = milterhost(['detect', '--root', DEBIAN])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toMatch(/^opendkim +in use +unix:\/var\/spool\/postfix\/opendkim\/opendkim\.sock +opendkim/m)
    expect(out).toMatch(/^dkimpy-milter +not enabled/m)
    expect(out).toContain('  socket: /etc/systemd/system/opendkim.service.d/override.conf:3\n')
    expect(out).toContain('  timeout end: the default of spamass-milter\n')
  })

  it('prints JSON with the facts and whether each is in use', { timeout: 60_000 }, () => {
    const { out } = milterhost(['detect', '--root', DEBIAN, '--json'])
    const { milters } = JSON.parse(out) as { milters: { name: string; used: boolean }[] }
    const { milters: golden } = JSON.parse(readFileSync(`${DEBIAN}.json`, 'utf8')) as { milters: { name: string }[] }
    expect(milters.map(({ name }) => name)).toEqual(golden.map(({ name }) => name))
    expect(milters.find(({ name }) => name === 'dkimpy-milter')).toMatchObject({ used: false })
  })

  it('prints a configuration that check and list take', { timeout: 90_000 }, () => {
    const at = place()
    const { out } = milterhost(['detect', '--root', DEBIAN, '--configuration'])
    at.file('milterhost.config.ts', out)
    const listed = milterhost(['list', '--json'], { cwd: at.path })
    expect(listed.err).toBe('')
    const { filters } = JSON.parse(listed.out) as { filters: { name: string; what: string; timeouts: object }[] }
    expect(filters.map(({ name }) => name)).not.toContain('dkimpy-milter')
    expect(filters.find(({ name }) => name === 'clamav-milter')).toMatchObject({
      what: 'unix:/var/run/clamav/clamav-milter.ctl',
      timeouts: { end: 190 },
    })
  })
})

describe('milterhost run', () => {
  it('says that no milter was found, and takes one up when it is installed', { timeout: 90_000 }, async () => {
    const tree = testTree()
    const at = place()
    at.file(
      'milterhost.config.ts',
      `import { defineConfig, detected } from 'milterhost'\nexport default defineConfig({ listen: 'unix:${join(at.path, 'm.sock')}', log: { format: 'text' }, filters: [...detected()] })\n`,
    )
    const daemon = start(['run'], at.path, { MILTERHOST_DETECT_ROOT: tree.root })
    await daemon.until('no milter in use was found on this machine')
    await daemon.until('ready')
    // The MTA is told of milterhost, as its guide says, and then there is a milter too.
    tree.file('/etc/postfix/main.cf', `smtpd_milters = unix:${join(at.path, 'm.sock')}\n`)
    installOpendkim(tree, 9)
    enable(tree, 'opendkim.service')
    await daemon.until('a milter of this machine is in use now')
    await daemon.until('reloaded')
    tree.file('/etc/postfix/main.cf', '')
    disable(tree, 'opendkim.service')
    await daemon.until('not in use any more')
    const told = [...daemon.said().matchAll(/of this machine is (?:not )?in use.* milter=(\S+)/g)].map(
      ([, name]) => name,
    )
    expect(told).toEqual(['opendkim', 'opendkim'])
    daemon.process.kill('SIGTERM')
    expect(await daemon.ended).toBe(0)
  })
})
