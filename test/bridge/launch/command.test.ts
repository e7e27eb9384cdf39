/** Commands that milterhost runs itself: real processes, in the stages that util-linux gives. */
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import {
  type LaunchOptions,
  type LaunchSurroundings,
  type ProcessControl,
  processControl,
} from '../../../src/bridge/launch/index.ts'
import { type Logger, silent } from '../../../src/host/observe/logger.ts'
import { systemClock } from '../../../src/host/time/clock.ts'
import { until } from '../../interop/harness/wait.ts'
import { asRoot, folder, inspect, isRunning, readIfThere, script } from './places.ts'

const place = folder()
const never = new AbortController().signal
const made: ProcessControl[] = []
afterEach(async () => {
  for (const control of made.splice(0)) await control.close()
})

function control(launch: LaunchOptions, around: Partial<LaunchSurroundings> = {}): ProcessControl {
  const made_ = processControl(launch, { filter: 'ext', clock: systemClock, log: silent, launcher: null, ...around })
  made.push(made_)
  return made_
}
const sh = (name: string, ...lines: readonly string[]): readonly string[] => [script(join(place, name), ...lines)]
const pidOf = async (milter: ProcessControl): Promise<number> => (await milter.status(never)).pid!

describe('a command', () => {
  test('is started once, told apart from one that never was, and ended', async () => {
    const milter = control({ command: ['/bin/sleep', '600'] })
    expect(milter.description).toBe('command /bin/sleep')
    expect(await milter.status(never)).toEqual({ state: 'stopped', pid: null, detail: 'never started' })
    await Promise.all([milter.start(never), milter.start(never)])
    const pid = await pidOf(milter)
    await milter.start(never)
    expect(await milter.status(never)).toEqual({ state: 'running', pid, detail: 'running' })
    expect(inspect(pid).status.get('Name')).toBe('sleep')
    await milter.stop(never)
    expect(isRunning(pid)).toBe(false)
    expect(await milter.status(never)).toEqual({ state: 'stopped', pid: null, detail: 'ended by SIGTERM' })
  })

  test('has a clean environment, its own session, only three files, and limits that a milter can live with', async () => {
    const milter = control({ command: ['/bin/sleep', '600'], env: { LANG: 'C', SAID: 'a b=c' } })
    await milter.start(never)
    const pid = await pidOf(milter)
    const { env, limits, status, directory, session } = inspect(pid)
    const { username, homedir } = userInfo()
    expect(env).toEqual([
      `HOME=${homedir}`,
      'LANG=C',
      `LOGNAME=${username}`,
      expect.stringMatching(/^PATH=\/usr\/local\/sbin:[^ ]*\/bin$/),
      'SAID=a b=c',
      `USER=${username}`,
    ])
    expect(limits.get('Max open files')).toMatch(/^1024 /)
    expect(limits.get('Max core file size')).toMatch(/^0 +0$/)
    expect(status.get('NoNewPrivs')).toBe('1')
    expect(status.get('Umask')).toBe('0077')
    expect(directory).toBe('/')
    expect(session).toBe(pid)
  })

  test('gets the folder, the limits and the umask that its entry says', async () => {
    const milter = control({
      command: ['/bin/sleep', '600'],
      directory: place,
      limits: { nofile: 100, fsize: 1_000_000, core: 'unlimited' },
      umask: '007',
    })
    await milter.start(never)
    const { limits, status, directory } = inspect(await pidOf(milter))
    expect(directory).toBe(place)
    expect(limits.get('Max open files')).toMatch(/^100 +100$/)
    expect(limits.get('Max file size')).toMatch(/^1000000 +1000000$/)
    expect(limits.get('Max core file size')).toMatch(/^unlimited +unlimited$/)
    expect(status.get('Umask')).toBe('0007')
  })

  test.each<[string, LaunchOptions, RegExp]>([
    ['that is not there', { command: ['/no/such/milter'] }, /could not be started by command .*ended with 127/],
    ['that is no program', { command: [join(place)] }, /ended with 126/],
    ['with a folder that is not there', { command: ['/bin/sleep', '600'], directory: '/no/such' }, /ended with 125/],
    ['with a limit that cannot be', { command: ['/bin/sleep', '600'], limits: { nofile: 2 ** 50 } }, /ended with 1/],
  ])('%s is not started', async (_, launch, message) => {
    const milter = control(launch)
    await expect(milter.start(never)).rejects.toMatchObject({
      code: 'LAUNCH_FAILED',
      message: expect.stringMatching(message),
    })
    expect(await milter.status(never)).toMatchObject({ state: 'failed', pid: null })
  })

  test('is refused limits where there is no util-linux', async () => {
    const milter = control({ command: ['/bin/sleep', '600'], limits: { nofile: 100 } }, { tools: null })
    await expect(milter.start(never)).rejects.toThrow(/limits need prlimit/)
  })

  test('is executed at once where there is no util-linux, with its folder, umask and environment', async () => {
    const launch = { command: ['/bin/sleep', '600'], directory: place, umask: '027', env: { LANG: 'C' } }
    const milter = control(launch, { tools: null })
    await milter.start(never)
    const { status, env, directory, session } = inspect(await pidOf(milter))
    expect(status.get('Umask')).toBe('0027')
    expect(env.filter(one => /^(LANG|PATH)=/.test(one))).toEqual(['LANG=C', expect.stringMatching(/^PATH=\/usr/)])
    expect(env.find(one => one.startsWith('NODE'))).toBeUndefined()
    expect(directory).toBe(place)
    expect(session).toBe(await pidOf(milter))
  })

  test('that dies is told as failed, and can be started again', async () => {
    const milter = control({ command: ['/bin/sleep', '600'] })
    await milter.start(never)
    const pid = await pidOf(milter)
    process.kill(pid, 'SIGKILL')
    await until('it to be known', async () => (await milter.status(never)).state === 'failed')
    expect(await milter.status(never)).toEqual({ state: 'failed', pid: null, detail: 'ended by SIGKILL' })
    await milter.start(never)
    expect(await pidOf(milter)).not.toBe(pid)
  })

  test('that dies takes those along that it had started, which would keep its socket', async () => {
    const milter = control({ command: sh('family', `sleep 600 & echo $! >${place}/worker`, 'wait') })
    await milter.start(never)
    const worker = await until('its worker', () => Number(readIfThere(join(place, 'worker'))) || undefined)
    process.kill(await pidOf(milter), 'SIGKILL')
    await until('its worker to be gone', () => !isRunning(worker))
  })

  test('that does not want to end is made to', async () => {
    const milter = control({
      command: sh('stubborn', "trap '' TERM", `echo ready >${place}/ready`, 'while :; do sleep 0.1; done'),
    })
    await milter.start(never)
    await until('it to be ready', () => readIfThere(join(place, 'ready')) !== '')
    const pid = await pidOf(milter)
    await milter.close()
    expect(isRunning(pid)).toBe(false)
    expect(await milter.status(never)).toMatchObject({ detail: 'ended by SIGKILL' })
  })

  test('is restarted as one that is new', async () => {
    const milter = control({ command: ['/bin/sleep', '600'] })
    await milter.restart(never)
    const pid = await pidOf(milter)
    await milter.restart(never)
    expect(isRunning(pid)).toBe(false)
    expect(isRunning(await pidOf(milter))).toBe(true)
  })

  test('started while it is being stopped runs afterwards', async () => {
    const milter = control({ command: ['/bin/sleep', '600'] })
    await milter.start(never)
    const pid = await pidOf(milter)
    await Promise.all([milter.stop(never), milter.start(never)])
    expect(isRunning(pid)).toBe(false)
    expect(await milter.status(never)).toMatchObject({ state: 'running' })
  })

  test('that is started too often is put off', async () => {
    const milter = control({ command: ['/no/such/milter'] })
    for (let i = 0; i < 10; i++) await expect(milter.start(never)).rejects.toMatchObject({ code: 'LAUNCH_FAILED' })
    await expect(milter.start(never)).rejects.toMatchObject({
      code: 'LAUNCH_THROTTLED',
      message: expect.stringMatching(/for another \d+ s/),
    })
  })

  test('is no longer waited for when the caller gives up', async () => {
    const milter = control({ command: ['/bin/sleep', '600'] })
    await expect(milter.start(AbortSignal.abort(new Error('enough')))).rejects.toThrow(/given up: enough/)
    expect(await milter.status(never)).toMatchObject({ state: 'stopped' })
  })
})

