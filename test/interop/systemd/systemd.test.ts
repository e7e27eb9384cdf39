// The units that are shipped, judged by systemd itself; its notifications and its sockets, by its own programs. Nothing is booted: the
// machine of the tests need not run systemd.

import { execFileSync, spawn } from 'node:child_process'
import { copyFileSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { askControl } from '../../../src/daemon/control/client.ts'
import { freePort, mtaClient, onCleanup, requirePrograms, tempDir, until } from '../harness/index.ts'

const ROOT = resolve(import.meta.dirname, '../../..')
const UNITS = join(ROOT, 'systemd')
const BIN = join(ROOT, 'bin/milterhost.mjs')

interface Started {
  readonly pid: number
  said(): string
  readonly ended: Promise<number | null>
  kill(signal: NodeJS.Signals): void
}

function run(command: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv): Started {
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, JOURNAL_STREAM: '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => (text += chunk))
  const ended = new Promise<number | null>(done => child.once('close', code => done(code)))
  onCleanup(async () => {
    child.kill('SIGKILL')
    await ended
  })
  return { pid: child.pid!, said: () => text, ended, kill: signal => void child.kill(signal) }
}

/** A folder with a configuration that listens nowhere in particular. */
function place(listen: string, filters = ''): string {
  const dir = tempDir('systemd')
  writeFileSync(
    join(dir, 'milterhost.config.mjs'),
    `import { detected } from 'milterhost'\nexport default { listen: '${listen}', filters: [${filters}] }\n`,
  )
  return dir
}

const ofItsOwn = (dir: string): NodeJS.ProcessEnv => ({ RUNTIME_DIRECTORY: dir, STATE_DIRECTORY: dir })

requirePrograms('systemd')('with systemd', () => {
  const exposure = (unit: string): number => {
    const text = execFileSync('systemd-analyze', ['security', '--offline=true', '--no-pager', join(UNITS, unit)], {
      encoding: 'utf8',
    })
    return Number(/Overall exposure level for \S+: ([\d.]+)/.exec(text)?.[1])
  }

  test.each([
    ['milterhost.service', 1.5],
    ['milterhost-launcher.service', 3],
  ])('%s is exposed at most %d of 10', (unit, most) => {
    expect(exposure(unit)).toBeGreaterThan(0)
    expect(exposure(unit)).toBeLessThanOrEqual(most)
  })

  test('a stop of the unit with the launcher goes to the launcher alone, so that milterhost gets its SIGTERM once', () => {
    expect(readFileSync(join(UNITS, 'milterhost-launcher.service'), 'utf8').match(/^KillMode=.*$/gm)).toEqual([
      'KillMode=mixed',
    ])
  })

  test('every unit and configuration that is shipped is understood by systemd, to the last line', () => {
    const dir = tempDir('units')
    for (const name of readdirSync(UNITS)) copyFileSync(join(UNITS, name), join(dir, name))
    const units = readdirSync(UNITS).filter(name => /\.(service|socket)$/.test(name))
    expect(units.sort()).toEqual(['milterhost-launcher.service', 'milterhost.service', 'milterhost.socket'])
    // What is not installed here has a stand-in that is.
    for (const name of units) {
      const text = readFileSync(join(UNITS, name), 'utf8').replaceAll(/^(Exec\w+=)milterhost\S*/gm, '$1/usr/bin/env')
      writeFileSync(join(dir, name), text)
    }
    const verified = execFileSync(
      'sh',
      ['-c', 'systemd-analyze verify --man=no "$@" 2>&1', 'sh', ...units.map(name => join(dir, name))],
      {
        encoding: 'utf8',
      },
    )
    expect(verified.split('\n').filter(line => line.includes('milterhost'))).toEqual([])
    for (const [tool, name] of [
      ['systemd-sysusers', 'milterhost.sysusers.conf'],
      ['systemd-tmpfiles', 'milterhost.tmpfiles.conf'],
    ] as const) {
      const root = tempDir('root')
      execFileSync('mkdir', ['-p', join(root, 'etc')])
      writeFileSync(join(root, 'etc/passwd'), 'milterhost:x:990:990::/:/bin/false\n')
      writeFileSync(join(root, 'etc/group'), 'milterhost:x:990:\n')
      // By a milterhost that root ran before it was installed.
      mkdirSync(join(root, 'var/lib/milterhost'), { recursive: true })
      writeFileSync(join(root, 'var/lib/milterhost/greylist.sqlite'), '', { mode: 0o600 })
      execFileSync(tool, [...(tool === 'systemd-tmpfiles' ? ['--create'] : []), `--root=${root}`, join(UNITS, name)], {
        stdio: 'pipe',
      })
      if (tool !== 'systemd-tmpfiles') continue
      expect(statSync(join(root, 'var/lib/milterhost')).mode & 0o777).toBe(0o700)
      const { uid, mode } = statSync(join(root, 'var/lib/milterhost/greylist.sqlite'))
      expect([uid, mode & 0o777]).toEqual([process.getuid?.() === 0 ? 990 : process.getuid?.(), 0o600])
    }
  })

  test('the daemon tells it when it is ready, when it reloads, and when it ends, and that it is alive', async () => {
    const dir = place('inet:0@127.0.0.1')
    const socket = join(dir, 'notify.sock')
    // A datagram socket, which Node does not have.
    const script = `import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1]); print('bound', flush=True)
while True: print(repr(s.recv(4096).decode()), flush=True)`
    const manager = run('/usr/bin/python3', ['-c', script, socket], dir, {})
    await until('it listens', () => manager.said().includes('bound'))
    const env = { ...ofItsOwn(dir), NOTIFY_SOCKET: socket, WATCHDOG_USEC: '2000000' }
    const daemon = run(process.execPath, [BIN, 'run'], dir, env)
    const told = (): string[] => manager.said().split('\n')
    await until('ready', () =>
      told().some(line => line.includes('READY=1') && line.includes('STATUS=0 filters, listening on inet:')),
    )
    await until('alive', () => told().some(line => line.includes('WATCHDOG=1')))
    daemon.kill('SIGHUP')
    await until('ready again', () => told().filter(line => line.includes('READY=1')).length === 2)
    const words = told().flatMap(line => /RELOADING=1\\nMONOTONIC_USEC=\d+|READY=1/.exec(line)?.[0] ?? [])
    expect(words).toEqual(['READY=1', expect.stringMatching(/^RELOADING=1/), 'READY=1'])
    daemon.kill('SIGTERM')
    expect(await daemon.ended).toBe(0)
    await until('ending', () => told().some(line => line.includes('STOPPING=1')))
    expect(daemon.said()).not.toContain('systemd cannot be told')
  })

  test('the daemon listens on the sockets it is given, over a reload, and leaves them where they are', async () => {
    const unused = await freePort()
    const dir = place(`inet:${unused}@127.0.0.1`, '...detected()')
    const [path, port, other] = [join(dir, 'milter.sock'), await freePort(), await freePort()]
    // Of what the MTA of this machine names, two are milterhost itself.
    mkdirSync(join(dir, 'etc/postfix'), { recursive: true })
    writeFileSync(
      join(dir, 'etc/postfix/main.cf'),
      `smtpd_milters = unix:${path} inet:localhost:${port} inet:[::1]:${other}\n`,
    )
    const env = { ...ofItsOwn(dir), NODE_OPTIONS: '--max-semi-space-size=16', MILTERHOST_DETECT_ROOT: dir }
    const args = [
      '-l',
      `[::1]:${other}`,
      '-l',
      path,
      '-l',
      `127.0.0.1:${port}`,
      ...Object.entries(env).flatMap(([name, value]) => ['-E', `${name}=${value}`]),
    ]
    const daemon = run('systemd-socket-activate', [...args, '-E', 'PATH', process.execPath, BIN, 'run'], dir, env)
    await until('systemd listens', () => daemon.said().includes('Listening on'))
    // It is started by the first connection, which is not lost.
    const first = await mtaClient(`inet:127.0.0.1:${port}`)
    await first.negotiate()
    await until('ready', () => daemon.said().includes('listens on'))
    const { result, close } = await askControl(join(dir, 'control.sock'), { do: 'status' })
    close()
    expect(result).toMatchObject({
      pid: daemon.pid,
      listen: [`inet6:${other}@::1`, `unix:${path}`, `inet:${port}@127.0.0.1`],
      filters: [],
    })
    for (const turn of ['before', 'after']) {
      const second = await mtaClient(`unix:${path}`)
      expect((await second.negotiate()).version, turn).toBe(6)
      await second.quit()
      const reloaded = await askControl(join(dir, 'control.sock'), { do: 'reload' })
      reloaded.close()
    }
    await expect(
      new Promise((done, failed) => net.connect(unused, '127.0.0.1').once('connect', done).once('error', failed)),
    ).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await first.quit()
    daemon.kill('SIGTERM')
    expect(await daemon.ended).toBe(0)
    expect(statSync(path).isSocket()).toBe(true)
  })
})
