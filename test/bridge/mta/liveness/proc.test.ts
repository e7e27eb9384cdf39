import { existsSync } from 'node:fs'
import net from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { procTable } from '../../../../src/bridge/mta/liveness/proc.ts'
import { silent } from '../../../../src/host/observe/logger.ts'
import { systemClock } from '../../../../src/host/time/clock.ts'
import type { Liveness, SmtpConnection } from '../../../../src/host/time/liveness.ts'
import { until } from '../../../interop/harness/wait.ts'

const NEVER = new AbortController().signal
const cleanUp: (() => unknown)[] = []
afterEach(async () => {
  for (const each of cleanUp.splice(0).reverse()) await each()
})

function opened(): Liveness {
  const source = procTable().open({ clock: systemClock, log: silent })
  cleanUp.push(() => source.close?.())
  return source
}

/** Takes connections and does not read them, as an MTA that waits for its milter. */
async function server(host: string): Promise<number> {
  const sockets = new Set<net.Socket>()
  const listener = net.createServer({ pauseOnConnect: true, allowHalfOpen: true }, socket => {
    sockets.add(socket)
    socket.on('error', () => {})
  })
  cleanUp.push(() => {
    for (const socket of sockets) socket.destroy()
    listener.close()
  })
  await new Promise<void>(resolve => listener.listen(0, host, resolve))
  return (listener.address() as net.AddressInfo).port
}

async function connect(port: number, host: string): Promise<net.Socket> {
  const socket = net.connect({ port, host })
  cleanUp.push(() => socket.destroy())
  await new Promise(resolve => socket.once('connect', resolve))
  return socket
}

const connection = (client: net.Socket, address: string, port: number, server = address): SmtpConnection => ({
  client: { address, port: client.localPort! },
  servers: [{ address: server, port }],
})

async function see(source: Liveness, at: SmtpConnection, seen: string | null = null): Promise<string> {
  const [sight] = await source.look([{ connection: at, seen }], NEVER)
  return sight!.state === 'present' ? `present ${sight!.socket}` : sight!.state
}

const ipv6 = existsSync('/proc/net/tcp6')

describe.runIf(existsSync('/proc/net/tcp'))('the table of this machine', () => {
  it('a client that waits is present, by the same socket each time', async () => {
    const port = await server('127.0.0.1')
    const client = await connect(port, '127.0.0.1')
    const source = opened()
    const first = await see(source, connection(client, '127.0.0.1', port))
    expect(first).toMatch(/^present \d+$/)
    expect(await see(source, connection(client, '127.0.0.1', port), first.slice(8))).toBe(first)
    expect(await see(source, connection(client, '127.0.0.1', port, ''))).toBe(first)
  })

  it('what it sends and nobody reads is seen', async () => {
    const port = await server('127.0.0.1')
    const client = await connect(port, '127.0.0.1')
    const source = opened()
    const at = connection(client, '127.0.0.1', port)
    const unread = async (): Promise<boolean | undefined> =>
      (await source.look([{ connection: at, seen: null }], NEVER))[0]!.unread
    expect(await unread()).toBe(false)
    client.write('EHLO early.example\r\n')
    await until('bytes lie there', async () => (await unread()) === true)
  })

  it('one that closes is gone although it was never seen', async () => {
    const port = await server('127.0.0.1')
    const client = await connect(port, '127.0.0.1')
    const at = connection(client, '127.0.0.1', port)
    client.end()
    const source = opened()
    await until('CLOSE-WAIT', async () => (await see(source, at)) === 'gone')
  })

  it('one that resets is gone if it was seen, and unknown if it was not', async () => {
    const port = await server('127.0.0.1')
    const client = await connect(port, '127.0.0.1')
    const at = connection(client, '127.0.0.1', port)
    const source = opened()
    const seen = (await see(source, at)).slice(8)
    client.resetAndDestroy()
    await until('the reset', async () => (await see(source, at, seen)) === 'gone')
    expect(await see(source, at)).toBe('unknown')
  })

  it('another connection between the same ports is not the one that was seen', async () => {
    const port = await server('127.0.0.1')
    const client = await connect(port, '127.0.0.1')
    expect(await see(opened(), connection(client, '127.0.0.1', port), '1')).toBe('gone')
  })

  it('a client behind a proxy, an address that is none, and another server are unknown', async () => {
    const port = await server('127.0.0.1')
    const client = await connect(port, '127.0.0.1')
    const source = opened()
    expect(await see(source, connection(client, '198.51.100.7', port))).toBe('unknown')
    expect(await see(source, connection(client, 'unix', port))).toBe('unknown')
    expect(await see(source, connection(client, '127.0.0.1', port + 1 > 65_535 ? port - 1 : port + 1))).toBe('unknown')
  })

  it('answers many at once in their order, new ones and known ones mixed', async () => {
    const port = await server('127.0.0.1')
    const clients = await Promise.all(Array.from({ length: 20 }, () => connect(port, '127.0.0.1')))
    const source = opened()
    const all = clients.map(client => ({ connection: connection(client, '127.0.0.1', port), seen: null }))
    const nobody = { connection: { client: { address: '', port: 9 }, servers: [] }, seen: null }
    const socketOf = new Map<object, string>()
    for (const [at, sight] of (await source.look(all, NEVER)).entries()) socketOf.set(all[at]!, sight.socket!)
    expect(new Set(socketOf.values()).size).toBe(20)
    const mixed = [all[7]!, nobody, all[3]!, { ...all[3]! }, all[19]!, all[0]!]
    for (const questions of [mixed, all.slice(5).reverse(), [nobody], mixed, [all[1]!], all]) {
      const sights = await source.look(questions, NEVER)
      const expected = questions.map(each =>
        each === nobody
          ? undefined
          : [...socketOf].find(([known]) => (known as typeof each).connection === each.connection)![1],
      )
      expect(sights.map(({ socket }) => socket)).toEqual(expected)
    }
  })

  it.runIf(ipv6)('IPv6, and an IPv4 client of a listener for both', async () => {
    const port = await server('::')
    const source = opened()
    const six = await connect(port, '::1')
    const mapped = await connect(port, '127.0.0.1')
    for (const [client, address] of [
      [six, '::1'],
      [mapped, '127.0.0.1'],
    ] as const) {
      const at = connection(client, address, port)
      const seen = await see(source, at)
      expect(seen).toMatch(/^present \d+$/)
      client.resetAndDestroy()
      await until('the reset', async () => (await see(source, at, seen.slice(8))) === 'gone')
    }
  })

  it('a look that is owed fails when it is closed', async () => {
    const source = opened()
    const client = { address: '127.0.0.1', port: 9 }
    const look = source.look([{ connection: { client, servers: [client] }, seen: null }], NEVER)
    const failed = expect(look).rejects.toThrow('closed')
    await source.close?.()
    await failed
  })
})
