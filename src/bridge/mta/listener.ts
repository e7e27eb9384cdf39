/**
 * Where MTAs connect: one or several TCP and UNIX sockets, and the connections that came by them.
 *
 * All addresses are bound or none. Nothing here is module state: the daemon makes a listener with what it needs and ends
 * it by `drain` or `close`. A read buffer shared by all connections would save a tenth of the processor's time, but Node
 * 24 lets only an outgoing socket have one (`onread`), so accepted ones read the ordinary way.
 */
import { createServer, isIPv6, type ListenOptions, type Server, type Socket } from 'node:net'
import type { ListenAddress } from '../../host/config/settings.ts'
import { hostError } from '../../host/errors.ts'
import type { MtaKind } from '../../host/mta.ts'
import type { Logger } from '../../host/observe/logger.ts'
import { Roster } from '../../host/roster.ts'
import type { Clock } from '../../host/time/clock.ts'
import { defaultMaxFrame, parseSocketAddress, type SocketAddress, SpareBuffers } from '../wire/index.ts'
import { Complaints } from './complaints.ts'
import { Connection, type ConnectionOptions, DEFAULT_DEADLINES, type Deadlines } from './connection.ts'
import { listenError } from './listen-error.ts'
import { Negotiator } from './negotiate.ts'
import type { SessionSource } from './source.ts'
import { clearPlace, place, temporaryName } from './unix-socket.ts'

export interface ListenerOptions {
  readonly source: SessionSource
  readonly clock: Clock
  readonly log: Logger
  /** Set when the postmaster says which MTA it is; else it is recognised. */
  readonly mta?: MtaKind | null
  readonly deadlines?: Partial<Deadlines>
  /** Greatest length of a packet from an MTA, in bytes. */
  readonly maxFrame?: number
}

/** A socket that another process has opened and that listens. */
export interface ListeningSocket {
  readonly fd: number
  /** Of a UNIX socket; `null` for one of TCP. */
  readonly path: string | null
}

export interface Listener {
  /** For connections from now on: which MTA it is said to be. Only for `adopt`: other listeners are made anew. */
  mta: MtaKind | null
  /** As bound: a port 0 is replaced by the one that was free. */
  readonly addresses: readonly SocketAddress[]
  /** Connections now open. */
  readonly connections: number
  /** Ends at once: running messages are aborted, connections cut. */
  close(): Promise<void>
  /**
   * Takes no new connection and no new message (421), waits for the running ones, and after so many milliseconds ends what is
   * left with a spoken temporary failure. An MTA that says nothing between messages for `silence` is not waited for: to it nothing
   * can be said. Resolves when all is closed.
   * @param silence milliseconds. @default as long as the running ones
   */
  drain(milliseconds: number, silence?: number): Promise<void>
}

interface Bound {
  readonly server: Server
  readonly address: SocketAddress
  readonly remove: () => void
}

/** What is left for an answer to reach the MTA once its message was interrupted. */
const lastWords = 1_000

/** Throws a coded error that names the address and says what to do. */
export async function listen(addresses: readonly ListenAddress[], options: ListenerOptions): Promise<Listener> {
  return opened(options, async (accept, complaints, bound) => {
    for (const address of addresses) bound.push(await bind(address, accept, complaints))
  })
}

/** Takes sockets over instead of opening some; they are never removed from the file system. Throws a coded error. */
export function adopt(sockets: readonly ListeningSocket[], options: ListenerOptions): Promise<Listener> {
  return opened(options, async (accept, complaints, bound) => {
    for (const socket of sockets) bound.push(await take(socket, accept, complaints))
  })
}

type Accept = (socket: Socket) => void

async function opened(
  options: ListenerOptions,
  open: (accept: Accept, complaints: Complaints, bound: Bound[]) => Promise<void>,
): Promise<Listener> {
  const connections = new Roster<Connection>()
  const complaints = new Complaints(options.log, options.clock)
  const shared = sharedBy(options, complaints, connections)
  const listener = { shared }
  const bound: Bound[] = []
  const accept = (socket: Socket): void => {
    connections.enter(new Connection(socket, listener.shared).entry)
  }
  try {
    await open(accept, complaints, bound)
  } catch (error) {
    for (const each of bound) await stop(each)
    throw error
  }
  return new OpenListener(bound, connections, listener, options.clock)
}