describe('the output of a command', () => {
  const collect = (): { readonly log: Logger; readonly said: string[]; readonly dropped: number[] } => {
    const said: string[] = []
    const dropped: number[] = []
    const log: Logger = {
      ...silent,
      info: fields => said.push((fields as { readonly output: string }).output),
      warn: fields => dropped.push((fields as { readonly lines: number }).lines),
    }
    return { log, said, dropped }
  }

  test('goes to the log line by line, from both outputs, with or without an end', async () => {
    const { log, said } = collect()
    const lines = ['echo one', 'echo two >&2', 'echo', 'head -c 2500 /dev/zero | tr "\\0" x', 'echo', 'printf end']
    const milter = control({ command: sh('talker', ...lines, 'sleep 0.3') }, { log })
    await milter.start(never)
    await until('its last words', () => said.includes('end'))
    expect(said.filter(line => !/^[x(]/.test(line)).sort()).toEqual(['', 'end', 'one', 'two'])
    expect(said.filter(line => line.startsWith('x')).map(line => line.length)).toEqual([1000, 1000, 500])
  })

  test('is bounded: a milter in a loop does not fill the log', async () => {
    const { log, said, dropped } = collect()
    const milter = control({ command: sh('babbler', 'seq 1 5000', 'sleep 1.2', 'echo later', 'sleep 600') }, { log })
    await milter.start(never)
    await until('it to go on', () => said.includes('later'))
    const left = dropped.reduce((sum, lines) => sum + lines, 0)
    expect(said.length - 1 + left).toBe(5000)
    expect(said.length).toBeLessThan(1000)
  })
})

asRoot('a command of milterhost that runs as root', () => {
  test('becomes the user that is named, with nothing left of root', async () => {
    const milter = control({ command: ['/bin/sleep', '600'], user: 'nobody', group: 'daemon', groups: ['mail', 'adm'] })
    await milter.start(never)
    const { status, env } = inspect(await pidOf(milter))
    expect(status.get('Uid')).toBe('65534\t65534\t65534\t65534')
    expect(status.get('Gid')).toBe('1\t1\t1\t1')
    expect(status.get('Groups')).toBe('4 8')
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) expect(status.get(set)).toMatch(/^0+$/)
    expect(env).toContain('USER=nobody')
  })

  test.each([
    [{ user: 'nobody-here' }, /there is no user nobody-here/],
    [{ user: 'nobody', group: 'none-here' }, /there is no group none-here/],
    [{ user: 'root' }, /root would have the rights of root/],
    [{ user: 'nobody', groups: ['root'] }, /nobody would have the rights of root/],
  ])('does not start as %j', async (who, message) => {
    await expect(control({ command: ['/bin/sleep', '600'], ...who }).start(never)).rejects.toThrow(message)
  })
})

describe('a command for another user', () => {
  test('needs the launcher, and says so when it is wanted, not before', async () => {
    const self = { uid: 1000, user: 'milterhost' }
    const milter = control({ command: ['/bin/sleep', '600'], user: 'opendkim' }, { self })
    await expect(milter.start(never)).rejects.toMatchObject({ code: 'LAUNCH_NO_LAUNCHER' })
    await expect(milter.restart(never)).rejects.toMatchObject({ code: 'LAUNCH_NO_LAUNCHER' })
    expect(await milter.status(never)).toMatchObject({ state: 'unknown' })
  })

  test('is none when the user is oneself', async () => {
    const self = { uid: 1000, user: 'milterhost' }
    const milter = control({ command: ['/bin/sleep', '600'], user: 'milterhost' }, { self })
    expect(milter.description).toBe('command /bin/sleep')
    await milter.start(never)
    expect(await milter.status(never)).toMatchObject({ state: 'running' })
  })
})
