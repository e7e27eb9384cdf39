/** The clients of `socketmap:` and `tcp:` tables, against servers that a test makes answer, hang, close and lie. */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { LookupEntry } from '../../src/lookups.ts'
import { postfixTable } from '../../src/lookups.ts'
import { onCleanup, sleep, tempDir, until } from '../interop/harness/index.ts'
import { answerOf, codeOf, never, opened } from './support.ts'

interface Fake {
  readonly port: number
  readonly asked: string[]
  readonly sockets: Set<Socket>
  readonly server: Server
}

/** `answer` gets each request as it came; a string is sent back, `null` is silence. */
async function fake(
  answer: (request: string, socket: Socket) => string | null,
  at: string | number = 0,
): Promise<Fake> {
  const asked: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    socket.setEncoding('latin1').on('data', (text: string) => {
      asked.push(text)
      const reply = answer(text, socket)
      if (reply !== null) socket.write(reply, 'latin1')
    })
  })
  await new Promise<void>(done => server.listen(typeof at === 'string' ? at : { port: at, host: '127.0.0.1' }, done))
  onCleanup(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  return { port: typeof address === 'object' ? (address as AddressInfo).port : 0, asked, sockets, server }
}

const net = (text: string): string => `${Buffer.byteLength(text)}:${text},`
const netKey = (request: string): string => /^\d+:\S+ (.*),$/.exec(request)![1]!

