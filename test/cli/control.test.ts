import { existsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { askControl } from '../../src/daemon/control/client.ts'
import type { ControlRequest, ControlResults } from '../../src/daemon/control/protocol.ts'
import { type MtaClient, mtaClient } from '../interop/harness/mtaClient.ts'
import { type Ended, milterhost, type Place, place, type Running, start } from './support.ts'

// Each command is a process of its own, which takes a second or two on a busy machine.
vi.setConfig({ testTimeout: 60_000 })

const PLUGINS = `
import { definePlugin } from 'milterhost/plugin'
export const stamp = definePlugin({
  name: 'stamp',
  setup: () => ({ end(event) { event.edit.prependHeader('X-Stamp', 'yes') } }),
})
export const tarpit = definePlugin({
  name: 'tarpit',
  setup: () => ({
    async rcpt(event) {
      if (event.recipient.local === 'slow') await event.hold(120)
    },
  }),
})
`

interface Host extends Place {
  readonly socket: string
  readonly daemon: Running
  command(...args: string[]): Ended
  /** As a command asks, without the second that starting it takes. */
  ask<R extends ControlRequest>(request: R): Promise<ControlResults[R['do']]>
  configure(filters: string, more?: string): void
}

async function host(more = ''): Promise<Host> {
  const at = place()
  const socket = join(at.path, 'm.sock')
  at.file('plugins.ts', PLUGINS)
  const configure = (filters: string, rest = ''): void =>
    writeFileSync(
      join(at.path, 'milterhost.config.ts'),
      `import { defineConfig } from 'milterhost'
import { stamp, tarpit } from './plugins.ts'
export default defineConfig({
  listen: 'unix:${socket}',
  mta: 'postfix',
  filters: [${filters}],
  ${rest}
})
`,
    )
  configure('stamp(), tarpit({}, { enabled: true })', more)
  const command = (...args: string[]): Ended => milterhost(args, { cwd: at.path })
  const daemon = start(['run'], at.path)
  await daemon.until('ready')
  return {
    ...at,
    socket,
    daemon,
    command,
    configure,
    async ask(request) {
      const { result, close } = await askControl(join(at.path, 'control.sock'), request)
      close()
      return result
    },
  }
}

async function greeted({ socket }: Host): Promise<MtaClient> {
  const mta = await mtaClient(`unix:${socket}`, { timeout: 60_000 })
  await mta.negotiate()
  await mta.connect()
  await mta.helo('client.example')
  return mta
}

async function stamped(at: Host): Promise<boolean> {
  const mta = await greeted(at)
  const { edits } = await mta.message({
    from: '<a@example.org>',
    to: ['<b@example.net>'],
    raw: 'Subject: hi\r\n\r\nhi\r\n',
  })
  await mta.quit()
  return edits.some(({ data }) => data.toString('latin1').includes('X-Stamp'))
}

describe('a running daemon', () => {
  it('tells its status, as a table and as JSON', async () => {
    const at = await host()
    await stamped(at)
    const { code, out } = at.command('status')
    expect(code).toBe(0)
    expect(out).toMatch(new RegExp(`^milterhost \\S+, pid ${at.daemon.process.pid}, serving for .*, listens on unix:`))
    expect(out).toMatch(/^configuration 1, read 20\S+ in \d+ ms$/m)
    expect(out).toMatch(/messages: 1 accept$/m)
    expect(out).toMatch(/^1 +stamp +plugin +enforce +up +1 +0 +0 +\S+ ms +\S+ ms$/m)
    expect(JSON.parse(at.command('status', '--json').out)).toMatchObject({
      pid: at.daemon.process.pid,
      generation: 1,
      messages: { accept: 1, reject: 0 },
      reload: { failed: null },
      filters: [
        { name: 'stamp', kind: 'plugin', mode: 'enforce', enabled: true, messages: 1, failures: 0 },
        { name: 'tarpit' },
      ],
    })
    expect(statSync(join(at.path, 'control.sock')).mode & 0o777).toBe(0o600)
  })

  it('reloads on command, or says what is wrong, with file and line, and serves on', async () => {
    const at = await host()
    at.configure('stamp()')
    const reloaded = at.command('reload')
    expect([reloaded.code, reloaded.out]).toEqual([0, expect.stringMatching(/^Configuration 2 serves, .*: stamp\.$/m)])
    at.configure('stamp()', 'limits: { body: -1 },')
    await expect(at.ask({ do: 'reload' })).rejects.toThrow(
      /milterhost\.config\.ts is not .*\n {2}line 7: limits\.body must/,
    )
    writeFileSync(join(at.path, 'milterhost.config.ts'), 'export default {\n  listen: [,\n')
    const refused = at.command('reload')
    expect([refused.code, refused.err]).toEqual([2, expect.stringMatching(/milterhost\.config\.ts:3:1: /)])
    expect(await at.ask({ do: 'status' })).toMatchObject({
      generation: 2,
      reload: { failed: { code: 'CONFIG_SYNTAX' } },
    })
    expect(at.command('status').out).toMatch(/^the reload at \S+ failed: .*milterhost\.config\.ts:3:1/m)
    expect(await stamped(at)).toBe(true)
  })

  it('leaves a filter out and takes it in again on command, over restarts', async () => {
    const at = await host()
    expect(at.command('disable', 'stamp').out).toMatch(/^stamp is disabled; configuration 2 serves\.$/m)
    expect(await stamped(at)).toBe(false)
    expect(at.command('status').out).toMatch(/^1 +stamp +plugin +off \(by command\) +off/m)
    expect(await at.ask({ do: 'disable', filter: 'stamp' })).toMatchObject({ changed: false })
    at.daemon.process.kill('SIGTERM')
    expect(await at.daemon.ended).toBe(0)
    const again = start(['run'], at.path)
    await again.until('ready')
    expect(await stamped(at)).toBe(false)
    at.configure('tarpit()')
    await at.ask({ do: 'reload' })
    expect(await at.ask({ do: 'status' })).toMatchObject({ ignored: ['stamp'] })
    at.configure('stamp(), tarpit()')
    await at.ask({ do: 'reload' })
    expect(await stamped(at)).toBe(false)
    expect(at.command('enable', 'stamp').code).toBe(0)
    expect(await stamped(at)).toBe(true)
    expect((await at.ask({ do: 'status' })).filters).toMatchObject([
      { name: 'stamp', enabled: true, overridden: false },
      { name: 'tarpit' },
    ])
  })

  it('knows its filters by name, and takes back a switch whose reload is refused', async () => {
    const at = await host()
    const unknown = at.command('disable', 'stmap')
    expect([unknown.code, unknown.err]).toEqual([
      2,
      expect.stringContaining('no filter "stmap"; did you mean "stamp"?'),
    ])
    writeFileSync(join(at.path, 'milterhost.config.ts'), 'export default {')
    await expect(at.ask({ do: 'disable', filter: 'stamp' })).rejects.toMatchObject({ code: 'CONFIG_SYNTAX' })
    expect(await stamped(at)).toBe(true)
    at.configure('stamp(), tarpit()')
    await at.ask({ do: 'reload' })
    expect((await at.ask({ do: 'status' })).filters[0]).toMatchObject({
      name: 'stamp',
      enabled: true,
      overridden: false,
    })
    const restarted = at.command('restart', 'stamp')
    expect([restarted.code, restarted.err]).toEqual([1, expect.stringContaining('it is a plugin')])
  })

  it('lists its sessions, whom they wait for and how long, and ends one with 421', async () => {
    const at = await host()
    const idle = await greeted(at)
    const held = await greeted(at)
    await held.mail('<a@example.org>')
    const answer = held.rcpt('<slow@example.net>')
    const { sessions } = await at.ask({ do: 'sessions', limit: 10 })
    expect(sessions).toMatchObject([
      {
        client: 'client.example[198.51.100.7]',
        helo: 'client.example',
        stage: 'mail',
        waits: { filter: 'tarpit', stage: 'rcpt', held: true },
        messages: 1,
      },
      { stage: 'idle', waits: null, messages: 0 },
    ])
    expect(at.command('sessions').out).toMatch(
      /^\S+ +client\.example\[198\.51\.100\.7\] +client\.example +\S+ +mail +tarpit, holds \S+ +1$/m,
    )
    const killed = at.command('kill', sessions[0]!.id)
    expect([killed.code, killed.out]).toEqual([0, expect.stringContaining('was ended with 421')])
    expect((await answer).at(-1)!.data.toString('latin1')).toMatch(/^421 4\.3\.2 /)
    expect(await at.ask({ do: 'kill', session: sessions[1]!.id })).toMatchObject({ ends: 'at-next-command' })
    expect((await idle.mail('<b@example.org>')).at(-1)!.data.toString('latin1')).toMatch(/^421 4\.3\.2 /)
    await Promise.all([held.quit(), idle.quit()])
    await expect(at.ask({ do: 'kill', session: sessions[0]!.id })).rejects.toThrow(/there is no session/)
    expect(await at.ask({ do: 'sessions', limit: 10 })).toEqual({ total: 0, sessions: [] })
  })

  it('ends on command when what runs is done, and is not held by an MTA that says nothing', async () => {
    const at = await host()
    const idle = await greeted(at)
    const began = performance.now()
    const drained = at.command('drain')
    expect([drained.code, drained.out]).toEqual([0, 'Ending; 1 SMTP sessions are open.\nEnded.\n'])
    expect(await at.daemon.ended).toBe(0)
    await idle.closed
    // An idle session used to keep it for 25 s.
    expect(performance.now() - began).toBeLessThan(20_000)
    expect(existsSync(join(at.path, 'control.sock'))).toBe(false)
  })
})

describe('which daemon a command asks', () => {
  it('is the one whose socket is named, by --socket or by the configuration', async () => {
    const at = place()
    const control = join(at.path, 'there.sock')
    const config = at.file(
      'other.config.mjs',
      `export default { listen: 'unix:${join(at.path, 'm.sock')}', control: { socket: '${control}' } }`,
    )
    const daemon = start(['run', '--config', config], at.path)
    await daemon.until('ready')
    for (const named of [
      ['--socket', control],
      ['--config', config],
    ])
      expect(JSON.parse(milterhost(['status', '--json', ...named], { cwd: at.path }).out).pid).toBe(daemon.process.pid)
    const nobody = milterhost(['status', '--socket', join(at.path, 'none', 'control.sock')], { cwd: at.path })
    expect([nobody.code, nobody.err]).toEqual([1, expect.stringMatching(/no daemon answers at .*ENOENT/)])
    at.file('milterhost.config.mjs', `export { default } from './other.config.mjs'`)
    expect(JSON.parse(milterhost(['status', '--json'], { cwd: at.path }).out).pid).toBe(daemon.process.pid)
  })

  it('is not one that has its control socket off', async () => {
    const at = place()
    const config = at.file('c.mjs', `export default { listen: 'unix:${join(at.path, 'm.sock')}', control: false }`)
    const daemon = start(['run', '--config', config], at.path)
    await daemon.until('ready')
    expect(existsSync(join(at.path, 'control.sock'))).toBe(false)
    expect(milterhost(['status', '--config', config], { cwd: at.path }).err).toContain('it says control: false')
  })

  it('is the first of two that have the same default: the second says so and serves without', async () => {
    const at = await host()
    const second = at.file('second.mjs', `export default { listen: 'unix:${join(at.path, 'second.sock')}' }`)
    const other = start(['run', '--config', second], at.path)
    await other.until('ready')
    expect(other.said()).toMatch(/will not find this daemon: .*control\.sock: another program listens there/)
    expect((await at.ask({ do: 'status' })).pid).toBe(at.daemon.process.pid)
    at.file(
      'named.mjs',
      `export default { listen: 'inet:0@127.0.0.1', control: { socket: '${join(at.path, 'control.sock')}' } }`,
    )
    const third = start(['run', '--config', join(at.path, 'named.mjs')], at.path)
    expect(await third.ended).toBe(1)
    expect(third.said()).toContain('another program listens there')
  })
})
