/** What the launcher does with requests, in this process: every step that can fail, and an init of our own. */
import { chmodSync, mkdirSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { duplexPair } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  LauncherClient,
  type LaunchOptions,
  type ProcessControl,
  processControl,
} from '../../../../src/bridge/launch/index.ts'
import type { Entry } from '../../../../src/bridge/launch/launcher/entry.ts'
import { LauncherServer } from '../../../../src/bridge/launch/launcher/server.ts'
import { encodeRequest } from '../../../../src/bridge/launch/launcher-frame.ts'
import { silent } from '../../../../src/host/observe/logger.ts'
import { systemClock } from '../../../../src/host/time/clock.ts'
import { until } from '../../../interop/harness/wait.ts'
import { asRoot, folder, inspect, isRunning, readIfThere, script } from '../places.ts'

const never = new AbortController().signal
const TOOLS = { prlimit: '/usr/bin/prlimit', setpriv: '/usr/bin/setpriv', env: '/usr/bin/env' }

asRoot('the launcher', () => {
  const place = folder()
  const ran = join(place, 'ran', 'marker')
  /** Leaves a mark as soon as it is executed. */
  const milter = script(join(place, 'milter'), `echo "$*" >>${ran}`, 'exec sleep 600')
  const entries: Record<string, Entry> = { milter: { command: [milter], user: 'nobody' } }
  const log: string[] = []
  const ends: (() => Promise<void> | void)[] = []
  beforeEach(() => {
    mkdirSync(join(place, 'ran'))
    chmodSync(join(place, 'ran'), 0o777)
    log.length = 0
  })
  afterEach(async () => {
    for (const end of ends.splice(0)) await end()
    rmSync(join(place, 'ran'), { recursive: true, force: true })
  })

  interface Options {
    readonly tools?: Partial<typeof TOOLS>
    readonly systemctl?: string
    readonly service?: string
  }
  const serve = (
    given: Record<string, Entry>,
    { tools, systemctl = '/no/systemctl', service = '/no/service' }: Options = {},
  ) => {
    const server = new LauncherServer({
      entries: () => new Map(Object.entries(given)),
      tools: { ...TOOLS, ...tools, systemctl, service },
      log: text => log.push(text),
    })
    const [ours, theirs] = duplexPair()
    server.serve(theirs)
    ends.push(() => server.end())
    return { ours, theirs, client: new LauncherClient(ours) }
  }
  const control = (
    given: Record<string, Entry>,
    options?: Options,
    launch: LaunchOptions = { launcher: 'milter' },
  ): ProcessControl => {
    const { client } = serve(given, options)
    const self = { uid: 1000, user: 'milterhost' }
    return processControl(launch, { filter: 'milter', clock: systemClock, log: silent, launcher: client, self })
  }

  test('starts what its file allows, tells how it is, and ends it', async () => {
    const one = control(entries)
    expect(one.description).toBe('launcher milter')
    expect(await one.status(never)).toEqual({ state: 'stopped', pid: null, detail: 'never started' })
    await one.start(never)
    const { pid } = await one.status(never)
    expect(await one.status(never)).toEqual({ state: 'running', pid, detail: 'running' })
    expect(inspect(pid!).status.get('Uid')).toBe('65534\t65534\t65534\t65534')
    await one.restart(never)
    expect(isRunning(pid!)).toBe(false)
    const { pid: second } = await one.status(never)
    process.kill(second!, 'SIGKILL')
    await until('its death to be known', async () => (await one.status(never)).state === 'failed')
    expect(await one.status(never)).toEqual({ state: 'failed', pid: null, detail: 'ended by SIGKILL' })
    await one.start(never)
    await one.stop(never)
    expect(await one.status(never)).toEqual({ state: 'stopped', pid: null, detail: 'ended by SIGTERM' })
    await one.start(never)
    const { pid: last } = await one.status(never)
    await one.close()
    expect(isRunning(last!)).toBe(false)
  })

  test('does not start what its file does not have, and says what to write there', async () => {
    const wanted = { command: ['/usr/sbin/x'], user: 'nobody' }
    await expect(control({}, {}, wanted).start(never)).rejects.toMatchObject({
      code: 'LAUNCH_UNKNOWN',
      message: expect.stringContaining('add "milter": {"command":["/usr/sbin/x"],"user":"nobody"}'),
    })
    await expect(control({}).restart(never)).rejects.toMatchObject({ code: 'LAUNCH_UNKNOWN' })
    expect(await control({}).status(never)).toMatchObject({ state: 'unknown' })
  })

  test('runs what its file says and not what the configuration says', async () => {
    const other = script(join(place, 'other'), `echo other >>${ran}`, 'exec sleep 600')
    const one = control(entries, {}, { command: [other, 'argument'], user: 'nobody' })
    await one.start(never)
    await until('it to run', () => readIfThere(ran) !== '')
    expect(readIfThere(ran)).toBe('\n')
  })

  const fake = (name: string, ...lines: readonly string[]): string => {
    mkdirSync(join(place, name), { recursive: true })
    return script(join(place, name, basename(name)), ...lines)
  }
  // Takes the options of a stage away and goes on as if it had done what they say.
  const lie = 'while case $1 in -*) ;; *) false ;; esac; do shift; done'

  const besides = (more: object): { readonly given: Record<string, Entry> } => ({
    given: { milter: { command: [milter], user: 'nobody', ...more } },
  })

  describe.each<[string, () => { readonly given?: Record<string, Entry>; readonly options?: Options }, RegExp]>([
    ['prlimit fails', () => ({ options: { tools: { prlimit: fake('a/prlimit', 'exit 1') } } }), /ended with 1/],
    ['setpriv fails', () => ({ options: { tools: { setpriv: fake('b/setpriv', 'exit 127') } } }), /ended with 127/],
    ['env fails', () => ({ options: { tools: { env: fake('c/env', 'exit 125') } } }), /ended with 125/],
    ['prlimit dies', () => ({ options: { tools: { prlimit: fake('d/prlimit', 'kill -9 $$') } } }), /ended by SIGKILL/],
    ['setpriv dies', () => ({ options: { tools: { setpriv: fake('e/setpriv', 'kill -9 $$') } } }), /ended by SIGKILL/],
    ['prlimit is missing', () => ({ options: { tools: { prlimit: '/no/prlimit' } } }), /ENOENT/],
    ['setpriv is missing', () => ({ options: { tools: { setpriv: '/no/setpriv' } } }), /ended with 127/],
    ['env is missing', () => ({ options: { tools: { env: '/no/env' } } }), /ended with 127/],
    ['a limit cannot be set', () => besides({ limits: { nofile: 2 ** 50 } }), /ended with 1/],
    ['its user does not exist', () => besides({ user: 'no-such-user' }), /there is no user no-such-user/],
    ['its group does not exist', () => besides({ group: 'no-such-group' }), /there is no group no-such-group/],
    ['a further group does not exist', () => besides({ groups: ['mail', 'no-such'] }), /there is no group no-such/],
    ['its user is root', () => besides({ user: 'root' }), /the rights of root/],
    ['its group is that of root', () => besides({ group: 'root' }), /the rights of root/],
    ['a further group is that of root', () => besides({ groups: ['root'] }), /the rights of root/],
    ['its folder does not exist', () => besides({ directory: '/no/such/folder' }), /ended with 125/],
    ['its folder is closed to its user', () => besides({ directory: '/root' }), /ended with 125/],
  ])('when %s', (_, make, why) => {
    const nothing = (): void => expect(readIfThere(ran)).toBe('')

    test('nothing is executed', async () => {
      const { given = entries, options } = make()
      const one = control(given, options)
      await expect(one.start(never)).rejects.toMatchObject({ code: 'LAUNCH_FAILED' })
      expect(log.join('\n')).toMatch(why)
      expect(await one.status(never)).toMatchObject({ pid: null })
      nothing()
    })
  })
  test.each<[string, () => string, RegExp]>([
    [
      'does nothing of what it is told',
      () => fake('f/setpriv', lie, 'exec "$@"'),
      /it is not what was ordered, NoNewPrivs: 1/,
    ],
    [
      'drops the user only',
      () => fake('g/setpriv', lie, 'exec /usr/bin/setpriv --reuid=65534 --clear-groups --no-new-privs "$@"'),
      /it is not what was ordered, Gid/,
    ],
    [
      'leaves the supplementary groups',
      () =>
        fake('h/setpriv', lie, 'exec /usr/bin/setpriv --reuid=65534 --regid=65534 --groups=0,4 --no-new-privs "$@"'),
      /it is not what was ordered, Groups/,
    ],
    [
      'leaves the capabilities that could come back',
      () =>
        fake('i/setpriv', lie, 'exec /usr/bin/setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs "$@"'),
      /it is not what was ordered, CapBnd/,
    ],
  ])('kills what was started by a setpriv that %s', async (_, setpriv, why) => {
    const one = control(entries, { tools: { setpriv: setpriv() } })
    await expect(one.start(never)).rejects.toMatchObject({ code: 'LAUNCH_FAILED' })
    expect(log.join('\n')).toMatch(why)
    expect(await one.status(never)).toMatchObject({ state: 'failed', pid: null, detail: 'ended by SIGKILL' })
  })

  test('puts off what is started too often', async () => {
    const one = control(besides({ directory: '/no/such' }).given)
    for (let i = 0; i < 10; i++) await expect(one.start(never)).rejects.toMatchObject({ code: 'LAUNCH_FAILED' })
    await expect(one.start(never)).rejects.toMatchObject({
      code: 'LAUNCH_THROTTLED',
      message: expect.stringMatching(/for another \d+ s/),
    })
  })

  test('does one thing at a time for one id', async () => {
    const { client } = serve(entries)
    const answers = await Promise.all([
      client.request('start', 'milter', never),
      client.request('start', 'milter', never),
      client.request('status', 'milter', never),
    ])
    expect(answers.map(({ result }) => result)).toEqual(['done', 'busy', 'busy'])
    expect(await client.request('status', 'milter', never)).toMatchObject({ result: 'done', state: 'running' })
  })

  test('asks the init of the system for units and init scripts, and leaves them alone at the end', async () => {
    const init = script(join(place, 'init'), `echo "$@" >>${ran}`, `[ "$3" != down.service ] && [ "$1" != down ]`)
    const given = { milter: { systemd: 'up.service' }, down: { systemd: 'down.service' }, script: { service: 'up' } }
    const { client } = serve(given, { systemctl: init, service: init })
    const at = (launch: LaunchOptions): ProcessControl =>
      processControl(launch, { filter: 'milter', clock: systemClock, log: silent, launcher: client })
    const up = at({ launcher: 'milter' })
    await up.start(never)
    await up.restart(never)
    expect(await up.status(never)).toEqual({ state: 'running', pid: null, detail: 'running' })
    await up.close()
    await at({ launcher: 'script' }).stop(never)
    await at({ systemd: 'up.service' }).start(never)
    const down = at({ launcher: 'down' })
    await expect(down.start(never)).rejects.toMatchObject({ code: 'LAUNCH_FAILED' })
    expect(await down.status(never)).toMatchObject({ state: 'stopped' })
    expect(readIfThere(ran).trim().split('\n')).toEqual([
      'start -- up.service',
      'restart -- up.service',
      'is-active -- up.service',
      'up stop',
      'start -- up.service',
      'start -- down.service',
      'is-active -- down.service',
    ])
  })

  test('does not run an init as root that others could have written', async () => {
    const init = script(join(place, 'open-init'), `echo ran >>${ran}`)
    chmodSync(init, 0o777)
    const one = control({ milter: { systemd: 'x.service' } }, { systemctl: init })
    await expect(one.start(never)).rejects.toMatchObject({ code: 'LAUNCH_FAILED' })
    expect(log.join('\n')).toMatch(/open-init may be written by others/)
    expect(readIfThere(ran)).toBe('')
  })

  test('closes the connection at the first thing that is no request, and nothing more is started through it', async () => {
    const { client, ours, theirs } = serve(entries)
    await client.request('status', 'milter', never)
    ours.write(Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: something long enough\r\n\r\n'))
    ours.write(encodeRequest({ operation: 'start', number: 1, id: 'milter' }))
    await until('it to be closed', () => theirs.destroyed)
    expect(log).toEqual(['milterhost sent what is no request; nothing more is taken from it'])
    expect(readIfThere(ran)).toBe('')
  })

  test('reads requests however they are cut on the way', async () => {
    const { client, ours } = serve(entries)
    const asked = client.request('status', 'milter', never)
    const frame = encodeRequest({ operation: 'status', number: 5000, id: 'milter' })
    for (const byte of frame) ours.write(Buffer.of(byte))
    ours.write(Buffer.concat([frame, frame, frame.subarray(0, 10)]))
    expect(await asked).toMatchObject({ result: 'done' })
    ours.write(frame.subarray(10))
    expect(await client.request('status', 'milter', never)).toBeDefined()
    expect(log).toEqual([])
  })

  test('is not hurt by a milterhost that asks and never reads', async () => {
    const { theirs, ours } = serve(entries)
    ours.removeAllListeners('readable')
    ours.pause()
    const frame = encodeRequest({ operation: 'status', number: 1, id: 'nobody-knows' })
    for (let i = 0; i < 20_000; i++) ours.write(frame)
    await until('it to have stopped reading', () => theirs.writableNeedDrain)
    expect(theirs.writableLength).toBeLessThan(512 * 1024)
  })
})
