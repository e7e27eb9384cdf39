/** Mail through a daemon that records: what lies in the folder then, who may read it, and that mail goes on when the disk does not. */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { formatSocketAddress } from '../../../src/bridge/wire/index.ts'
import { Recorder, type RecorderOptions } from '../../../src/daemon/record/recorder.ts'
import { startDaemon } from '../../../src/daemon.ts'
import type { Config } from '../../../src/host/config/config.ts'
import { DEFAULT_RECORD, type RecordSettings } from '../../../src/host/config/settings.ts'
import { validateConfig } from '../../../src/host/config/validate.ts'
import { MacroStore } from '../../../src/host/macros.ts'
import { createLog } from '../../../src/host/observe/output.ts'
import { MetricsRegistry } from '../../../src/host/plugin/metrics.ts'
import { systemClock } from '../../../src/host/time/clock.ts'
import { definePlugin, reject } from '../../../src/plugin.ts'
import { fakeClock } from '../../../src/testing/clock.ts'
import { fakeDns } from '../../../src/testing/dns.ts'
import { fromScenario } from '../../../src/testing/recording/scenario-form.ts'
import { parseScenarios } from '../../../src/testing/scenario/parse.ts'
import { mtaClient, tempDir, until } from '../../interop/harness/index.ts'

const tag = definePlugin({
  name: 'tag',
  setup: () => ({
    rcpt: event => (event.recipient.local === 'nobody' ? reject('Not here', { enhanced: '5.1.1' }) : undefined),
    end: event => event.edit.prependHeader('X-From', event.sender.address),
  }),
})()

async function daemonWith(folder: string, config: Config): Promise<{ address: string; end: () => Promise<void> }> {
  const daemon = await startDaemon({
    clock: systemClock,
    log: createLog({ clock: systemClock, level: 'error', format: 'text', write: () => {} }),
    services: { dns: fakeDns(), metrics: new MetricsRegistry() },
    observe: () => {},
    load: async () =>
      validateConfig(
        { listen: `unix:${join(folder, 'm.sock')}`, spool: { directory: join(folder, 'spool') }, ...config },
        'the test',
      ),
  })
  onTestFinished(() => daemon.close())
  return { address: formatSocketAddress(daemon.addresses[0]!, 'postfix'), end: () => daemon.close() }
}

async function oneMessage(address: string): Promise<string> {
  const mta = await mtaClient(address)
  await mta.negotiate()
  await mta.connect()
  await mta.helo()
  await mta.mail('<alice@example.org>', ['SIZE=100'])
  await mta.rcpt('<nobody@example.com>')
  mta.abort()
  const to = ['<bob@example.com>']
  const { verdict } = await mta.message({ from: '<alice@example.org>', to, raw: 'Subject: private\n\nprivate\n' })
  mta.quit()
  await mta.closed
  return verdict.command
}

const recordings = (directory: string): string[] =>
  existsSync(directory)
    ? readdirSync(directory, { recursive: true })
        .map(String)
        .filter(name => name.endsWith('.scenario'))
        .map(name => join(directory, name))
    : []

describe('a daemon that records', () => {
  it('writes each session for its owner alone, with what each filter answered', async () => {
    const folder = tempDir('record')
    const directory = join(folder, 'recordings')
    const { address, end } = await daemonWith(folder, { filters: [tag], record: { directory } })
    expect(['a', 'c']).toContain(await oneMessage(address))
    await end()
    const [file, ...more] = recordings(directory)
    expect(more).toEqual([])
    const mode = (path: string): number => statSync(path).mode & 0o777
    expect(mode(directory)).toBe(0o700)
    expect([file!, join(directory, '.key')].map(mode)).toEqual([0o600, 0o600])
    const text = readFileSync(file!, 'utf8')
    expect(text).not.toMatch(/alice|bob|private/)
    expect(text).toContain('EXPECT reject 550 5.1.1 "Not here"')
    expect(text).toMatch(/EXPECT edit tag insertHeader \d+ "X-From" " ?[a-z]{10}@example\.org"/)
    const { turns } = fromScenario(parseScenarios(text, file!)[0]!)
    expect(turns.map(({ command }) => command.kind)).toEqual([
      'connect',
      'helo',
      'mail',
      'rcpt',
      'reset',
      'mail',
      'rcpt',
      'data',
      'message',
      'quit',
    ])
    const message = turns.find(({ command }) => command.kind === 'message')!
    expect(message.command).toMatchObject({ body: { bytes: 9, lines: 1, content: null } })
  })

  it('asks for content that no filter wants, and changes no answer by it', async () => {
    const folder = tempDir('record')
    const directory = join(folder, 'recordings')
    const { address, end } = await daemonWith(folder, { record: { directory, redact: false } })
    expect(['a', 'c']).toContain(await oneMessage(address))
    await end()
    expect(readFileSync(recordings(directory)[0]!, 'utf8')).toContain('private')
  })

  it('does not stop mail when its folder cannot be used', async () => {
    const folder = tempDir('record')
    const directory = join(folder, 'recordings')
    writeFileSync(directory, 'in the way')
    const { address } = await daemonWith(folder, { filters: [tag], record: { directory } })
    expect(['a', 'c']).toContain(await oneMessage(address))
  })
})

