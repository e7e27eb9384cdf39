/** The launcher as it is installed: the real program, started as root, with a stand-in for milterhost that passes frames on. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { chmodSync, closeSync, globSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Duplex } from 'node:stream'
import { buildSync } from 'esbuild'
import { afterEach, describe, expect, test } from 'vitest'
import { LauncherClient } from '../../../../src/bridge/launch/index.ts'
import { FRAME } from '../../../../src/bridge/launch/launcher/frame.ts'
import { decodeAnswer, encodeRequest } from '../../../../src/bridge/launch/launcher-frame.ts'
import { PATIENCE, until, within } from '../../../interop/harness/wait.ts'
import { asRoot, folder, inspect, isRunning, readIfThere, script } from '../places.ts'

const ROOT = resolve(import.meta.dirname, '../../../..')
const BIN = join(ROOT, 'bin/milterhost-launcher.mjs')
const never = new AbortController().signal

/** Comments of whole lines and blank lines are none. */
const codeLines = (source: string): string[] =>
  source
    .replaceAll(/^[ \t]*\/\*[\s\S]*?\*\/[ \t]*$/gm, '')
    .split('\n')
    .filter(line => !/^\s*(\/\/.*)?$/.test(line))

asRoot('milterhost-launcher', () => {
  const place = folder()
  const file = join(place, 'launch.json')
  /** Where everybody may write, to show that he ran. */
  const marks = join(place, 'marks')
  mkdirSync(marks)
  chmodSync(marks, 0o777)
  const started: ChildProcess[] = []
  afterEach(async () => {
    for (const child of started.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      const ended = new Promise(done => child.once('exit', done))
      child.kill('SIGKILL')
      await ended
    }
  })
  /** What it is given on standard input goes to the launcher, and back. */
  const host = script(
    join(place, 'host'),
    `echo $$ >${marks}/host.pid`,
    "trap 'exit 0' TERM; trap '' HUP",
    // A shell gives what it runs in the background no input of its own.
    'exec 5<&0',
    'cat <&$MILTERHOST_LAUNCHER_FD & cat >&$MILTERHOST_LAUNCHER_FD <&5 &',
    'wait $!',
    'exit 7',
  )
  const allow = (entries: object): void => writeFileSync(file, JSON.stringify(entries), { mode: 0o644 })
  const sleeper = { command: ['/bin/sleep', '600'], user: 'nobody' }

  interface Running {
    readonly child: ChildProcess
    readonly client: LauncherClient
    readonly ended: Promise<number | null>
    said(): string
  }
  /** Resolves when milterhost's stand-in runs. */
  const launcher = async (
    entries: object,
    { more = [], env = {}, before = [] }: { more?: readonly number[]; env?: object; before?: readonly string[] } = {},
  ): Promise<Running> => {
    allow(entries)
    const [program, ...args] = [...before, process.execPath, BIN, '--file', file, '--user', 'daemon', '--', host]
    const stdio: ('pipe' | 'ignore' | number)[] = [
      'pipe',
      'pipe',
      'pipe',
      ...Array<'ignore'>(17).fill('ignore'),
      ...more,
    ]
    const child = spawn(program!, args, { stdio, env: { ...process.env, ...env } })
    started.push(child)
    let said = ''
    child.stderr!.setEncoding('utf8').on('data', text => {
      said += text
    })
    const ended = new Promise<number | null>(done => child.once('exit', code => done(code)))
    const client = new LauncherClient(Duplex.from({ readable: child.stdout!, writable: child.stdin! }))
    await until(
      () => `the launcher to run: ${said}`,
      () => said.includes('milterhost runs as daemon') || child.exitCode !== null,
    )
    return { child, client, ended, said: () => said }
  }

  describe('a milter that it starts', () => {
    test('has its user, its groups, no capability, no way to more, its limits, a clean environment and three files', async () => {
      const entry = {
        ...sleeper,
        group: 'daemon',
        groups: ['mail', 'adm'],
        env: { LANG: 'C.UTF-8' },
        directory: place,
        limits: { nofile: 300, nproc: 5000, fsize: 1_000_000 },
        umask: '007',
      }
      const stray = openSync('/etc/hostname', 'r')
      const { client } = await launcher(
        { entry, plain: sleeper },
        { more: [stray], env: { SECRET: 'not for milters' } },
      )
      closeSync(stray)
      const { result, pid } = await client.request('start', 'entry', never)
      expect(result).toBe('done')
      const { status, limits, env, files, directory, session } = inspect(pid!)
      expect(status.get('Name')).toBe('sleep')
      expect(status.get('Uid')).toBe('65534\t65534\t65534\t65534')
      expect(status.get('Gid')).toBe('1\t1\t1\t1')
      expect(status.get('Groups')).toBe('4 8')
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) expect(status.get(set)).toMatch(/^0{16}$/)
      expect(status.get('NoNewPrivs')).toBe('1')
      expect(status.get('Umask')).toBe('0007')
      expect(limits.get('Max open files')).toMatch(/^300 +300$/)
      expect(limits.get('Max processes')).toMatch(/^5000 +5000$/)
      expect(limits.get('Max file size')).toMatch(/^1000000 +1000000$/)
      expect(limits.get('Max core file size')).toMatch(/^0 +0$/)
      const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
      expect(env).toEqual(['HOME=/nonexistent', 'LANG=C.UTF-8', 'LOGNAME=nobody', path, 'USER=nobody'])
      expect(files).toEqual(['0', '1', '2'])
      expect(directory).toBe(place)
      expect(session).toBe(pid)

      const plain = inspect((await client.request('start', 'plain', never)).pid!)
      expect(plain.status.get('Gid')).toBe('65534\t65534\t65534\t65534')
      expect(plain.status.get('Groups')).toBe('')
      expect(plain.directory).toBe('/')
      expect(plain.limits.get('Max open files')).toMatch(/^1024 /)
    })

    test('is proven so for milterhost itself, which has the socket pair and nothing else besides', async () => {
      const stray = openSync('/etc/hostname', 'r')
      const { said } = await launcher({}, { more: [stray], env: { KEPT: 'yes' } })
      closeSync(stray)
      const pid = Number(/process (\d+);/.exec(said())![1])
      const { status, files, env, session } = inspect(pid)
      expect(status.get('Uid')).toBe('1\t1\t1\t1')
      expect(status.get('Gid')).toBe('1\t1\t1\t1')
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) expect(status.get(set)).toMatch(/^0{16}$/)
      expect(status.get('NoNewPrivs')).toBe('1')
      // 5 and 10 are the shell's own.
      expect(files.filter(fd => !['5', '10'].includes(fd))).toEqual(['0', '1', '2', '3'])
      expect(env).toEqual(expect.arrayContaining(['KEPT=yes', 'MILTERHOST_LAUNCHER_FD=3', 'USER=daemon']))
      expect(env.find(one => one.startsWith('NODE_OPTIONS='))).toContain('--max-semi-space-size=16')
      expect(session).toBe(pid)
    })

    test('cannot pretend in the log to be somebody else', async () => {
      const lines = ["printf 'one\\rmilterhost: two\\033[31m\\302\\205three\\n'", 'exec sleep 600']
      const { client, said } = await launcher({
        liar: { command: [script(join(place, 'liar'), ...lines)], user: 'nobody' },
      })
      await client.request('start', 'liar', never)
      await until('its words', () => said().includes('liar says'))
      expect(said()).toContain('liar says: one\\u000dmilterhost: two\\u001b[31m\\u0085three\n')
    })
  })

  describe('when it ends', () => {
    const running = async (): Promise<Running & { readonly milter: number; readonly host: number }> => {
      const all = await launcher({ milter: sleeper })
      const { pid } = await all.client.request('start', 'milter', never)
      return { ...all, milter: pid!, host: Number(readIfThere(join(marks, 'host.pid'))) }
    }
    const gone = (pid: number): Promise<true> => until(`${pid} to be gone`, () => !isRunning(pid) || undefined)

    test('by SIGTERM, milterhost is ended and its milters after it', async () => {
      const { child, ended, milter, host: host_ } = await running()
      child.kill('SIGTERM')
      expect(await within(PATIENCE, 'its end', ended)).toBe(0)
      await gone(milter)
      await gone(host_)
    })

    test('because milterhost ended, its milters are ended and its exit code is that of milterhost', async () => {
      const { child, ended, milter } = await running()
      child.stdin!.end()
      expect(await within(PATIENCE, 'its end', ended)).toBe(7)
      await gone(milter)
    })

    test('by SIGKILL, the kernel ends the milters and milterhost', async () => {
      const { child, ended, milter, host: host_ } = await running()
      child.kill('SIGKILL')
      await within(PATIENCE, 'its end', ended)
      await gone(milter)
      await gone(host_)
    })
  })

  test('reads its file again at SIGHUP, and keeps what it had when that is broken', async () => {
    const { child, client, said } = await launcher({ one: sleeper }, { env: { JOURNAL_STREAM: '8:1' } })
    const { pid } = await client.request('start', 'one', never)
    allow({ two: sleeper })
    child.kill('SIGHUP')
    await until('it to be read', () => said().includes('read again: 1 milters'))
    expect(await client.request('status', 'two', never)).toMatchObject({ result: 'done' })
    expect(await client.request('start', 'one', never)).toMatchObject({ result: 'unknown-id' })
    await until('what is no longer allowed to be stopped', () => !isRunning(pid!))
    writeFileSync(file, '{ "three": ')
    child.kill('SIGHUP')
    await until('it to complain', () => said().includes('what was read before stays'))
    // For the journal, as an error, and nothing else is one.
    expect(said().match(/^<3>\w+/gm)).toEqual(['<3>LAUNCHER_FILE'])
    expect(await client.request('status', 'two', never)).toMatchObject({ result: 'done' })
  })

  test('starts nothing for 100,000 requests that its file does not allow', { timeout: 120_000 }, async () => {
    const mark = join(marks, 'mark')
    const entry = { command: [script(join(place, 'marking'), `echo ran >>${mark}`, 'exec sleep 600')], user: 'nobody' }
    const { child, client, said } = await launcher({ allowed: entry })
    let seed = 1
    const random = (below: number): number => {
      seed = (seed * 48_271) % 0x7fffffff
      return seed % below
    }
    const letters = 'allowedALLOWED._-0123456789'
    const frames: Buffer[] = []
    for (let number = 0; number < 100_000; number++) {
      const length = 1 + random(48)
      const id = `x${Array.from({ length: length - 1 }, () => letters[random(letters.length)]).join('')}`
      const operation = (['start', 'restart', 'stop', 'status'] as const)[random(4)]!
      frames.push(encodeRequest({ operation, number, id: number % 3 === 0 ? `allowed${id}`.slice(0, 48) : id }))
    }
    const chunks: Buffer[] = []
    let bytes = 0
    child.stdout!.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      bytes += chunk.length
    })
    child.stdin!.write(Buffer.concat(frames))
    await until(
      () => `100,000 answers, ${bytes / FRAME.size} of them came`,
      () => bytes === 100_000 * FRAME.size,
      100,
    )
    const answers = Buffer.concat(chunks)
    const results = new Set<string | undefined>()
    for (let at = 0; at < bytes; at += FRAME.size)
      results.add(decodeAnswer(answers.subarray(at, at + FRAME.size))?.result)
    expect(results).toEqual(new Set(['unknown-id']))
    expect(said()).toMatch(/^milterhost runs as daemon, .*\n$/)
    expect(readIfThere(mark)).toBe('')
    // And it would have shown.
    expect(await client.request('start', 'allowed', never)).toMatchObject({ result: 'done' })
    await until('its mark', () => readIfThere(mark) === 'ran\n')
  })

  test('takes nothing more after the first frame that is no request', async () => {
    const mark = join(marks, 'mark2')
    const entry = { command: [script(join(place, 'marking2'), `echo ran >>${mark}`)], user: 'nobody' }
    for (let round = 0; round < 3; round++) {
      const { child, said } = await launcher({ allowed: entry })
      child.stdin!.on('error', () => {})
      const garbage = Buffer.alloc(6400)
      for (let at = 0; at < garbage.length; at++) garbage[at] = (at * 31 + round * 97 + (at >> 3)) & 0xff
      child.stdin!.write(Buffer.concat([garbage, encodeRequest({ operation: 'start', number: 1, id: 'allowed' })]))
      await until('it to complain', () => said().includes('milterhost sent what is no request'))
      child.kill('SIGTERM')
      await until('its end', () => child.exitCode !== null || child.signalCode !== null)
      expect(readIfThere(mark)).toBe('')
    }
  })

  test.each([
    ['setuid', /LAUNCHER_USAGE: .* CAP_SETUID/],
    ['setgid', /LAUNCHER_USAGE: .* CAP_SETGID/],
    ['setpcap', /LAUNCHER_USAGE: .* CAP_SETPCAP/],
  ])('starts nobody when it may not %s', async (capability, why) => {
    rmSync(join(marks, 'host.pid'), { force: true })
    const { ended, said } = await launcher({}, { before: ['/usr/bin/setpriv', `--bounding-set=-${capability}`] })
    expect(await within(PATIENCE, 'its end', ended)).toBe(2)
    expect(said()).toMatch(why)
    expect(readIfThere(join(marks, 'host.pid'))).toBe('')
  })

  describe('does not begin', () => {
    const run = (args: readonly string[], before: readonly string[] = []): { status: number | null; said: string } => {
      const [program, ...rest] = [...before, process.execPath, BIN, ...args]
      const { status, stderr, stdout } = spawnSync(program!, rest, { encoding: 'utf8', timeout: 60_000 })
      return { status, said: stderr + stdout }
    }

    test.each<[string, readonly string[], RegExp]>([
      ['with an option that it does not know', ['--shell', 'x'], /LAUNCHER_USAGE: .*--shell/],
      ['without a user', ['--', host], /LAUNCHER_USAGE: --user is missing/],
      ['without a program', ['--user', 'daemon'], /LAUNCHER_USAGE: after -- the absolute path/],
      ['with a program that has no path', ['--user', 'daemon', '--', 'milterhost'], /LAUNCHER_USAGE: after --/],
      ['as root', ['--user', 'root', '--', host], /LAUNCHER_USER: root would have the rights of root/],
      ['as nobody that there is', ['--user', 'no-such', '--', host], /LAUNCHER_USER: there is no user no-such/],
      [
        'with a program that is not there',
        ['--user', 'daemon', '--', '/no/such'],
        /LAUNCHER_USER: milterhost does not run/,
      ],
    ])('%s', (_, args, why) => {
      allow({})
      const { status, said } = run(['--file', file, ...args])
      expect(said).toMatch(why)
      expect(status).toBe(2)
    })

    test('with a file that others may write', () => {
      allow({})
      const open = join(place, 'open.json')
      writeFileSync(open, '{}')
      spawnSync('chmod', ['666', open])
      expect(run(['--file', open, '--user', 'daemon', '--', host])).toEqual({
        status: 2,
        said: expect.stringMatching(/LAUNCHER_FILE: .*open.json may be written by others \(mode 666\)/),
      })
    })

    test('when somebody else than root starts it, but checks a file for everybody', context => {
      const as = ['/usr/bin/setpriv', '--reuid=65534', '--clear-groups']
      context.skip(
        spawnSync(as[0]!, [...as.slice(1), 'test', '-r', BIN]).status !== 0,
        'needs a checkout that others may read',
      )
      allow({ one: sleeper })
      expect(run(['--file', file, '--user', 'daemon', '--', host], as).said).toMatch(/has to be started as root/)
      const { status, said } = run(['--file', file, '--check'], as)
      expect(said).toContain('one  {"command":["/bin/sleep","600"],"user":"nobody"}')
      expect(status).toBe(0)
    })
  })
})

