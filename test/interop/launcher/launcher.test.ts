// The whole of it as it is installed: the launcher as root, the real milterhost as a user without rights, a milter of the real libmilter as
// another user, and Postfix. Root is needed, and a checkout that others may read.

import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, expect, test } from 'vitest'
import { askControl } from '../../../src/daemon/control/client.ts'
import { asRootForOthers, folder, inspect, isRunning } from '../../bridge/launch/places.ts'
import { arrived, letter } from '../chain/letter.ts'
import { onCleanup, type Postfix, requirePrograms, smtp, startPostfix, until } from '../harness/index.ts'

const ROOT = resolve(import.meta.dirname, '../../..')
const SAMPLE = fileURLToPath(new URL('../rig/lib/pymilter_sample.py', import.meta.url))
/** milterhost is nobody:nogroup; the milter is daemon, with the group of milterhost on its socket. */
const [NOBODY, NOGROUP, DAEMON, MAIL] = [65534, 65534, 1, 8]
const NONE = /^0{16}$/

const openFiles = (pid: number): string[] =>
  readdirSync(`/proc/${pid}/fd`).map(fd => readlinkSync(`/proc/${pid}/fd/${fd}`))

requirePrograms('postfix', 'pymilter')('behind Postfix', () => {
  asRootForOthers('the launcher, with milterhost as nobody', () => {
    const place = folder()
    const own = (name: string, user: number, group: number, mode: number): string => {
      const path = join(place, name)
      mkdirSync(path)
      chownSync(path, user, group)
      chmodSync(path, mode)
      return path
    }
    let launcher: ChildProcess
    let ended: Promise<number | null>
    let said = ''
    let postfix: Postfix
    let control: string
    let milterhost: number
    let milter: number

    const newMilter = (before: number): Promise<number> =>
      until(
        () => `the launcher to start it: ${said}`,
        () => {
          const last = [...said.matchAll(/^greeter: (?:re)?start: running, process (\d+)$/gm)].at(-1)
          return last !== undefined && Number(last[1]) !== before && Number(last[1])
        },
      )
    /** Sent again while it is put off, as MTAs do. */
    const passes = (subject: string): Promise<unknown> =>
      until(`${subject} to be taken`, async () => {
        const client = await smtp(postfix.port)
        const { last } = await client.mail({
          from: 'a@example.com',
          to: 'bob@example.net',
          data: letter(subject, 'x\r\n'),
        })
        await client.quit()
        return last.code === 250
      })

    beforeAll(async () => {
      const bin = join(ROOT, 'bin/milterhost.mjs')
      const [hostDir, milterDir] = [own('host', NOBODY, NOGROUP, 0o711), own('milter', DAEMON, NOGROUP, 0o750)]
      control = join(hostDir, 'control.sock')
      const sockets = { host: `unix:${join(hostDir, 'milter.sock')}`, milter: join(milterDir, 'milter.sock') }
      const file = join(place, 'launch.json')
      const greeter = {
        command: ['/usr/bin/python3', '-B', SAMPLE, '--log', join(milterDir, 'events.txt'), `local:${sockets.milter}`],
        user: 'daemon',
        group: 'nogroup',
        groups: ['mail'],
        umask: '007',
        directory: milterDir,
        env: { LANG: 'C.UTF-8' },
        limits: { nofile: 500 },
      }
      writeFileSync(file, JSON.stringify({ greeter }), { mode: 0o644 })
      const config = join(place, 'milterhost.config.ts')
      writeFileSync(
        config,
        `import { defineConfig, socket } from 'milterhost'
export default defineConfig({
  listen: { address: '${sockets.host}', mode: 0o666 },
  spool: { directory: '${join(hostDir, 'spool')}' },
  filters: [socket('greeter', 'unix:${sockets.milter}', { launch: { launcher: 'greeter' } })],
})
`,
      )
      const args = [join(ROOT, 'bin/milterhost-launcher.mjs'), '--file', file, '--user', 'nobody', '--']
      launcher = spawn(process.execPath, [...args, process.execPath, bin, 'run', '--config', config], {
        cwd: place,
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { ...process.env, JOURNAL_STREAM: '', RUNTIME_DIRECTORY: hostDir, STATE_DIRECTORY: hostDir },
      })
      ended = new Promise(done => launcher.once('exit', code => done(code)))
      launcher.stderr!.setEncoding('utf8').on('data', text => {
        said += text
      })
      onCleanup(async () => {
        launcher.kill('SIGKILL')
        await ended
      })
      milter = await newMilter(0)
      milterhost = Number(/milterhost runs as nobody, process (\d+)/.exec(said)![1])
      postfix = await startPostfix({ milters: [`{ ${sockets.host}, default_action=accept }`] })
    })

    test('mail passes a milter that was not there before', async () => {
      await passes('first')
      const [message] = await postfix.waitForDeliveries(1)
      expect(arrived(message!).all('X-Rig-Milter')).toEqual(['pymilter'])
    })

    test('milterhost is nobody, with no way back', () => {
      const { status } = inspect(milterhost)
      expect(status.get('Uid')).toBe(`${NOBODY}\t${NOBODY}\t${NOBODY}\t${NOBODY}`)
      expect(status.get('Gid')).toBe(`${NOGROUP}\t${NOGROUP}\t${NOGROUP}\t${NOGROUP}`)
      expect(status.get('Groups')).toBe('')
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) expect(status.get(set), set).toMatch(NONE)
      expect(status.get('NoNewPrivs')).toBe('1')
    })

    test('the milter has what its entry says, and no file of anybody else', () => {
      const { status, limits, env, directory, session } = inspect(milter)
      expect(status.get('Uid')).toBe(`${DAEMON}\t${DAEMON}\t${DAEMON}\t${DAEMON}`)
      expect(status.get('Gid')).toBe(`${NOGROUP}\t${NOGROUP}\t${NOGROUP}\t${NOGROUP}`)
      expect(status.get('Groups')).toBe(String(MAIL))
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) expect(status.get(set), set).toMatch(NONE)
      expect(status.get('NoNewPrivs')).toBe('1')
      expect(limits.get('Max open files')).toMatch(/^500 +500$/)
      const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
      expect(env).toEqual(['HOME=/usr/sbin', 'LANG=C.UTF-8', 'LOGNAME=daemon', path, 'USER=daemon'])
      expect(directory).toBe(join(place, 'milter'))
      expect(session).toBe(milter)
      expect(readlinkSync(`/proc/${milter}/fd/0`)).toBe('/dev/null')
      const output = ['1', '2'].map(fd => readlinkSync(`/proc/${milter}/fd/${fd}`))
      const others = new Set([...openFiles(launcher.pid!), ...openFiles(milterhost)].filter(one => /^\w+:\[/.test(one)))
      // What it shares is the other end of its two outputs.
      expect(
        openFiles(milter).filter(one => others.has(one) && !output.includes(one) && !one.startsWith('anon_inode:')),
      ).toEqual([])
    })

    test('one that is killed is there again, as the same user, and mail passes', async () => {
      const before = milter
      process.kill(before, 'SIGKILL')
      // Nobody looks after it while there is no mail.
      await passes('after its death')
      milter = await newMilter(before)
      expect(inspect(milter).status.get('Uid')).toMatch(/^1\t/)
      const [, second] = await postfix.waitForDeliveries(2)
      expect(arrived(second!).all('X-Rig-Milter')).toEqual(['pymilter'])
    })

    test('the command restart goes through the launcher', async () => {
      const before = milter
      const { close } = await askControl(control, { do: 'restart', filter: 'greeter' })
      close()
      milter = await newMilter(before)
      expect(isRunning(before)).toBe(false)
      await passes('after a restart')
    })

    test('all end with the launcher', async () => {
      launcher.kill('SIGTERM')
      expect(await ended).toBe(0)
      expect([milter, milterhost].filter(isRunning)).toEqual([])
    })
  })
})