class OpenListener implements Listener {
  readonly addresses: readonly SocketAddress[]
  readonly #connections: Roster<Connection>
  readonly #accepting: { shared: ConnectionOptions }
  readonly #clock: Clock
  readonly #bound: readonly Bound[]
  #stopped: Promise<void> | null = null

  constructor(
    bound: readonly Bound[],
    connections: Roster<Connection>,
    accepting: { shared: ConnectionOptions },
    clock: Clock,
  ) {
    this.addresses = bound.map(({ address }) => address)
    this.#connections = connections
    this.#accepting = accepting
    this.#clock = clock
    this.#bound = bound
  }

  get mta(): MtaKind | null {
    return this.#accepting.shared.mta
  }

  set mta(mta: MtaKind | null) {
    this.#accepting.shared = { ...this.#accepting.shared, mta }
  }

  get connections(): number {
    return this.#connections.size
  }

  async close(): Promise<void> {
    this.#stopped ??= this.#stop()
    for (const connection of this.#connections) connection.destroy()
    await this.#stopped
  }

  async drain(milliseconds: number, silence: number = milliseconds): Promise<void> {
    this.#stopped ??= this.#stop()
    for (const connection of this.#connections) connection.drain(silence)
    const cancels = [
      this.#clock.after(milliseconds, () => this.#each(connection => connection.interrupt())),
      this.#clock.after(milliseconds + lastWords, () => this.#each(connection => connection.destroy())),
    ]
    await this.#stopped
    for (const cancel of cancels) cancel()
  }

  async #stop(): Promise<void> {
    await Promise.all(this.#bound.map(stop))
  }

  #each(act: (connection: Connection) => void): void {
    for (const connection of this.#connections) act(connection)
  }
}

function sharedBy(
  options: ListenerOptions,
  complaints: Complaints,
  connections: Roster<Connection>,
): ConnectionOptions {
  const { source, clock, mta = null, maxFrame = defaultMaxFrame } = options
  return {
    source,
    clock,
    mta,
    maxFrame,
    spares: new SpareBuffers(),
    negotiator: new Negotiator(),
    complaints,
    deadlines: { ...DEFAULT_DEADLINES, ...options.deadlines },
    closed: ({ entry }) => connections.leave(entry),
  }
}

async function bind(listenAddress: ListenAddress, accept: Accept, complaints: Complaints): Promise<Bound> {
  const address = parseSocketAddress(listenAddress.address, 'listen')
  const server = createServer({ noDelay: true, keepAlive: true }, accept)
  const troubled = (error: Error): void => complaints.tell(listenError(listenAddress.address, error), {})
  try {
    if (address.kind === 'unix') {
      await clearPlace(address.path)
      const temporary = temporaryName(address.path)
      await started(server, { path: temporary }, troubled)
      return { server, address, remove: place(temporary, address.path, listenAddress) }
    }
    const { host, port, family } = address
    await started(server, { host, port, ipv6Only: family === 6 || isIPv6(host) }, troubled)
    const actual = server.address()
    return {
      server,
      address: { ...address, port: typeof actual === 'object' && actual !== null ? actual.port : port },
      remove() {},
    }
  } catch (error) {
    server.close()
    throw listenError(listenAddress.address, error)
  }
}

async function take({ fd, path }: ListeningSocket, accept: Accept, complaints: Complaints): Promise<Bound> {
  const server = createServer({ noDelay: path === null, keepAlive: path === null }, accept)
  const name = `file descriptor ${fd}`
  try {
    await started(server, { fd }, error => complaints.tell(listenError(name, error), {}))
  } catch (error) {
    server.close()
    throw hostError('LISTEN_INHERITED', name, error instanceof Error ? error.message : String(error))
  }
  const actual = server.address()
  const address: SocketAddress =
    typeof actual === 'object' && actual !== null
      ? { kind: 'inet', host: actual.address, port: actual.port, family: actual.family === 'IPv6' ? 6 : 4 }
      : { kind: 'unix', path: path ?? '' }
  return { server, address, remove() {} }
}

function started(
  server: Server,
  where: ListenOptions | { readonly fd: number },
  troubled: (error: Error) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(where, () => {
      server.off('error', reject)
      server.on('error', troubled)
      resolve()
    })
  })
}

/** Resolves when the last connection is gone. */
function stop({ server, remove }: Bound): Promise<void> {
  remove()
  return new Promise(resolve => server.close(() => resolve()))
}