describe('the program that runs as root', () => {
  const { metafile } = buildSync({
    entryPoints: [join(ROOT, 'src/bridge/launch/launcher/main.ts')],
    bundle: true,
    write: false,
    metafile: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    absWorkingDir: ROOT,
  })
  const inputs = Object.keys(metafile.inputs)

  test('consists of its own folder, all of it, and imports nothing but Node', () => {
    expect(inputs.sort()).toEqual(globSync('src/bridge/launch/launcher/*.ts', { cwd: ROOT }).sort())
    const imports = Object.values(metafile.outputs).flatMap(output => output.imports.map(({ path }) => path))
    expect(imports.filter(path => !path.startsWith('node:'))).toEqual([])
  })

  test('has at most 500 lines of code in its sources, and as many as the documentation says', () => {
    const lines = inputs.flatMap(name => codeLines(readFileSync(join(ROOT, name), 'utf8')))
    expect(lines.length).toBeGreaterThan(300)
    expect(lines.length).toBeLessThanOrEqual(500)
    expect(readFileSync(join(ROOT, 'docs/launching.md'), 'utf8')).toContain(`${lines.length} lines of code`)
  })

  test('is built so, by itself', () => {
    expect(readFileSync(join(ROOT, 'scripts/build.mjs'), 'utf8')).toContain(
      "launcher: 'src/bridge/launch/launcher/main.ts'",
    )
  })
})
