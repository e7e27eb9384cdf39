import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type NameServer, startNameServer } from '../dns/support/server.ts'
import { mtaClient } from '../interop/harness/mtaClient.ts'
import { type Place, place, type Running, start } from './support.ts'

const PLUGIN = `
import { definePlugin } from 'milterhost/plugin'
import { word } from './word.ts'
export const stamp = definePlugin({
  name: 'stamp',
  setup: () => ({
    async rcpt(event) {
      if (event.recipient.local === 'escape') void Promise.reject(new Error('nobody waits for me'))
      if (event.recipient.local === 'slow') await new Promise(done => event.signal.addEventListener('abort', done))
    },
    end(event) { event.edit.prependHeader('X-Word', word) },
  }),
})
`

function configured(): Place & { readonly socket: string } {
  const at = place()
  const socket = join(at.path, 'm.sock')
  at.file('word.ts', "export const word = 'first'\n")
  at.file('plugin.ts', PLUGIN)
  at.file(
    'milterhost.config.ts',
    `import { defineConfig } from 'milterhost'
import { stamp } from './plugin.ts'
export default defineConfig({ listen: 'unix:${socket}', filters: [stamp()] })
`,
  )
  return { ...at, socket }
}

async function running(at: Place, env: NodeJS.ProcessEnv = {}): Promise<Running> {
  const daemon = start(['run'], at.path, env)
  await daemon.until('ready')
  return daemon
}

async function stampOf(socket: string): Promise<string | undefined> {
  const mta = await mtaClient(`unix:${socket}`)
  await mta.negotiate()
  await mta.connect()
  await mta.helo('client.example')
  const raw = 'Subject: hi\r\n\r\nhi\r\n'
  const { edits } = await mta.message({ from: '<a@example.org>', to: ['<b@example.net>'], raw })
  await mta.quit()
  return /X-Word\0 ?(\w+)/.exec(edits.map(edit => edit.data.toString('latin1')).join(' '))?.[1]
}

