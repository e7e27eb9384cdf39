/** systemd and init scripts: a program of ours stands for systemctl and service, and answers as they do. */
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type LaunchOptions, type ProcessControl, processControl } from '../../../src/bridge/launch/index.ts'
import { unitStatus } from '../../../src/bridge/launch/systemd.ts'
import { silent } from '../../../src/host/observe/logger.ts'
import { systemClock } from '../../../src/host/time/clock.ts'
import { until } from '../../interop/harness/wait.ts'
import { folder, isRunning, readIfThere, script } from './places.ts'

const place = folder()
const never = new AbortController().signal
const asked = join(place, 'asked')
/** The init says these lines of sh, after it has written down what it was asked. */
const control = (launch: LaunchOptions, ...lines: readonly string[]): ProcessControl => {
  rmSync(asked, { force: true })
  const program = script(join(place, 'init'), `echo "$@" >>${asked}`, ...lines)
  const init = (entry: object, operation: string): readonly [string, ...string[]] => [
    program,
    operation,
    ...(Object.values(entry) as string[]),
  ]
  return processControl(launch, { filter: 'dkim', clock: systemClock, log: silent, launcher: null, init })
}
const read = (file: string): string => readFileSync(file, 'utf8')

describe.each<[string, LaunchOptions, string]>([
  ['a unit of systemd', { systemd: 'opendkim.service' }, 'systemd opendkim.service'],
  ['an init script', { service: 'opendkim' }, 'init script opendkim'],
])('%s', (_, launch, description) => {
  const name = Object.values(launch)[0] as string

  test('is started, stopped and restarted by its name, and left alone at the end', async () => {
    const milter = control(launch)
    expect(milter.description).toBe(description)
    await milter.start(never)
    await milter.restart(never)
    await milter.stop(never)
    await milter.close()
    expect(read(asked)).toBe(`start ${name}\nrestart ${name}\nstop ${name}\n`)
  })

  test('that does not start is told with what the init says', async () => {
    const milter = control(launch, 'echo "Job failed." >&2', 'exit 1')
    await expect(milter.start(never)).rejects.toMatchObject({
      code: 'LAUNCH_FAILED',
      message: `the milter of filter dkim could not be started by ${description}: Job failed.`,
    })
    await expect(control(launch, 'exit 5').restart(never)).rejects.toThrow(/could not be restarted by .* ended with 5/)
  })

  test('is not waited for longer than the caller waits, and the init is killed', async () => {
    const pid = join(place, 'pid')
    const milter = control(launch, `echo $$ >${pid}.new && mv ${pid}.new ${pid}`, 'exec sleep 600')
    const giving = new AbortController()
    const start = milter.start(giving.signal)
    const process = await until('the init to run', () => Number(readIfThere(pid)) || undefined)
    giving.abort({ kind: 'shutdown', detail: 'milterhost is ending' })
    await expect(start).rejects.toThrow(/given up: milterhost is ending/)
    await until('the init to be gone', () => !isRunning(process))
    await expect(milter.start(giving.signal)).rejects.toThrow(/given up/)
  })

  test('says more than anybody reads, and is cut', async () => {
    const milter = control(launch, 'head -c 100000 /dev/zero | tr "\\0" x', 'exit 1')
    const error: Error = await milter.start(never).then(
      () => expect.unreachable(),
      (thrown: Error) => thrown,
    )
    expect(error.message.length).toBeGreaterThan(4000)
    expect(error.message.length).toBeLessThan(4300)
  })

  test('has a daemon that keeps the output of the init open, and the start is over all the same', async () => {
    const daemon = join(place, 'daemon')
    const milter = control(
      launch,
      `(trap '' PIPE; sleep 1; until [ -e ${daemon}.end ]; do echo a line || exit 1; sleep 0.05; done; echo whole >${daemon}) & exit 0`,
    )
    await milter.start(never)
    script(`${daemon}.end`)
    await until('the daemon to end', () => readIfThere(daemon) === 'whole\n')
  })

  test('of an init that cannot be executed is not started, and its state is unknown', async () => {
    const init = (): readonly [string] => [join(place, 'missing')]
    const milter = processControl(launch, { filter: 'dkim', clock: systemClock, log: silent, launcher: null, init })
    await expect(milter.start(never)).rejects.toMatchObject({ code: 'LAUNCH_FAILED' })
    expect(await milter.status(never)).toMatchObject({ state: 'unknown', pid: null })
  })
})

describe('how a unit is', () => {
  const shown = (load: string, active: string, sub: string, pid: number, result = 'success'): string =>
    `LoadState=${load}\nActiveState=${active}\nSubState=${sub}\nMainPID=${pid}\nResult=${result}\n`

  test.each([
    [shown('loaded', 'active', 'running', 12), { state: 'running', pid: 12, detail: 'active (running)' }],
    [shown('loaded', 'inactive', 'dead', 0), { state: 'stopped', pid: null, detail: 'inactive (dead)' }],
    [
      shown('loaded', 'failed', 'failed', 0, 'exit-code'),
      { state: 'failed', pid: null, detail: 'failed (failed), exit-code' },
    ],
    [
      shown('loaded', 'activating', 'auto-restart', 0, 'signal'),
      { state: 'stopped', pid: null, detail: 'activating (auto-restart), signal' },
    ],
    [shown('not-found', 'inactive', 'dead', 0), { state: 'unknown', pid: null }],
    ['', { state: 'unknown', pid: null }],
  ])('is read from %j', (output, status) => {
    expect(unitStatus(output)).toMatchObject(status)
  })

  test('is asked of systemctl show, and unknown when it cannot tell', async () => {
    const unit = { systemd: 'opendkim.service' }
    const up = control(unit, 'printf "LoadState=loaded\\nActiveState=active\\nSubState=running\\nMainPID=7\\n"')
    expect(await up.status(never)).toEqual({ state: 'running', pid: 7, detail: 'active (running)' })
    expect(read(asked)).toBe('show --property=LoadState,ActiveState,SubState,MainPID,Result -- opendkim.service\n')
    const absent = control(unit, 'echo "System has not been booted with systemd" >&2; exit 1')
    expect(await absent.status(never)).toMatchObject({
      state: 'unknown',
      detail: expect.stringContaining('not been booted'),
    })
  })
})

describe('how an init script is', () => {
  test.each([
    [['echo "milter is running as pid 4321."'], { state: 'running', pid: 4321 }],
    [['exit 3'], { state: 'stopped', pid: null }],
    [['echo dead but pid file exists; exit 1'], { state: 'stopped', detail: 'dead but pid file exists' }],
    [['exit 4'], { state: 'unknown' }],
    [['kill -9 $$'], { state: 'unknown' }],
  ])('is read from its exit code: %j', async (lines, status) => {
    expect(await control({ service: 'milter' }, ...lines).status(never)).toMatchObject(status)
    expect(read(asked)).toBe('status milter\n')
  })
})
