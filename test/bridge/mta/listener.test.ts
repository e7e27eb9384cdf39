import { execFileSync } from 'node:child_process'
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { type Listener, listen } from '../../../src/bridge/mta/listener.ts'
import type { ListenAddress } from '../../../src/host/config/settings.ts'
import { CONTINUE } from '../../../src/host/verdict.ts'
import { HandClock } from '../../host/support/clock.ts'
import { connectTo, eventually, hello, LogLines, mailFrom, message, offer, place, rcptTo } from './support/mta.ts'
import { RecordingSource } from './support/recorder.ts'

let folder: string
let socket: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'milterhost-'))
  socket = join(folder, 'mta.sock')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const at = (address: string, rights: Partial<ListenAddress> = {}): ListenAddress => ({
  address,
  mode: 0o660,
  group: null,
  ...rights,
})

async function open(...addresses: ListenAddress[]): Promise<Listener> {
  const listener = await listen(addresses, {
    source: new RecordingSource(),
    clock: new HandClock(),
    log: new LogLines(),
  })
  onTestFinished(() => listener.close())
  return listener
}

const fails = async (code: string, ...addresses: ListenAddress[]): Promise<Error> => {
  const error: unknown = await open(...addresses).then(
    () => null,
    reason => reason,
  )
  expect(error).toMatchObject({ code })
  return error as Error
}

