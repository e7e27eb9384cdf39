// Socket addresses of the harness: Postfix's spelling everywhere, `inet:HOST:PORT` or `unix:/path`.

import { once } from 'node:events'
import { chmodSync, rmSync } from 'node:fs'
import net from 'node:net'

export function dial(address: string): net.Socket {
  const socket = net.connect(options(address) as net.NetConnectOpts)
  socket.setNoDelay(true)
  return socket
}

/** Listens; with port 0 a free one is taken. Returns the address as it became. */
export async function listen(server: net.Server, address: string): Promise<string> {
  const where = options(address)
  if (where.path !== undefined) rmSync(where.path, { force: true })
  server.listen(where)
  await once(server, 'listening')
  if (where.path !== undefined) {
    chmodSync(where.path, 0o777)
    return address
  }
  return `inet:${where.host}:${(server.address() as net.AddressInfo).port}`
}

interface Where {
  path?: string
  host?: string
  /** Absent with a path: Node would listen on the port. */
  port?: number
}

function options(address: string): Where {
  const [, kind, rest = ''] = /^(inet6?|unix):(.*)$/.exec(address) ?? []
  if (kind === 'unix') return { path: rest }
  const colon = rest.lastIndexOf(':')
  if (kind === undefined || colon < 0) throw new Error(`not an address: ${address}`)
  return { host: rest.slice(0, colon).replace(/^\[(.*)\]$/, '$1'), port: Number(rest.slice(colon + 1)) }
}