/** A recorder with its log, and a session of one command for it. */
function recorder(settings: Partial<RecordSettings>, options: Partial<RecorderOptions> = {}) {
  const warnings: string[] = []
  const clock = fakeClock()
  const log = createLog({ clock, level: 'info', format: 'text', write: line => void warnings.push(line) })
  const recorder = new Recorder({ clock, log, place: '/nowhere', ...options })
  recorder.configure({ ...DEFAULT_RECORD, minFree: 0, ...settings })
  let count = 0
  const session = async (): Promise<void> => {
    const tap = recorder.begin(`s${++count}`)
    tap?.notes.begin({ kind: 'helo', name: 'x' }, new MacroStore())
    tap?.observe({ type: 'session-closed', session: '', message: null, messages: 0, milliseconds: 0 })
    await recorder.flush()
  }
  return { recorder, warnings, clock, session }
}

describe('the recorder', () => {
  it('records the share that it is told', async () => {
    const directory = join(tempDir('record'), 'r')
    const draws = [0.1, 0.9, 0.2, 0.3]
    const { session } = recorder({ directory, sample: 0.25 }, { random: () => draws.shift()! })
    for (let n = 0; n < 4; n++) await session()
    expect(recordings(directory).length).toBe(2)
  })

  it('stops at its limit, says so once, and goes on when there is room', async () => {
    const directory = join(tempDir('record'), 'r')
    const { recorder: one, warnings, clock, session } = recorder({ directory, maxFiles: 2 })
    for (let n = 0; n < 5; n++) {
      await session()
      await clock.advance('1m')
    }
    expect(recordings(directory).length).toBe(2)
    expect(warnings.length).toBe(1)
    expect(warnings[0]).toContain('record.maxFiles is 2')
    expect(one.status).toMatchObject({ state: 'full', sessions: 2, dropped: 3 })
    rmSync(recordings(directory)[0]!)
    await session()
    expect(one.status).toMatchObject({ state: 'recording', sessions: 3, reason: null })
    expect(warnings.length).toBe(2)
  })

  it('records a session as the configuration says that it began with, whatever is read before its end', async () => {
    const folder = tempDir('record')
    const directory = join(folder, 'old')
    const { recorder: one, warnings } = recorder({ directory })
    for (const then of [
      { ...DEFAULT_RECORD, directory: join(folder, 'new'), redact: { addresses: false, content: false } },
      null,
    ]) {
      const tap = one.begin(then === null ? 's2' : 's1')!
      tap.notes.begin({ kind: 'mail', path: { raw: '<alice@example.org>', args: [] } }, new MacroStore())
      one.configure(then)
      tap.observe({ type: 'session-closed', session: '', message: null, messages: 0, milliseconds: 0 })
      await one.flush()
      one.configure({ ...DEFAULT_RECORD, minFree: 0, directory })
    }
    expect(recordings(join(folder, 'new'))).toEqual([])
    expect(recordings(directory).length).toBe(2)
    for (const file of recordings(directory)) expect(readFileSync(file, 'utf8')).not.toContain('alice')
    expect(warnings).toEqual([])
  })

  it('tries at once after a reload: the corrected folder, and the same one with more room', async () => {
    const folder = tempDir('record')
    const broken = join(folder, 'in-the-way')
    writeFileSync(broken, '')
    const { recorder: one, warnings, clock, session } = recorder({ directory: broken })
    await session()
    expect(one.status).toMatchObject({ state: 'failing', dropped: 1 })
    const directory = join(folder, 'corrected')
    const settings = { ...DEFAULT_RECORD, minFree: 0, directory, maxFiles: 1 }
    one.configure(settings)
    expect(one.status).toMatchObject({ state: 'recording', reason: null })
    await session()
    // The disk is looked at now and then only.
    await clock.advance('10s')
    await session()
    expect(one.status).toMatchObject({ state: 'full', sessions: 1, dropped: 2 })
    one.configure({ ...settings, maxFiles: 2 })
    await session()
    expect(one.status).toMatchObject({ state: 'recording', sessions: 2, dropped: 2 })
    expect(warnings.map(line => /in-the-way|corrected|again/.exec(line)?.[0])).toEqual([
      'in-the-way',
      'corrected',
      'again',
    ])
  })

  it('is not held up by a session that ends after the reload and belongs into the folder that fails', async () => {
    const folder = tempDir('record')
    const broken = join(folder, 'in-the-way')
    writeFileSync(broken, '')
    const { recorder: one, warnings, session } = recorder({ directory: broken })
    const taps = ['a', 'b'].map(id => one.begin(id)!)
    const directory = join(folder, 'corrected')
    one.configure({ ...DEFAULT_RECORD, minFree: 0, directory })
    for (const tap of taps) {
      tap.notes.begin({ kind: 'helo', name: 'x' }, new MacroStore())
      tap.observe({ type: 'session-closed', session: '', message: null, messages: 0, milliseconds: 0 })
      await one.flush()
      await session()
    }
    expect(recordings(directory).length).toBe(2)
    expect(one.status).toMatchObject({ directory, state: 'recording', sessions: 2, dropped: 2 })
    expect(warnings.length).toBe(1)
    expect(warnings[0]).toContain(broken)
  })

  it('survives that recording is switched off while its folder fails', async () => {
    const directory = join(tempDir('record'), 'r')
    writeFileSync(directory, '')
    const { recorder: one, warnings } = recorder({ directory })
    const tap = one.begin('s')!
    tap.notes.begin({ kind: 'helo', name: 'x' }, new MacroStore())
    one.configure(null)
    tap.observe({ type: 'session-closed', session: '', message: null, messages: 0, milliseconds: 0 })
    await one.flush()
    expect(warnings.join()).toContain(directory)
  })

  it('leaves space on the disk', async () => {
    const directory = join(tempDir('record'), 'r')
    const { recorder: one, session } = recorder({ directory, minFree: Number.MAX_SAFE_INTEGER })
    await session()
    expect(recordings(directory)).toEqual([])
    expect(one.status?.reason).toContain('record.minFree')
  })

  it('tries a folder again that failed, after a while', async () => {
    const directory = join(tempDir('record'), 'r')
    writeFileSync(directory, '')
    const { recorder: one, warnings, clock, session } = recorder({ directory })
    await session()
    await session()
    expect(one.status).toMatchObject({ state: 'failing', sessions: 0, dropped: 2 })
    rmSync(directory)
    await session()
    expect(one.status?.sessions).toBe(0)
    await clock.advance('31s')
    await session()
    expect(one.status).toMatchObject({ state: 'recording', sessions: 1, dropped: 3 })
    expect(warnings.filter(line => line.includes('mail goes on')).length).toBe(1)
  })

  it('closes a folder that was open to others, and keeps its key', async () => {
    const directory = join(tempDir('record'), 'r')
    mkdirSync(directory)
    chmodSync(directory, 0o755)
    await recorder({ directory }).session()
    const key = readFileSync(join(directory, '.key'), 'utf8')
    await recorder({ directory }).session()
    expect(statSync(directory).mode & 0o777).toBe(0o700)
    expect(readFileSync(join(directory, '.key'), 'utf8')).toBe(key)
  })

  it('keeps no more in memory than it may, and counts what it left out', async () => {
    const directory = join(tempDir('record'), 'r')
    const { recorder: one } = recorder({ directory })
    const tap = one.begin('large')!
    tap.notes.begin({ kind: 'helo', name: 'x' }, new MacroStore())
    for (let n = 0; n < 17; n++) tap.notes.field('X', 'x'.repeat(1024 * 1024))
    tap.observe({ type: 'session-closed', session: '', message: null, messages: 0, milliseconds: 0 })
    await one.flush()
    expect(one.status).toMatchObject({ sessions: 0, dropped: 1 })
    await until(
      () => 'nothing is recorded',
      () => recordings(directory).length === 0,
    )
  })
})