/** A socket file that its process left behind. */
function leaveStale(path: string): void {
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`
  try {
    execFileSync(process.execPath, ['-e', script], { stdio: 'ignore' })
  } catch {
    // It ends by the signal that it sends itself.
  }
  expect(lstatSync(path).isSocket()).toBe(true)
}

describe('addresses', () => {
  it('several at once, IPv4, IPv6 and UNIX, answer alike', async () => {
    const listener = await open(at('inet:0@127.0.0.1'), at('inet6:0@::1'), at('inet:[::1]:0'), at(`unix:${socket}`))
    expect(listener.addresses.map(address => address.kind)).toEqual(['inet', 'inet', 'inet', 'unix'])
    for (const address of listener.addresses) {
      const mta = await connectTo(address)
      await mta.greet()
      expect(mta.letters).toBe('Occ')
      mta.socket.destroy()
    }
  })

  it('are bound all or none', async () => {
    const taken = await open(at('inet:0@127.0.0.1'))
    const { port } = taken.addresses[0] as { port: number }
    const error = await fails('LISTEN_IN_USE', at(`unix:${socket}`), at(`inet:${port}@127.0.0.1`))
    expect(error.message).toContain(`inet:${port}@127.0.0.1`)
    expect(readdirSync(folder)).toEqual([])
  })

  it('that this machine has not are told as such', async () => {
    await fails('LISTEN_ADDRESS', at('inet:0@192.0.2.1'))
  })
})

describe('a UNIX socket', () => {
  it('has the mode it was given, from its first moment, and nothing else is left beside it', async () => {
    await open(at(`unix:${socket}`, { mode: 0o602 }))
    expect(statSync(socket).mode & 0o777).toBe(0o602)
    expect(readdirSync(folder)).toEqual(['mta.sock'])
  })

  it('is given to a group, by number or name', async () => {
    const gid = process.getgid!()
    const name = readFileSync('/etc/group', 'latin1')
      .split('\n')
      .find(line => line.split(':')[2] === String(gid))!
      .split(':')[0]!
    const other = join(folder, 'other.sock')
    await open(at(`unix:${socket}`, { group: gid }), at(`unix:${other}`, { group: name }))
    expect([statSync(socket).gid, statSync(other).gid]).toEqual([gid, gid])
  })

  it('is not opened for a group that does not exist', async () => {
    await fails('LISTEN_GROUP', at(`unix:${socket}`, { group: 'no-such-group' }))
    expect(readdirSync(folder)).toEqual([])
  })

  it('takes the place of one that nobody serves any more', async () => {
    leaveStale(socket)
    const listener = await open(at(`unix:${socket}`))
    const mta = await connectTo(listener.addresses[0]!)
    await mta.ask(offer)
    mta.socket.destroy()
  })

  it('leaves one alone that is served', async () => {
    const server = createServer()
    await new Promise<void>(resolve => server.listen(socket, resolve))
    onTestFinished(() => void server.close())
    const inode = lstatSync(socket).ino
    await fails('LISTEN_IN_USE', at(`unix:${socket}`))
    expect(lstatSync(socket).ino).toBe(inode)
    expect(readdirSync(folder)).toEqual(['mta.sock'])
  })

  it.each([
    ['a file', (path: string) => writeFileSync(path, 'precious')],
    ['a directory', (path: string) => mkdirSync(path)],
    ['a symbolic link', (path: string) => symlinkSync('/nowhere', path)],
  ])('never touches %s in its place', async (what, make) => {
    make(socket)
    const before = lstatSync(socket)
    const error = await fails('LISTEN_FOREIGN', at(`unix:${socket}`))
    expect(error.message).toContain(what)
    expect(lstatSync(socket).ino).toBe(before.ino)
    expect(readdirSync(folder)).toEqual(['mta.sock'])
  })

  it('does not follow a symbolic link to a stale socket', async () => {
    const target = join(folder, 'target.sock')
    leaveStale(target)
    symlinkSync(target, socket)
    await fails('LISTEN_FOREIGN', at(`unix:${socket}`))
    expect(lstatSync(target).isSocket()).toBe(true)
  })

  it('is removed at the end', async () => {
    const listener = await open(at(`unix:${socket}`))
    await listener.close()
    expect(readdirSync(folder)).toEqual([])
  })

  it('is not removed at the end if another one took its place', async () => {
    const listener = await open(at(`unix:${socket}`))
    unlinkSync(socket)
    writeFileSync(socket, 'of another')
    await listener.close()
    expect(readFileSync(socket, 'utf8')).toBe('of another')
  })

  it('needs its directory', async () => {
    const error = await fails('LISTEN_DIRECTORY', at(`unix:${join(folder, 'none', 'mta.sock')}`))
    expect(error.message).toContain('does not exist')
  })
})

describe('the end', () => {
  const sorted = (texts: string[]): string[] => [...texts].sort()

  it('close cuts every connection, in whatever state, and tells the sessions', async () => {
    const { connect, listener, source } = await place()
    const fresh = await connect()
    const idle = await (await connect()).greet()
    source.answers.mail = () => new Promise(() => {})
    const busy = await (await connect()).greet()
    busy.send(mailFrom)
    await eventually(() => source.told.includes('mail <a@example.org> SIZE=100'))
    await listener.close()
    await Promise.all([fresh.closed, idle.closed, busy.closed])
    expect(source.sessions.map(({ closed }) => closed?.kind)).toEqual(['shutdown', 'shutdown'])
    await eventually(() => listener.connections === 0)
  })

  it('drain takes no new connection and no new message, and lets the running one end', async () => {
    const { connect, listener, source } = await place()
    const fresh = await connect()
    await eventually(() => listener.connections === 1)
    const idle = await (await connect()).greet()
    const running = await (await connect()).greet()
    running.send(mailFrom, rcptTo)
    await running.until(5)
    let over = false
    const drained = listener.drain(30_000).then(() => {
      over = true
    })
    await fresh.closed
    await expect(connectTo(listener.addresses[0]!)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    expect(await idle.ask(mailFrom)).toMatchObject({ kind: 'replycode', text: expect.stringMatching(/^421 4\.3\.2 /) })
    idle.send({ kind: 'quit' })
    await idle.closed
    running.send(...message.slice(2))
    await running.until(7)
    expect(running.letters).toBe('Occcccc')
    expect(await running.ask(mailFrom)).toMatchObject({ kind: 'replycode', text: expect.stringMatching(/^421 /) })
    expect(over).toBe(false)
    running.send({ kind: 'quit' })
    await drained
    expect(sorted(source.told.filter(line => line.startsWith('close')))).toEqual([
      'close client-left',
      'close client-left',
    ])
  })

  it('drain ends what still runs at its deadline with a spoken failure', async () => {
    const { connect, listener, source, clock } = await place()
    const idle = await (await connect()).greet()
    source.answers.mail = () => source.session.untilInterrupted()
    const running = await (await connect()).greet()
    running.send(mailFrom)
    await eventually(() => source.told.includes('mail <a@example.org> SIZE=100'))
    const drained = listener.drain(10_000)
    await clock.advance(9_999)
    expect([idle.ended, running.letters]).toEqual([false, 'Occ'])
    await clock.advance(1)
    await drained
    await Promise.all([idle.closed, running.closed])
    expect(running.letters).toBe('Occt')
    expect(source.sessions.map(({ closed }) => closed?.kind)).toEqual(['shutdown', 'shutdown'])
  })

  it('drain waits for an MTA between messages as long as it is told to, and for one within a message longer', async () => {
    const { connect, listener, source, clock } = await place()
    const silent = await (await connect()).greet()
    const talking = await (await connect()).greet()
    const running = await (await connect()).greet()
    running.send(mailFrom)
    await eventually(() => source.told.some(line => line.startsWith('mail')))
    const drained = listener.drain(30_000, 2_000)
    await clock.advance(1_500)
    expect(silent.ended).toBe(false)
    expect(await talking.ask({ kind: 'helo', name: 'again.example' })).toMatchObject({
      kind: 'replycode',
      text: expect.stringMatching(/^421 4\.3\.2 /),
    })
    await clock.advance(1_000)
    await silent.closed
    expect([talking.ended, running.ended]).toEqual([false, false])
    await clock.advance(1_000)
    await talking.closed
    await clock.advance(10_000)
    running.send(rcptTo, ...message.slice(2))
    await running.until(7)
    expect(running.ended).toBe(false)
    await clock.advance(2_000)
    await Promise.all([running.closed, drained])
  })

  it('drain closes a connection between two SMTP sessions at once, and one that begins is told 421', async () => {
    const { connect, listener, source } = await place()
    const between = await (await connect()).greet()
    const early = await connect()
    await early.ask(offer)
    between.send({ kind: 'quit-nc' })
    await eventually(() => source.told.some(line => line.startsWith('close')))
    const drained = listener.drain(30_000, 2_000)
    await between.closed
    expect(await early.ask(hello[0]!)).toMatchObject({ kind: 'replycode', text: expect.stringMatching(/^421 /) })
    early.send({ kind: 'quit' })
    await drained
  })

  it('drain cuts what does not end even then', async () => {
    const { connect, listener, source, clock } = await place()
    source.answers.mail = () => new Promise(() => CONTINUE)
    const stuck = await (await connect()).greet()
    stuck.send(mailFrom)
    await eventually(() => source.told.length === 3)
    const drained = listener.drain(1_000)
    await clock.advance(1_999)
    expect(stuck.ended).toBe(false)
    await clock.advance(1)
    await drained
    await stuck.closed
  })
})
