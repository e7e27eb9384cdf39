import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { askControl } from '../../../src/daemon/control/client.ts'
import type { ControlRequest } from '../../../src/daemon/control/protocol.ts'
import { type ControlServer, openControlServer } from '../../../src/daemon/control/server.ts'
import { hostError } from '../../../src/host/errors.ts'
import { LogLines } from '../../bridge/mta/support/mta.ts'
import { HandClock } from '../../host/support/clock.ts'
import { until } from '../../interop/harness/wait.ts'

interface Opened {
  readonly path: string
  readonly server: ControlServer
  readonly clock: HandClock
  connect(): Promise<Client>
}

interface Client {
  readonly socket: Socket
  said(): string
  closed(): boolean
}

async function open(handle: (request: ControlRequest) => Promise<object> = async () => ({})): Promise<Opened> {
  const folder = mkdtempSync(join(tmpdir(), 'milterhost-control-'))
  const path = join(folder, 'control.sock')
  const clock = new HandClock()
  const server = await openControlServer({ path, clock, log: new LogLines(), handle })
  onTestFinished(() => {
    server.close()
    rmSync(folder, { recursive: true, force: true })
  })
  return {
    path,
    server,
    clock,
    async connect() {
      const socket = createConnection(path)
      onTestFinished(() => void socket.destroy())
      let text = ''
      let closed = false
      socket.on('data', chunk => {
        text += chunk
      })
      socket.on('error', () => {})
      socket.once('close', () => {
        closed = true
      })
      await once(socket, 'connect')
      return { socket, said: () => text, closed: () => closed }
    },
  }
}

const STATUS = '{"milterhost":1,"do":"status"}\n'

describe('the control socket', () => {
  it('is for its owner alone, and answers each line of a client, in order', async () => {
    let count = 0
    const { path, connect } = await open(async () => ({ count: ++count }))
    expect(statSync(path).mode & 0o777).toBe(0o600)
    const client = await connect()
    client.socket.write(`${STATUS}${STATUS}nonsense\n${STATUS.slice(0, 9)}`)
    await until('three answers', () => client.said().split('\n').length === 4)
    client.socket.write(STATUS.slice(9))
    await until('the fourth', () => client.said().split('\n').length === 5)
    const answers = client
      .said()
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
    expect(answers.map(({ result, error }) => result?.count ?? error.code)).toEqual([1, 2, 'CONTROL_REQUEST', 3])
  })

  it('gives a command the result, or throws the error that the daemon tells', async () => {
    const { path } = await open(async request => {
      if (request.do === 'kill') throw hostError('CONTROL_SESSION', request.session)
      return { sessions: 4 }
    })
    const { result, close } = await askControl(path, { do: 'drain' })
    close()
    expect(result).toEqual({ sessions: 4 })
    await expect(askControl(path, { do: 'kill', session: 'x.1' })).rejects.toMatchObject({
      code: 'CONTROL_SESSION',
      message: 'there is no session "x.1" now',
    })
  })

  it('says where nobody answers', async () => {
    await expect(askControl('/nonexistent/control.sock', { do: 'status' })).rejects.toThrow(
      /no daemon answers at \/nonexistent\/control\.sock: .*ENOENT/,
    )
  })

  it('takes no request without end, and 16 clients at most', async () => {
    const { connect } = await open()
    const endless = await connect()
    endless.socket.write('x'.repeat(17 * 1024))
    await until('the long one is cut', () => endless.closed())
    expect(endless.said()).toMatch(/CONTROL_REQUEST.*longer than 16384 bytes/)
    const clients = await Promise.all(Array.from({ length: 16 }, () => connect()))
    const more = await connect()
    await until('the seventeenth is cut', () => more.closed())
    expect(more.said()).toContain('CONTROL_BUSY')
    clients[3]!.socket.write(STATUS)
    await until('the fourth is answered', () => clients[3]!.said() !== '')
    clients[0]!.socket.destroy()
    await until('another has room', async () => {
      const next = await connect()
      next.socket.write(STATUS)
      await until('an answer or the end', () => next.said() !== '' || next.closed())
      return next.said().includes('result')
    })
  })

  it('cuts a client that says nothing for a minute, and one that takes none of a large answer', async () => {
    const { clock, connect } = await open(async () => ({ text: 'x'.repeat(8 * 1024 * 1024) }))
    const silent = await connect()
    const slow = await connect()
    slow.socket.pause()
    slow.socket.write(STATUS)
    const quick = await connect()
    quick.socket.write(STATUS)
    await until('the quick one has its answer', () => quick.said().endsWith('\n'))
    expect([silent.closed(), slow.closed()]).toEqual([false, false])
    await clock.advance(10_000)
    slow.socket.resume()
    await until('the slow one is cut', () => slow.closed())
    expect(slow.said()).not.toMatch(/\n$/)
    await clock.advance(50_000)
    await until('the silent one is cut', () => silent.closed())
  })

  it('does not wait for a client that leaves before its answer', async () => {
    const release = Promise.withResolvers<object>()
    const { connect } = await open(() => release.promise)
    const left = await connect()
    left.socket.write(STATUS)
    const other = await connect()
    left.socket.destroy()
    other.socket.write(STATUS)
    release.resolve({ fine: true })
    await until('the other has its answer', () => other.said().includes('fine'))
  })

  it('takes the place of a daemon that was killed, and not of one that runs', async () => {
    const first = await open()
    const again = { path: first.path, clock: first.clock, log: new LogLines(), handle: async () => ({}) }
    await expect(openControlServer(again)).rejects.toMatchObject({ code: 'LISTEN_IN_USE' })
    first.server.close()
    const second = await openControlServer(again)
    onTestFinished(() => second.close())
    await expect(askControl(first.path, { do: 'status' })).resolves.toMatchObject({ result: {} })
  })
})
