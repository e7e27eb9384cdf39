import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { agent } from '../../../../src/bridge/mta/liveness/agent.ts'
import { type AgentServerOptions, serveAgent } from '../../../../src/bridge/mta/liveness/agent-server.ts'
import { ask, encode, hello } from '../../../../src/bridge/mta/liveness/agent-wire.ts'
import { silent } from '../../../../src/host/observe/logger.ts'
import { systemClock } from '../../../../src/host/time/clock.ts'
import type { Liveness, LivenessQuestion, LivenessSource, Sight } from '../../../../src/host/time/liveness.ts'
import { selfSigned } from '../support/certificate.ts'

const TOKEN = 'a secret of the test'
const NEVER = new AbortController().signal
const cleanUp: (() => unknown)[] = []
afterEach(async () => {
  for (const each of cleanUp.splice(0).reverse()) await each()
})

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'milterhost-agent-'))
  cleanUp.push(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** Says of a client what its port says: 1 present, 2 gone, 4 present with bytes unread if it was seen, else unknown. */
const byPort: Liveness = {
  cost: 3,
  look: async questions =>
    questions.map(({ connection, seen }): Sight => {
      const { port } = connection.client
      if (port === 4) return { state: 'present', unread: seen !== null }
      return port === 1 ? { state: 'present', socket: `was ${seen}` } : { state: port === 2 ? 'gone' : 'unknown' }
    }),
}

async function served(options: Partial<AgentServerOptions> = {}): Promise<{ path: string; port: number | null }> {
  const path = join(folder(), 'agent.sock')
  const listen = { address: `unix:${path}`, mode: 0o600, group: null }
  const server = await serveAgent({
    listen,
    token: TOKEN,
    tls: null,
    source: byPort,
    clock: systemClock,
    log: silent,
    ...options,
  })
  cleanUp.push(() => server.close())
  return { path, port: server.port }
}

function opened(source: LivenessSource): Liveness {
  const made = source.open({ clock: systemClock, log: silent })
  cleanUp.push(() => made.close?.())
  return made
}

const question = (port: number, seen: string | null = null): LivenessQuestion => ({
  connection: { client: { address: '192.0.2.1', port }, servers: [{ address: '', port: 25 }] },
  seen,
})

describe('an agent', () => {
  it('answers each question in its order, over one connection, and tells what a look cost', async () => {
    const { path } = await served()
    const source = opened(agent(`unix:${path}`, { token: TOKEN }))
    for (let n = 0; n < 3; n++) {
      const sights = await source.look([question(1, '7'), question(2), question(3)], NEVER)
      expect(sights).toEqual([{ state: 'present', socket: 'was 7' }, { state: 'gone' }, { state: 'unknown' }])
    }
    expect(source.cost).toBe(3)
  })

  it('passes on whether bytes lie unread', async () => {
    const { path } = await served()
    const source = opened(agent(`unix:${path}`, { token: TOKEN }))
    expect(await source.look([question(4, '7'), question(4)], NEVER)).toEqual([
      { state: 'present', unread: true },
      { state: 'present', unread: false },
    ])
  })

  it('answers thousands', async () => {
    const { path } = await served()
    const source = opened(agent(`unix:${path}`, { token: TOKEN }))
    const sights = await source.look(
      Array.from({ length: 12_000 }, (_, n) => question(n % 3)),
      NEVER,
    )
    expect(sights.map(({ state }) => state)).toEqual(sights.map((_, n) => ['unknown', 'present', 'gone'][n % 3]))
  })

  it.runIf(existsSync('/usr/bin/openssl'))('speaks TLS, with a certificate that is checked', async () => {
    const { cert, key } = selfSigned(folder(), 'localhost')
    const listen = { address: 'inet:0@127.0.0.1', mode: 0, group: null }
    const { port } = await served({ listen, tls: { cert: readFileSync(cert), key: readFileSync(key) } })
    const trusted = { token: TOKEN, ca: readFileSync(cert), servername: 'localhost' }
    expect(await opened(agent(`inet:${port}@127.0.0.1`, trusted)).look([question(2)], NEVER)).toEqual([
      { state: 'gone' },
    ])
    await expect(opened(agent(`inet:${port}@127.0.0.1`, { token: TOKEN })).look([question(2)], NEVER)).rejects.toThrow(
      /certificate/,
    )
  })

  it('does not answer who has not its token', async () => {
    const { path } = await served()
    await expect(opened(agent(`unix:${path}`, { token: 'another' })).look([question(2)], NEVER)).rejects.toThrow(
      'the agent does not know this token',
    )
  })

  it.each([
    ['a question before the token', ask(1, [question(2)])],
    ['a frame that is too long', Buffer.from([0x7f, 0xff, 0xff, 0xff])],
    ['no JSON', Buffer.from([0, 0, 0, 2, 0x7b, 0x7b])],
    ['questions that are none', Buffer.concat([hello(TOKEN), encode({ id: 1, ask: [{ client: 7 }] })])],
    ['null', Buffer.concat([hello(TOKEN), Buffer.from([0, 0, 0, 4]), Buffer.from('null')])],
  ])('cuts off who says %s, and serves others', async (_, bytes) => {
    const { path } = await served()
    const socket = net.connect(path)
    cleanUp.push(() => socket.destroy())
    const closed = new Promise(resolve => socket.once('close', resolve))
    socket.on('error', () => {})
    socket.resume()
    socket.write(bytes)
    await closed
    expect(await opened(agent(`unix:${path}`, { token: TOKEN })).look([question(2)], NEVER)).toEqual([
      { state: 'gone' },
    ])
  })

  it('that is not there fails the look, and is asked again when it is', async () => {
    const path = join(folder(), 'late.sock')
    const source = opened(agent(`unix:${path}`, { token: TOKEN }))
    await expect(source.look([question(2)], NEVER)).rejects.toThrow(/ENOENT/)
    await served({ listen: { address: `unix:${path}`, mode: 0o600, group: null } })
    expect(await source.look([question(2)], NEVER)).toEqual([{ state: 'gone' }])
  })

  it('whose own source fails says so, and goes on', async () => {
    let works = false
    const source: Liveness = {
      look: async questions => (works ? byPort.look(questions, NEVER) : Promise.reject(new Error('no table'))),
    }
    const { path } = await served({ source })
    const client = opened(agent(`unix:${path}`, { token: TOKEN }))
    await expect(client.look([question(2)], NEVER)).rejects.toThrow('no table')
    works = true
    expect(await client.look([question(2)], NEVER)).toEqual([{ state: 'gone' }])
  })

  it('that hangs is given up', async () => {
    const { path } = await served({ source: { look: () => new Promise(() => {}) } })
    await expect(opened(agent(`unix:${path}`, { token: TOKEN })).look([question(2)], NEVER)).rejects.toThrow('2 s')
  })

  it('needs a certificate and its key', async () => {
    const listen = { address: 'inet:0@127.0.0.1', mode: 0, group: null }
    const tls = { cert: Buffer.from('no certificate'), key: Buffer.from('no key') }
    await expect(served({ listen, tls })).rejects.toMatchObject({
      code: 'AGENT_OPTIONS',
      message: expect.stringContaining('certificate and key cannot be used'),
    })
  })

  it.each<[string, object | Buffer | null]>([
    ['of a state that there is not', { id: 1, sights: [{ state: 'left' }], cost: 1 }],
    ['for none', { id: 1, sights: [], cost: 1 }],
    ['for too many', { id: 1, sights: [{ state: 'gone' }, { state: 'gone' }], cost: 1 }],
    ['to another question', { id: 7, sights: [{ state: 'gone' }], cost: 1 }],
    ['that is a list', [{ state: 'gone' }]],
    ['with null for a client', { id: 1, sights: [null], cost: 1 }],
    ['that is no JSON', Buffer.from([0, 0, 0, 2, 0x7b, 0x7b])],
    ['as long as a film', Buffer.from([0x7f, 0xff, 0xff, 0xff])],
    ['of another protocol', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['of half a frame, and hangs up', null],
  ])('whose answer is one %s fails the look: nobody is gone', async (_, answer) => {
    const path = join(folder(), 'nonsense.sock')
    let asked = 0
    const server = net.createServer(socket => {
      socket.on('error', () => {})
      socket.on('data', () => {
        if (asked++ === 0) socket.write(encode({ ok: true }))
        else if (answer === null) socket.end(encode({ id: 1, sights: [{ state: 'gone' }] }).subarray(0, 20))
        else socket.write(Buffer.isBuffer(answer) ? answer : encode(answer))
      })
    })
    await new Promise<void>(resolve => server.listen(path, resolve))
    cleanUp.push(() => server.close())
    await expect(opened(agent(`unix:${path}`, { token: TOKEN })).look([question(2)], NEVER)).rejects.toThrow()
  })

  it('needs an address and a token', () => {
    expect(() => agent('mx1:9725', { token: TOKEN })).toThrow(/mx1:9725/)
    expect(() => agent('unix:/x', { token: '' })).toThrow('token')
  })
})