describe('socketmap', () => {
  const table: Readonly<Record<string, string>> = {
    'a@b': 'OK greylist=off',
    empty: 'OK ',
    gone: 'NOTFOUND ',
    busy: 'TEMP come later',
  }
  const serve = (request: string): string => net(table[netKey(request)] ?? 'NOTFOUND ')

  it('asks by netstrings over TCP and over a UNIX socket', async () => {
    const path = join(tempDir('socketmap'), 'map')
    const [tcp, unix] = await Promise.all([fake(serve), fake(serve, path)])
    for (const [entry, server] of [
      [postfixTable(`socketmap:inet:127.0.0.1:${tcp.port}:users`), tcp],
      [postfixTable(`socketmap:unix:${path}:users`), unix],
    ] as [LookupEntry<string>, Fake][]) {
      const lookup = await opened(entry)
      expect(await answerOf(lookup, 'a@b')).toBe('greylist=off')
      expect(await answerOf(lookup, 'empty')).toBe('')
      expect(await answerOf(lookup, 'gone')).toBeNull()
      expect(await answerOf(lookup, 'busy')).toBe('LOOKUP_FAILED')
      expect(server.asked[0]).toBe('9:users a@b,')
      expect(await codeOf(lookup.probe(never))).toBe('fine')
    }
  })

  it('takes an answer in pieces, and UTF-8 as it is', async () => {
    const server = await fake((_, socket) => {
      const bytes = Buffer.from(net('OK größe'), 'utf8')
      for (const byte of bytes) socket.write(Buffer.of(byte))
      return null
    })
    const lookup = await opened(postfixTable(`socketmap:inet:127.0.0.1:${server.port}:x`))
    expect(await answerOf(lookup, 'a')).toBe('größe')
  })

  it.each([
    ['HTTP/1.1 400 Bad Request\r\n\r\n', /does not speak the socketmap protocol/],
    ['5:OK ab;', /does not speak/],
    ['200000:OK', /longer than 100000/],
    [net('PERM no such map'), /PERM: no such map/],
    [net(''), /answers nothing/],
    [`${net('OK a')}${net('OK b')}`, /without being asked/],
  ])('the answer %j is an error', async (answer, message) => {
    const server = await fake(() => answer)
    const lookup = await opened(postfixTable(`socketmap:inet:127.0.0.1:${server.port}:x`))
    await expect(Promise.resolve(lookup.find('a', never))).rejects.toThrow(message)
    await until(
      'the connection is gone',
      () => server.sockets.size === 0 || answer.includes('PERM') || answer === net(''),
    )
  })

  it('uses as many connections as it may, and each again', async () => {
    const server = await fake((request, socket) => {
      setTimeout(() => socket.write(net(`OK ${netKey(request)}`)), 20)
      return null
    })
    const lookup = await opened(postfixTable(`socketmap:inet:127.0.0.1:${server.port}:x`, { connections: 3 }))
    const keys = Array.from({ length: 12 }, (_, index) => `k${index}`)
    expect(await Promise.all(keys.map(key => answerOf(lookup, key)))).toEqual(keys)
    expect(server.sockets.size).toBe(3)
  })

  it('a connection that the server closed at rest costs nothing', async () => {
    const server = await fake(request => net(`OK ${netKey(request)}`))
    const lookup = await opened(postfixTable(`socketmap:inet:127.0.0.1:${server.port}:x`))
    for (const key of ['a', 'b', 'c']) {
      expect(await answerOf(lookup, key)).toBe(key)
      for (const socket of server.sockets) socket.destroy()
      await until('it is closed', () => server.sockets.size === 0)
    }
    expect(lookup.health().state).toBe('working')
  })

  it('silence ends at the deadline, and the connection with it', async () => {
    const server = await fake(() => null)
    const lookup = await opened(
      postfixTable(`socketmap:inet:127.0.0.1:${server.port}:x`, { timeout: '100ms', connections: 1 }),
    )
    expect(await Promise.all(['a', 'b', 'c'].map(key => answerOf(lookup, key)))).toEqual(
      Array(3).fill('LOOKUP_TIMEOUT'),
    )
    await until('nothing is left open', () => server.sockets.size === 0)
  })

  it('a server that is away is an error, and used as soon as it is back', async () => {
    const first = await fake(serve)
    const { port } = first
    for (const socket of first.sockets) socket.destroy()
    await new Promise(done => first.server.close(done))
    const lookup = await opened(
      postfixTable(`socketmap:inet:127.0.0.1:${port}:x`, { breaker: { failures: 2, pause: '100ms' } }),
    )
    expect(await answerOf(lookup, 'a@b')).toBe('LOOKUP_FAILED')
    expect(await answerOf(lookup, 'a@b')).toBe('LOOKUP_FAILED')
    expect(await answerOf(lookup, 'a@b')).toBe('LOOKUP_PAUSED')
    await fake(serve, port)
    await sleep(0.1)
    await until('it answers', async () => (await answerOf(lookup, 'a@b')) === 'greylist=off')
  })
})

describe('tcp', () => {
  it('asks in lines, with what is special encoded', async () => {
    const server = await fake(request => {
      const key = /^get (\S+)\n$/.exec(request)?.[1]
      if (key === 'a%20b%25%c3%a9') return '200 x%20y%25%C3%A9\n'
      return key === 'busy' ? '400 come%20later\n' : '500 not here\n'
    })
    const lookup = await opened(postfixTable(`tcp:127.0.0.1:${server.port}`))
    expect(await answerOf(lookup, 'a b%é')).toBe('x y%é')
    expect(await answerOf(lookup, 'nobody')).toBeNull()
    await expect(Promise.resolve(lookup.find('busy', never))).rejects.toThrow('400: come later')
    expect(await codeOf(lookup.probe(never))).toBe('fine')
  })

  it.each([
    ['220 mail ESMTP\n', /answers 220/],
    ['hello\n', /does not speak/],
    [`200 ${'x'.repeat(5000)}\n`, /longer than 4096/],
    ['x'.repeat(5000), /longer than 4096/],
  ])('the answer %.20j is an error', async (answer, message) => {
    const server = await fake(() => answer)
    const lookup = await opened(postfixTable(`tcp:127.0.0.1:${server.port}`))
    await expect(Promise.resolve(lookup.find('a', never))).rejects.toThrow(message)
  })
})
