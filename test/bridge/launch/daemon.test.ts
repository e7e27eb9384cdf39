/** `milterhost run` and its milters: a milter that is not there is started when it is needed, by milterhost itself and through the launcher. */
import { type ChildProcess, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Duplex } from 'node:stream'
import { afterEach, expect, test } from 'vitest'
import { LauncherServer } from '../../../src/bridge/launch/launcher/server.ts'
import { PATIENCE, until, within } from '../../interop/harness/wait.ts'
import { asRoot, folder, inspect, isRunning, readIfThere, script } from './places.ts'

const BIN = resolve(import.meta.dirname, '../../../bin/milterhost.mjs')
const place = folder()
const running: ChildProcess[] = []
afterEach(() => {
  for (const child of running.splice(0)) child.kill('SIGKILL')
})

const run = (launch: object, fd: boolean): { readonly child: ChildProcess; said(): string } => {
  const config = join(place, 'milterhost.config.ts')
  const spool = join(place, 'spool')
  writeFileSync(
    config,
    `import { defineConfig, socket } from 'milterhost'
export default defineConfig({
  listen: 'unix:${join(place, 'milterhost.sock')}',
  spool: { directory: '${spool}' },
  filters: [socket('ext', 'unix:${join(place, 'no-milter.sock')}', { launch: ${JSON.stringify(launch)} })],
})
`,
  )
  const env = { ...process.env, MILTERHOST_LAUNCHER_FD: fd ? '3' : undefined, STATE_DIRECTORY: place }
  const child = spawn(process.execPath, [BIN, 'run', '--config', config], {
    stdio: ['ignore', 'ignore', 'pipe', fd ? 'pipe' : 'ignore'],
    env,
  })
  running.push(child)
  let said = ''
  child.stderr!.setEncoding('utf8').on('data', text => {
    said += text
  })
  return { child, said: () => said }
}
const end = async (child: ChildProcess): Promise<void> => {
  const ended = new Promise(done => child.once('exit', done))
  child.kill('SIGTERM')
  await within(PATIENCE, 'its end', ended)
}

test('a milter that cannot be reached is started as a command, tells its output to the log, and ends with milterhost', async () => {
  const milter = script(join(place, 'milter'), `echo $$ >${place}/pid`, 'echo here I am', 'exec sleep 600')
  const { child, said } = run({ command: [milter] }, false)
  await until(
    () => `its words, among ${said()}`,
    () => said().includes('here I am'),
  )
  const pid = Number(readIfThere(join(place, 'pid')))
  expect(isRunning(pid)).toBe(true)
  await end(child)
  await until('the milter to be gone', () => !isRunning(pid))
})

asRoot('with the launcher', () => {
  test('a milter that cannot be reached is started through the socket that milterhost inherited', async () => {
    const log: string[] = []
    const { child, said } = run({ launcher: 'allowed' }, true)
    const server = new LauncherServer({
      entries: () => new Map([['allowed', { command: ['/bin/sleep', '600'], user: 'nobody' }]]),
      tools: {
        prlimit: '/usr/bin/prlimit',
        setpriv: '/usr/bin/setpriv',
        env: '/usr/bin/env',
        systemctl: '/no',
        service: '/no',
      },
      log: text => log.push(text),
    })
    server.serve(child.stdio[3] as unknown as Duplex)
    const started = await until(
      () => `a start, among ${log.join('; ')} and ${said()}`,
      () => /allowed: start: running, process (\d+)/.exec(log.join('\n')) ?? undefined,
    )
    expect(inspect(Number(started[1])).status.get('Uid')).toMatch(/^65534\t/)
    await end(child)
    await server.end()
    expect(isRunning(Number(started[1]))).toBe(false)
  })
})
