// docs/installing.md, word for word: on a Debian that systemd boots, the commands of the page, the packages as they are published, Postfix as
// Debian installs it. Then what the other pages say of the units: reload, end, sandbox, sockets of systemd, the launcher. One machine, on
// which one thing is done after the other.

import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Machine, requirePrograms, rigPath, startMachine, until } from '../harness/index.ts'
import { blocks, Installed } from './installed.ts'
import { type NpmEnvironment, publishOn } from './packages.ts'

const PLUGIN = readFileSync(new URL('./probe.ts', import.meta.url), 'utf8')
const CONFIG = '/etc/milterhost/milterhost.config.ts'

const configuration = (filters: string, more = "listen: 'inet:10025@127.0.0.1',"): string =>
  `import { defineConfig, detected, socket } from 'milterhost'
import greylist from 'milter-plugin-greylist'
import probe from './probe.ts'

export default defineConfig({ ${more} filters: [${filters}] })
`

/** A milter for the launcher to start, and one that systemd starts when somebody connects. */
const MILTERS: Readonly<Record<string, string>> = {
  '/etc/milterhost/launch.json': JSON.stringify({
    greeter: {
      command: ['/usr/bin/python3', '-B', '/usr/local/lib/greeter.py', 'local:/run/greeter/milter.sock'],
      user: 'daemon',
      umask: '007',
    },
    sleeper: { systemd: 'sleeper.socket' },
  }),
  '/etc/systemd/system/sleeper.socket': `[Socket]
ListenStream=/run/sleeper.sock
SocketGroup=milterhost
SocketMode=0660
`,
  '/etc/systemd/system/sleeper.service': `[Unit]
Requires=sleeper-milter.service
After=sleeper-milter.service
[Service]
ExecStart=/lib/systemd/systemd-socket-proxyd /run/sleeper/milter.sock
`,
  '/etc/systemd/system/sleeper-milter.service': `[Service]
RuntimeDirectory=sleeper
Environment=RIG_MILTER_NAME=sleeper
ExecStart=/usr/bin/python3 -B /usr/local/lib/greeter.py local:/run/sleeper/milter.sock
ExecStartPost=/bin/sh -c 'until [ -S /run/sleeper/milter.sock ]; do sleep 0.1; done'
`,
}

/** The page's own way to send a message. */
const SWAKS = 'swaks --server 127.0.0.1 --to you@example.com'

