import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { socket } from '../src/bridge/milter/index.ts'
import { formatSocketAddress } from '../src/bridge/wire/index.ts'
import { type Daemon, startDaemon } from '../src/daemon.ts'
import type { Config } from '../src/host/config/config.ts'
import { validateConfig } from '../src/host/config/validate.ts'
import type { HostEvent } from '../src/host/observe/event.ts'
import { createLog } from '../src/host/observe/output.ts'
import { MetricsRegistry } from '../src/host/plugin/metrics.ts'
import { systemClock } from '../src/host/time/clock.ts'
import { definePlugin, type FilterEntry, reject, tempfail } from '../src/plugin.ts'
import { fakeDns } from '../src/testing/dns.ts'
import { type MtaClient, mtaClient } from './interop/harness/mtaClient.ts'
import { until } from './interop/harness/wait.ts'

interface Started {
  readonly daemon: Daemon
  readonly events: HostEvent[]
  readonly complaints: string[]
  readonly socket: string
  /** What the next reload finds; a function may throw. */
  next: Config | (() => Config)
}

async function start(first: Config, socketName = 'm.sock', files: number | null = null): Promise<Started> {
  const folder = mkdtempSync(join(tmpdir(), 'milterhost-daemon-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const socket = join(folder, socketName)
  const complete = (config: Config): Config => ({
    listen: `unix:${socket}`,
    spool: { directory: join(folder, 'spool') },
    ...config,
  })
  const events: HostEvent[] = []
  const complaints: string[] = []
  const started: Omit<Started, 'daemon'> = { events, complaints, socket, next: first }
  const daemon = await startDaemon({
    clock: systemClock,
    log: createLog({ clock: systemClock, level: 'warn', format: 'text', write: line => void complaints.push(line) }),
    services: { dns: fakeDns(), metrics: new MetricsRegistry() },
    observe: event => void events.push(event),
    files,
    load: async () => {
      const config = typeof started.next === 'function' ? started.next() : started.next
      return validateConfig(complete(config), 'the test')
    },
  })
  onTestFinished(() => daemon.close())
  return Object.assign(started, { daemon })
}

/** Refuses every recipient in the given words; tells when it is closed. */
function refusing(words: string, closed: string[] = []): FilterEntry {
  return definePlugin({
    name: 'refusing',
    setup: host => {
      host.onClose(() => void closed.push(words))
      return { rcpt: () => reject(words) }
    },
  })()
}

async function greeted(address: string): Promise<MtaClient> {
  const mta = await mtaClient(address)
  await mta.negotiate()
  await mta.connect()
  await mta.helo()
  return mta
}

/** What the recipient of one more message is told. */
async function answer(mta: MtaClient): Promise<string> {
  const mail = await mta.mail('<a@example.org>')
  const told = mail.at(-1)?.command === 'y' ? mail : await mta.rcpt('<b@example.net>')
  mta.abort()
  return told.at(-1)?.data.toString('latin1').replace('\0', '') ?? ''
}

const answers = (path: string): Promise<boolean> =>
  new Promise(resolve => {
    const socket = createConnection(path)
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })

describe('a reload', () => {
  it('is for new connections; those that are open keep what they began with', async () => {
    const started = await start({ filters: [refusing('old')] })
    const early = await greeted(`unix:${started.socket}`)
    started.next = { filters: [refusing('new')] }
    await started.daemon.reload()
    const late = await greeted(`unix:${started.socket}`)
    expect(await answer(early)).toMatch(/old$/)
    expect(await answer(late)).toMatch(/new$/)
    expect(await answer(early)).toMatch(/old$/)
  })

  it('closes the old filters when the last connection that uses them has ended, and not before', async () => {
    const closed: string[] = []
    const started = await start({ filters: [refusing('old', closed)] })
    const early = await greeted(`unix:${started.socket}`)
    started.next = { filters: [refusing('new', closed)] }
    await started.daemon.reload()
    expect(await answer(early)).toMatch(/old$/)
    expect(closed).toEqual([])
    await early.quit()
    await until('the old filter closes', () => closed.length > 0)
    expect(closed).toEqual(['old'])
    expect(started.daemon.sessions).toBe(0)
  })

  it.each([
    ['is not valid', { limits: { body: -1 } }, /limits\.body must be a size/],
    [
      'throws',
      () => {
        throw new Error('no database')
      },
      /no database/,
    ],
    [
      'has a plugin that cannot be set up',
      {
        filters: [
          definePlugin({
            name: 'broken',
            setup: () => {
              throw new Error('no key file')
            },
          })(),
        ],
      },
      /broken.*no key file/,
    ],
    ['listens where it cannot', { listen: 'unix:/nonexistent/folder/m.sock' }, /directory does not exist/],
  ] as const)('to a configuration that %s leaves the old one serving', async (_what, next, message) => {
    const started = await start({ filters: [refusing('old')] })
    const early = await greeted(`unix:${started.socket}`)
    started.next = next as Config
    await expect(started.daemon.reload()).rejects.toThrow(message)
    expect(await answer(early)).toMatch(/old$/)
    expect(await answer(await greeted(`unix:${started.socket}`))).toMatch(/old$/)
    started.next = { filters: [refusing('new')] }
    await started.daemon.reload()
    expect(await answer(await greeted(`unix:${started.socket}`))).toMatch(/new$/)
  })

  it('that fails closes the filters it had made already', async () => {
    const closed: string[] = []
    const started = await start({})
    const broken = definePlugin({
      name: 'broken',
      setup: () => {
        throw new Error('no key file')
      },
    })()
    started.next = { filters: [refusing('made', closed), broken] }
    await expect(started.daemon.reload()).rejects.toMatchObject({ code: 'FILTER_NOT_CREATED' })
    expect(closed).toEqual(['made'])
  })

  it('waits for the one before it', async () => {
    const started = await start({})
    const order: string[] = []
    const slow = definePlugin({
      name: 'slow',
      setup: async () => {
        order.push('begins')
        await new Promise(resolve => setTimeout(resolve, 50))
        order.push('done')
        return {}
      },
    })
    started.next = () => ({ filters: [slow()] })
    await Promise.all([started.daemon.reload(), started.daemon.reload()])
    expect(order).toEqual(['begins', 'done', 'begins', 'done'])
  })

  it('keeps a socket whose address stays, a free port too', async () => {
    const started = await start({ listen: 'inet:0@127.0.0.1', filters: [refusing('old')] })
    const before = started.daemon.addresses
    started.next = { listen: 'inet:127.0.0.1:0', filters: [refusing('new')] }
    await started.daemon.reload()
    expect(started.daemon.addresses).toEqual(before)
    const address = formatSocketAddress(before[0]!, 'postfix')
    expect(await answer(await greeted(address))).toMatch(/new$/)
  })

  it('opens what is new and closes what is gone', async () => {
    const started = await start({ filters: [refusing('old')] })
    const other = `${started.socket}2`
    started.next = { listen: `unix:${other}`, filters: [refusing('new')] }
    await started.daemon.reload()
    expect(await answers(started.socket)).toBe(false)
    expect(await answer(await greeted(`unix:${other}`))).toMatch(/new$/)
  })

  it('gives a socket other rights', async () => {
    const started = await start({})
    expect(statSync(started.socket).mode & 0o777).toBe(0o660)
    started.next = { listen: { address: `unix:${started.socket}`, mode: 0o600 } }
    await started.daemon.reload()
    expect(statSync(started.socket).mode & 0o777).toBe(0o600)
    expect(await answers(started.socket)).toBe(true)
  })

  it('that cannot give a socket other rights brings the old socket back', async () => {
    const started = await start({ filters: [refusing('old')] })
    started.next = { listen: { address: `unix:${started.socket}`, group: 'no-such-group-here' } }
    await expect(started.daemon.reload()).rejects.toMatchObject({ code: 'LISTEN_GROUP' })
    expect(statSync(started.socket).mode & 0o777).toBe(0o660)
    expect(await answer(await greeted(`unix:${started.socket}`))).toMatch(/old$/)
  })

  it('names another MTA on the same address', async () => {
    const watching = definePlugin({ name: 'watching', setup: () => ({ connect: () => undefined }) })
    const started = await start({ mta: 'postfix', filters: [watching()] })
    await greeted(`unix:${started.socket}`)
    started.next = { mta: 'sendmail', filters: [watching()] }
    await started.daemon.reload()
    await greeted(`unix:${started.socket}`)
    const opened = started.events.filter(event => event.type === 'session-opened')
    expect(opened.map(({ mta }) => mta)).toEqual(['postfix', 'sendmail'])
  })
})

describe('a connection beyond limits.sessions', () => {
  it('is told so in the protocol, is counted, and is served again when another has ended', async () => {
    const started = await start({ limits: { sessions: 1 }, filters: [refusing('served')] })
    const first = await greeted(`unix:${started.socket}`)
    expect(await answer(await greeted(`unix:${started.socket}`))).toMatch(/^4[25]1 4\./)
    expect(started.events).toContainEqual(expect.objectContaining({ type: 'limit-reached', code: 'LIMIT_SESSIONS' }))
    expect(await answer(first)).toMatch(/served$/)
    await first.quit()
    await until('the session ends', () => started.daemon.sessions === 0)
    expect(await answer(await greeted(`unix:${started.socket}`))).toMatch(/served$/)
  })
})

describe('more connections than there are file descriptors for', () => {
  it('are told so in the protocol, and the postmaster when the configuration begins to serve', async () => {
    const milter = socket('nobody', 'unix:/nonexistent/milter.sock', { onFailure: 'accept' })
    const config = { limits: { sessions: 3 }, filters: [refusing('served'), milter] }
    // 256 are for everything else; each session takes one, and one for the milter.
    const started = await start(config, 'm.sock', 256 + 2 * 2)
    const told = started.complaints.filter(line => line.includes('LIMIT_FILES'))
    expect(told).toHaveLength(1)
    expect(told[0]).toMatch(/the 260 files .* 2 SMTP connections/)
    const address = `unix:${started.socket}`
    const open = [await greeted(address), await greeted(address)]
    expect(await answer(await greeted(address))).toMatch(/^4[25]1 4\./)
    expect(started.events).toContainEqual(expect.objectContaining({ type: 'limit-reached', code: 'LIMIT_FILES' }))
    for (const mta of open) expect(await answer(mta)).toMatch(/served$/)
  })

  it('says nothing where they are enough, and is not more than limits.sessions', async () => {
    const config = { limits: { sessions: 1 }, filters: [refusing('served')] }
    const started = await start(config, 'm.sock', 100_000)
    expect(started.complaints).toEqual([])
    const first = await greeted(`unix:${started.socket}`)
    expect(await answer(await greeted(`unix:${started.socket}`))).toMatch(/^4[25]1 4\./)
    expect(started.events).toContainEqual(expect.objectContaining({ type: 'limit-reached', code: 'LIMIT_SESSIONS' }))
    expect(await answer(first)).toMatch(/served$/)
  })
})

describe('the end', () => {
  it('takes no new message and lets a running one come to its answer', async () => {
    const release = Promise.withResolvers<void>()
    const slow = definePlugin({
      name: 'slow',
      setup: () => ({
        async rcpt() {
          await release.promise
          return tempfail('in my own words')
        },
      }),
    })
    const started = await start({ filters: [slow()] })
    const mta = await greeted(`unix:${started.socket}`)
    const idle = await greeted(`unix:${started.socket}`)
    await mta.mail('<a@example.org>')
    const rcpt = mta.rcpt('<b@example.net>')
    await until('the plugin is asked', () => started.daemon.sessions === 2)
    const drained = started.daemon.drain(10_000)
    expect(await answers(started.socket)).toBe(false)
    release.resolve()
    expect((await rcpt).at(-1)!.data.toString('latin1')).toMatch(/in my own words/)
    expect((await idle.mail('<c@example.org>')).at(-1)!.data.toString('latin1')).toMatch(/^421 4\./)
    await Promise.all([mta.quit(), idle.quit(), drained])
    expect(started.daemon.sessions).toBe(0)
  })

  it('speaks to what runs too long, and comes although a filter does not close', async () => {
    const stuck = definePlugin({
      name: 'stuck',
      setup: host => {
        host.onClose(() => new Promise(() => {}))
        return { rcpt: () => new Promise<undefined>(() => {}) }
      },
    })
    const started = await start({ filters: [stuck()] })
    const mta = await greeted(`unix:${started.socket}`)
    await mta.mail('<a@example.org>')
    const rcpt = mta.rcpt('<b@example.net>')
    await until('the plugin is asked', () => started.daemon.sessions === 1)
    const drained = started.daemon.drain(200)
    expect((await rcpt).at(-1)!.data.toString('latin1')).toMatch(/^4[25]1 4\./)
    await drained
    expect(started.complaints.join('')).toMatch(/filter did not close cleanly/)
  })

  it('comes while a reload is still reading', async () => {
    const started = await start({})
    const begun = Promise.withResolvers<void>()
    const reading = Promise.withResolvers<void>()
    const closed: string[] = []
    const waiting = definePlugin({
      name: 'waiting',
      setup: async host => {
        host.onClose(() => void closed.push('waiting'))
        begun.resolve()
        await reading.promise
        return {}
      },
    })
    started.next = { listen: `unix:${started.socket}2`, filters: [waiting()] }
    const reloaded = started.daemon.reload()
    await begun.promise
    await started.daemon.close()
    reading.resolve()
    await reloaded
    await until('what the reload made is closed', () => closed.length > 0)
    expect(await answers(`${started.socket}2`)).toBe(false)
  })
})

it('does not start when an address cannot be bound, and leaves no other open', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'milterhost-daemon-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const closed: string[] = []
  const good = join(folder, 'good.sock')
  const listen = [`unix:${good}`, `unix:${join(folder, 'none', 'bad.sock')}`]
  const config: Config = { listen, spool: { directory: join(folder, 'spool') }, filters: [refusing('x', closed)] }
  await expect(
    startDaemon({
      clock: systemClock,
      log: createLog({ clock: systemClock, level: 'error', format: 'text', write: () => {} }),
      services: { dns: fakeDns(), metrics: new MetricsRegistry() },
      observe: () => {},
      load: async () => validateConfig(config, 'the test'),
    }),
  ).rejects.toMatchObject({ code: 'LISTEN_DIRECTORY' })
  expect(await answers(good)).toBe(false)
  await until('the filters are closed', () => closed.length > 0)
})