describe('run', () => {
  it('says where it listens, with the lines for main.cf and the .mc file', async () => {
    const at = configured()
    const daemon = await running(at)
    expect(daemon.said()).toContain(`smtpd_milters = unix:${at.socket}`)
    expect(daemon.said()).toContain("INPUT_MAIL_FILTER(`milterhost', `S=unix:")
    expect(await stampOf(at.socket)).toBe('first')
  })

  it('reads everything anew on SIGHUP, imported files too, and keeps the old on a mistake', async () => {
    const at = configured()
    const daemon = await running(at)
    at.file('word.ts', "export const word = 'second'\n")
    daemon.process.kill('SIGHUP')
    await daemon.until('reloaded')
    expect(await stampOf(at.socket)).toBe('second')
    at.file('milterhost.config.ts', 'export default { lissen: 1 }')
    daemon.process.kill('SIGHUP')
    await daemon.until(/the old one goes on serving.*lissen/)
    expect(await stampOf(at.socket)).toBe('second')
  })

  it('asks other name servers after SIGHUP changed dns.servers, and has forgotten what the old ones said', async () => {
    const at = configured()
    const server = async (word: string): Promise<NameServer> => {
      const started = await startNameServer(({ packet }) => ({
        answers: [{ name: packet.questions![0]!.name, type: 'TXT', ttl: 3600, data: word }],
      }))
      onTestFinished(() => started.close())
      return started
    }
    const servers = [await server('first'), await server('second')] as const
    const asking = (port: number): void => {
      at.file(
        'milterhost.config.ts',
        `import { defineConfig } from 'milterhost'
import { definePlugin } from 'milterhost/plugin'
const ask = definePlugin({
  name: 'ask',
  setup: host => ({
    async end(event) {
      event.edit.prependHeader('X-Word', (await host.dns.txt('word.example'))[0])
    },
  }),
})
export default defineConfig({ listen: 'unix:${at.socket}', filters: [ask()], dns: { servers: ['127.0.0.1:${port}'] } })
`,
      )
    }
    asking(servers[0].port)
    const daemon = await running(at)
    expect(await stampOf(at.socket)).toBe('first')
    expect(await stampOf(at.socket)).toBe('first')
    expect(servers[0].asked).toHaveLength(1)
    asking(servers[1].port)
    daemon.process.kill('SIGHUP')
    await daemon.until('reloaded')
    expect(await stampOf(at.socket)).toBe('second')
    expect(servers[0].asked).toHaveLength(1)
  })

  it('on SIGTERM lets a running message have a spoken 451 and ends', async () => {
    const at = configured()
    const daemon = await running(at)
    const mta = await mtaClient(`unix:${at.socket}`, { timeout: 40_000 })
    await mta.negotiate()
    await mta.connect()
    await mta.helo('client.example')
    await mta.mail('<a@example.org>')
    const answer = mta.rcpt('<slow@example.net>')
    daemon.process.kill('SIGTERM')
    expect((await answer).at(-1)!.data.toString('latin1')).toMatch(/^451 4\.[37]\.\d /)
    expect(await daemon.ended).toBe(0)
    expect(existsSync(at.socket)).toBe(false)
  }, 60_000)

  it('ends at once at the second signal', async () => {
    const at = configured()
    const daemon = await running(at)
    const mta = await mtaClient(`unix:${at.socket}`)
    await mta.negotiate()
    await mta.connect()
    daemon.process.kill('SIGTERM')
    await daemon.until('ending when')
    daemon.process.kill('SIGTERM')
    expect(await daemon.ended).toBe(0)
    expect(daemon.said()).toContain('ending at once')
  })

  it('opens no debugger on SIGUSR1', async () => {
    const at = configured()
    const daemon = await running(at)
    daemon.process.kill('SIGUSR1')
    await daemon.until('SIGUSR1 does nothing here')
    expect(listensOnTcp(daemon.process.pid!)).toBe(false)
    expect(await stampOf(at.socket)).toBe('first')
  })

  it('outlives an error that a plugin let escape, and says so', async () => {
    const at = configured()
    const daemon = await running(at)
    const mta = await mtaClient(`unix:${at.socket}`)
    await mta.negotiate()
    await mta.connect()
    await mta.helo('client.example')
    await mta.mail('<a@example.org>')
    await mta.rcpt('<escape@example.net>')
    await daemon.until('UNCAUGHT')
    expect(await stampOf(at.socket)).toBe('first')
  })

  it('writes one summary line a message, and levels for journald', async () => {
    const at = configured()
    const daemon = start(['run', '--log-format', 'journald'], at.path)
    await daemon.until('ready')
    await stampOf(at.socket)
    await daemon.until(/^<6>.*<a@example\.org>/m)
    expect(daemon.said()).toMatch(/^<6>.*accept.*stamp/m)
  })

  it('does not take an address that another program has', async () => {
    const at = configured()
    await running(at)
    const second = start(['run'], at.path)
    expect(await second.ended).toBe(1)
    expect(second.said()).toContain(`cannot listen on ${at.socket}`)
    expect(await stampOf(at.socket)).toBe('first')
  })
})

/** Whether a process has a listening TCP socket, read from the kernel's tables. */
function listensOnTcp(pid: number): boolean {
  const sockets = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap(fd => {
      try {
        return [/^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1]].filter(
          inode => inode !== undefined,
        )
      } catch {
        // Closed between the two looks.
        return []
      }
    }),
  )
  const listening = ['tcp', 'tcp6'].flatMap(table =>
    readFileSync(`/proc/net/${table}`, 'utf8')
      .split('\n')
      .map(line => line.trim().split(/\s+/))
      .filter(columns => columns[3] === '0A')
      .map(columns => columns[9]),
  )
  return listening.some(inode => inode !== undefined && sockets.has(inode))
}