requirePrograms('postfix', 'installing')('milterhost, installed as its guide says', () => {
  let machine: Machine
  let npm: NpmEnvironment
  let here: Installed

  beforeAll(async () => {
    machine = await startMachine('postfix.sh', ['postfix'])
    here = new Installed(machine)
    npm = await publishOn(machine)
  }, 300_000)

  const page = (heading: string): string => blocks('installing.md', heading)[0]!

  describe('from an empty machine to a message', () => {
    it('is a program that everybody can call', async () => {
      expect(await machine.shell(page('1. The program'), npm)).toMatch(/^v24\.[\s\S]*^\d+\.\d+\.\d+$/m)
    })

    it('has a user, folders and units', async () => {
      await machine.shell(page('2. User, folders, units'), npm)
      const owners = await machine.shell('stat -c "%n %U:%G %a" /etc/milterhost /var/lib/milterhost /run/milterhost')
      expect(owners.trim().split('\n')).toEqual([
        '/etc/milterhost root:root 755',
        '/var/lib/milterhost milterhost:milterhost 700',
        '/run/milterhost milterhost:milterhost 755',
      ])
    })

    it('has a configuration, made of what Postfix is told', async () => {
      expect(await machine.shell(page('3. The configuration'), npm)).toContain(`${CONFIG}: valid`)
    })

    it('serves, and Postfix asks it', async () => {
      const said = await machine.shell(page('5. Start it, and tell the MTA'))
      expect(said).toMatch(/^milterhost \S+, pid \d+, serving for .*, listens on inet:10025@127\.0\.0\.1$/m)
      expect(said).toMatch(/^0 wrong, /m)
      expect(await here.unit('milterhost', 'ActiveState')).toBe('active')
      expect(readFileSync(new URL('../../../docs/installing.md', import.meta.url), 'utf8')).toContain(SWAKS)
      expect(await machine.shell(SWAKS)).toContain('250 2.0.0 Ok: queued')
      expect((await here.said(/^message /)).text).toContain('to=<you@example.com> ')
      expect((await here.journal()).filter(({ priority }) => priority < 6)).toEqual([])
    })
  })

  describe('the daemon as a service', () => {
    it('takes a new configuration, with a plugin of npm and one of its own', async () => {
      await here.write('/etc/milterhost/probe.ts', PLUGIN)
      await here.write(
        CONFIG,
        configuration("greylist({}, { mode: 'observe' }), probe()", "spool: { memory: '1KiB' },"),
      )
      await machine.run('systemctl', 'reload', 'milterhost')
      expect((await here.status()).filters.map(({ name }) => name)).toEqual(['greylist', 'probe'])
      await here.send('by a plugin')
      expect(await here.delivered('by a plugin')).toMatch(/^X-Probe: \d+$/m)
    })

    it('writes with the priorities that journald knows', async () => {
      const priority = async (pattern: RegExp): Promise<number> => (await here.said(pattern)).priority
      expect(await priority(/^what the daemon may do/)).toBe(6)
      expect(await priority(/^a warning of a plugin/)).toBe(4)
      expect(await priority(/^an error of a plugin/)).toBe(3)
    })

    it('may do what the documentation promises, and nothing else', async () => {
      const { text } = await here.said(/^what the daemon may do/)
      expect(JSON.parse(JSON.parse(/may=("(?:[^"\\]|\\.)*")/.exec(text)![1]!))).toEqual({
        state: 'done',
        runtime: 'done',
        temporary: 'done',
        configuration: 'EACCES',
        programs: 'EROFS',
        kernel: 'ENOENT',
        homes: 'EACCES',
        connections: 'done',
        processes: 'ENOENT',
        namespaces: true,
        lowPort: 'EACCES',
      })
      expect(await machine.shell('ls /tmp')).not.toMatch(/^probe$/m)
      const exposure = await machine.shell('systemd-analyze security --no-pager milterhost.service | tail -1')
      expect(Number(/: ([\d.]+)/.exec(exposure)?.[1])).toBeLessThanOrEqual(1.5)
    })

    it('keeps large messages in files, where nobody else sees them', async () => {
      await machine.shell('head -c 300000 /dev/zero | tr "\\0" x | fold -w 70 > /tmp/large.txt')
      await here.send('large', '--attach', '@/tmp/large.txt')
      expect(Number(/^X-Probe: (\d+)$/m.exec(await here.delivered('large'))?.[1])).toBeGreaterThan(300_000)
    })

    it('sees a client leave while it is held', async () => {
      await machine.shell('timeout 2 swaks --server 127.0.0.1 --to you+held@example.com || true')
      await here.said(/^client left /)
    })

    it('refuses a broken configuration, says why, and serves on', async () => {
      await here.write(CONFIG, 'export default { filterz: [] }\n')
      await expect(machine.run('systemctl', 'reload', 'milterhost')).rejects.toThrow(
        /Job for milterhost.service failed/,
      )
      expect((await here.said(/filterz/)).text).toContain('line 1: filterz is not an option')
      expect((await here.status()).filters.map(({ name }) => name)).toEqual(['greylist', 'probe'])
      await here.write(CONFIG, configuration("greylist({}, { mode: 'observe' }), probe()"))
    })

    it('remembers what was switched when it is started again', async () => {
      await machine.run('milterhost', 'disable', 'greylist')
      await machine.run('systemctl', 'restart', 'milterhost')
      const { filters } = await here.status()
      expect(filters.map(({ name, enabled }) => [name, enabled])).toEqual([
        ['greylist', false],
        ['probe', true],
      ])
      await machine.run('milterhost', 'enable', 'greylist')
    })

    it('finishes its messages when it is stopped', async () => {
      const sent = here.send('in work', '--header', 'X-Slowly: yes')
      await here.said(/^at work on a message/)
      await machine.run('systemctl', 'stop', 'milterhost')
      expect(await sent).toContain('250 2.0.0 Ok: queued')
      expect(await here.unit('milterhost', 'Result')).toBe('success')
      expect((await here.said(/^ended/)).priority).toBe(6)
    })
  })

  it('listens in the chroot of Postfix', async () => {
    const listen =
      "listen: { address: 'unix:/var/spool/postfix/milterhost/milterhost.sock', mode: '0660', group: 'postfix' }"
    expect(readFileSync(new URL('../../../docs/installing.md', import.meta.url), 'utf8')).toContain(`\`${listen}\``)
    await machine.shell(page('4. The socket'))
    await here.write(CONFIG, configuration('probe(), ...detected()', `${listen},`))
    await machine.shell(`
      systemctl start milterhost
      postconf -e 'smtpd_milters = unix:milterhost/milterhost.sock'
      postfix reload
      milterhost doctor --config /etc/milterhost`)
    await here.send('through the chroot')
    expect(await here.delivered('through the chroot')).toMatch(/^X-Probe: /m)
    expect((await here.status()).filters.map(({ name }) => name)).toEqual(['probe'])
  })

  it('is started by the socket unit, whose socket is no milter of this machine, and restarts behind it', async () => {
    await here.write(CONFIG, configuration('probe(), ...detected()', ''))
    await machine.shell(`
      postconf -e 'smtpd_milters = inet:127.0.0.1:10025'
      postfix reload
      ${blocks('operating.md', 'Sockets of systemd')[0]!}
      systemctl stop milterhost.service`)
    await here.send('to a socket')
    expect(await here.delivered('to a socket')).toMatch(/^X-Probe: /m)
    expect(await here.status()).toMatchObject({ listen: ['inet:10025@127.0.0.1'], filters: [{ name: 'probe' }] })
    await machine.run('systemctl', 'restart', '--no-block', 'milterhost')
    expect(await here.send('meanwhile')).toContain('250 2.0.0 Ok: queued')
    expect(await here.delivered('meanwhile')).toMatch(/^X-Probe: /m)
    await machine.run('systemctl', 'disable', '--now', 'milterhost.socket')
  })

  describe('the launcher as a service', () => {
    beforeAll(async () => {
      await machine.shell(`cp ${rigPath('lib/pymilter_sample.py')} /usr/local/lib/greeter.py`)
      for (const [path, text] of Object.entries(MILTERS)) await here.write(path, text)
      await machine.shell(`
        install -d -o daemon -g milterhost -m 2750 /run/greeter
        systemctl daemon-reload
        systemctl start sleeper.socket milterhost.service`)
    })

    it('takes the place of the other unit, and starts a milter as another user', async () => {
      const filters = `probe(),
        socket('greeter', 'unix:/run/greeter/milter.sock', { launch: { launcher: 'greeter' } }),
        socket('sleeper', 'unix:/run/sleeper.sock', { launch: { systemd: 'sleeper.socket' } })`
      await here.write(CONFIG, configuration(filters))
      await machine.shell(blocks('launching.md', 'The launcher').at(-1)!)
      expect(await here.unit('milterhost', 'ActiveState')).toBe('inactive')
      await until('both milters are up', async () => {
        const { filters } = await here.status()
        return filters.every(({ health }) => health === undefined || health.state === 'up')
      })
      expect(await here.send('by a milter')).toContain('250 2.0.0 Ok: queued')
      expect(await here.delivered('by a milter')).toMatch(/^X-Rig-Milter: sleeper\n[\s\S]*^X-Rig-Milter: pymilter\n/m)
      const users = await machine.shell(`ps -eo user:12=,args= | grep -E '[/]run/greeter|[m]ilterhost run'`)
      expect(users.split('\n').map(line => line.split(' ')[0])).toEqual(
        expect.arrayContaining(['root', 'milterhost', 'daemon']),
      )
      expect(users).toMatch(/^milterhost .*node \S+milterhost run$/m)
      expect(users).toMatch(/^daemon .*greeter\.py/m)
    })

    it('leaves a milter to the socket that systemd has for it, and has that socket opened when it is closed', async () => {
      const starts = async (): Promise<number> =>
        (await here.journal('milterhost-launcher')).filter(({ text }) =>
          /^external milter is being started: .* filter=sleeper /.test(text),
        ).length
      expect(await here.unit('sleeper.service', 'ActiveState')).toBe('active')
      expect(await starts()).toBe(0)
      await machine.run('systemctl', 'stop', 'sleeper.socket', 'sleeper.service', 'sleeper-milter.service')
      await until('mail passes it again', async () => (await here.send('again')).includes('250 2.0.0 Ok: queued'))
      expect(await starts()).toBeGreaterThan(0)
      expect(await here.unit('sleeper.socket', 'ActiveState')).toBe('active')
    })

    it('reads what may be started again with a reload, and refuses what is broken', async () => {
      const unit = 'milterhost-launcher'
      await machine.run('systemctl', 'reload', unit)
      await here.said(/launch\.json read again: 2 milters may be started/, unit)
      await here.write('/etc/milterhost/launch.json', '{')
      await expect(machine.run('systemctl', 'reload', unit)).rejects.toThrow(`Job for ${unit}.service failed`)
      expect((await here.said(/^LAUNCHER_FILE: /, unit)).priority).toBe(3)
      await here.write('/etc/milterhost/launch.json', MILTERS['/etc/milterhost/launch.json']!)
      const exposure = await machine.shell(`systemd-analyze security --no-pager ${unit} | tail -1`)
      expect(Number(/: ([\d.]+)/.exec(exposure)?.[1])).toBeLessThanOrEqual(3)
    })

    it('ends with its milters, and begins again by the socket unit', async () => {
      await machine.run('systemctl', 'stop', 'milterhost-launcher')
      expect(await here.unit('milterhost-launcher', 'Result')).toBe('success')
      expect(await machine.shell(`ps -eo args= | grep -c '[/]run/greeter' || true`)).toBe('0\n')
      await here.write(
        '/run/systemd/system/milterhost.socket.d/launcher.conf',
        '[Socket]\nService=milterhost-launcher.service\n',
      )
      await machine.shell('systemctl daemon-reload; systemctl start milterhost.socket')
      await until('mail passes', async () => (await here.send('by the socket')).includes('250 2.0.0 Ok: queued'))
      expect(await here.delivered('by the socket')).toMatch(/^X-Rig-Milter: pymilter\n/m)
      await machine.run('systemctl', 'disable', '--now', 'milterhost.socket', 'milterhost-launcher')
    })
  })

  it('is upgraded and taken away again', async () => {
    await here.write(CONFIG, configuration('probe()'))
    await machine.run('systemctl', 'enable', '--now', 'milterhost')
    const said = await machine.shell(page('Later'), npm)
    expect(said).toMatch(/removed \d+ packages/)
    expect(await here.unit('milterhost', 'UnitFileState')).toBe('disabled')
    expect(await machine.shell('ls /usr/bin/milterhost* /usr/lib/node_modules/milterhost 2>/dev/null || true')).toBe('')
  })

  it('lives in a folder of its own just as well', async () => {
    await machine.shell(blocks('installing.md', '1. The program')[1]!, npm)
    await machine.run('systemctl', 'start', 'milterhost')
    await here.send('from a folder of its own')
    expect(await here.delivered('from a folder of its own')).toMatch(/^X-Probe: /m)
    expect(await machine.run('milterhost-launcher', '--check')).toMatch(/^greeter {2}/)
  })
})
