/**
 * One connection to a directory: connected, encrypted and bound, or it does not exist.
 *
 * ldapts connects again by itself when a connection was lost, and then without StartTLS and without the bind: a search would
 * be answered as to a stranger, with nothing found. So its sockets are made here, and each client gets one and no second: what is
 * lost fails, and a new connection is made from the start.
 */
import { connect as connectPlain, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls'
import type { Client, SearchOptions } from 'ldapts'

export type Ldapts = typeof import('ldapts')
export type Entry = Readonly<Record<string, unknown>>

export interface LdapServer {
  readonly url: string
  readonly startTls: boolean
  readonly tls: ConnectionOptions
  readonly bindDn: string | null
  readonly password: string
  /** Milliseconds. */
  readonly timeout: number
}

export class LdapConnection {
  readonly #client: Client
  readonly #sockets: readonly Socket[]
  /** Rejects when the connection is lost: after StartTLS ldapts does not notice (9.2). */
  readonly #lost: Promise<never>
  #underway = 0
  #retired = false

  /** Rejects with why it cannot be had; nothing is left open then. */
  static async open({ Client }: Ldapts, server: LdapServer, connectTimeout: number): Promise<LdapConnection> {
    const { hostname, port, protocol } = new URL(server.url)
    const host = hostname.replace(/^\[|\]$/g, '')
    const secure = protocol === 'ldaps:'
    const tls: ConnectionOptions = { servername: /^[\d.]+$|:/.test(host) ? '' : host, ...server.tls }
    const sockets: Socket[] = []
    const { promise: lost, reject } = Promise.withResolvers<never>()
    const keep = <S extends Socket>(socket: S): S => {
      sockets.push(socket)
      for (const event of ['end', 'close'])
        socket.on(event, () => reject(new Error('the directory closed the connection')))
      // ldapts listens while it has a use for it; an error after that must not end the process.
      socket.on('error', () => {})
      return socket
    }
    const address = { host, port: Number(port || (secure ? 636 : 389)), keepAlive: true, noDelay: true }
    const once = <S>(make: () => S): S => {
      if (sockets.length > 0) throw new Error('the directory closed the connection')
      return make()
    }
    const client = new Client({
      url: server.url,
      timeout: server.timeout,
      connectTimeout,
      strictDN: false,
      createConnection: (() => once(() => keep(connectPlain(address)))) as typeof connectPlain,
      createSecureConnection: ((options?: ConnectionOptions) =>
        // StartTLS hands over the socket it has.
        options?.socket === undefined
          ? once(() => keep(connectTls({ ...address, ...tls })))
          : keep(connectTls({ ...tls, socket: options.socket }))) as (
        ...given: unknown[]
      ) => TLSSocket as typeof connectTls,
    })
    const connection = new LdapConnection(client, sockets, lost)
    try {
      if (server.startTls && !secure) await client.startTLS({ ...tls })
      // An anonymous bind shows that there is a directory, and not only an open port.
      await client.bind(server.bindDn ?? '', server.password)
      for (const socket of sockets) socket.unref()
      return connection
    } catch (error) {
      connection.destroy()
      throw error
    }
  }

  private constructor(client: Client, sockets: readonly Socket[], lost: Promise<never>) {
    this.#client = client
    this.#sockets = sockets
    this.#lost = lost
    lost.catch(() => this.retire())
  }

  get isUsable(): boolean {
    return !this.#retired && this.#client.isConnected
  }

  async search(base: string, options: SearchOptions): Promise<readonly Entry[]> {
    this.#underway += 1
    try {
      return (await Promise.race([this.#client.search(base, options), this.#lost])).searchEntries
    } finally {
      this.#underway -= 1
      if (this.#retired && this.#underway === 0) this.destroy()
    }
  }

  /** Nothing new is asked of it; what is under way may end. */
  retire(): void {
    this.#retired = true
    if (this.#underway === 0) this.destroy()
  }

  destroy(): void {
    this.#retired = true
    for (const socket of this.#sockets) socket.destroy()
  }
}
