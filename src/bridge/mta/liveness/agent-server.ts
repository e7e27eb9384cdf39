/**
 * The agent itself: answers from the kernel's table of its own machine to whoever knows the token.
 *
 * A UNIX socket, or TCP with TLS and nothing else. Who does not say the token in time, or a wrong one, is cut off; a connection has one question
 * at a time, the rest waits in its socket. It changes nothing on its machine and tells nothing but whether a connection, named by both
 * ends, is there.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import type { ListenAddress } from '../../../host/config/settings.ts'
import { hostError } from '../../../host/errors.ts'
import type { Logger } from '../../../host/observe/logger.ts'
import type { Clock } from '../../../host/time/clock.ts'
import type { Liveness } from '../../../host/time/liveness.ts'
import { parseSocketAddress } from '../../wire/index.ts'
import { listenError } from '../listen-error.ts'
import { clearPlace, place, temporaryName } from '../unix-socket.ts'
import { AgentWireError, encode, FRAME_BYTES, Frames, HELLO_BYTES, readAsk, readHello } from './agent-wire.ts'

export interface AgentServerOptions {
  readonly listen: ListenAddress
  readonly token: string
  /** Certificate and key, PEM; needed for TCP. */
  readonly tls: { readonly cert: Buffer; readonly key: Buffer } | null
  readonly source: Liveness
  readonly clock: Clock
  readonly log: Logger
}

export interface AgentServer {
  /** Of TCP; `null` for a UNIX socket. */
  readonly port: number | null
  close(): Promise<void>
}

const HELLO_TIME = 5_000
const MOST_CONNECTIONS = 64

/** Throws a coded error that names the address. */
export async function serveAgent(options: AgentServerOptions): Promise<AgentServer> {
  const { listen, tls } = options
  const address = parseSocketAddress(listen.address, 'listen')
  const sockets = new Set<Socket>()
  const accept = (socket: Socket): void => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    converse(socket, options)
  }
  const server: Server = tls === null ? createServer(accept) : tlsServer(tls, accept)
  server.maxConnections = MOST_CONNECTIONS
  let remove = (): void => {}
  try {
    if (address.kind === 'unix') {
      await clearPlace(address.path)
      const temporary = temporaryName(address.path)
      await started(server, { path: temporary })
      remove = place(temporary, address.path, listen)
    } else await started(server, { host: address.host, port: address.port })
  } catch (error) {
    server.close()
    throw listenError(listen.address, error)
  }
  const actual = server.address()
  return {
    port: typeof actual === 'object' && actual !== null ? actual.port : null,
    async close() {
      remove()
      const closed = new Promise<void>(resolve => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await closed
      await options.source.close?.()
    },
  }
}

function converse(socket: Socket, { token, source, clock, log }: AgentServerOptions): void {
  const frames = new Frames(HELLO_BYTES)
  let known = false
  let busy = false
  const peer = socket.remoteAddress ?? 'unix'
  const cut = (why: string): void => {
    if (socket.destroyed) return
    log.warn({ peer }, `a client of the liveness agent was cut off: ${why}`)
    socket.destroySoon()
  }
  const cancel = clock.after(HELLO_TIME, () => cut('it did not say its token in time'))
  const answer = async (frame: unknown): Promise<void> => {
    if (!known) {
      if (!same(readHello(frame), token)) {
        // So that its log says what is wrong, and not only that the connection was closed.
        socket.write(encode({ ok: false }))
        return cut('its token is wrong')
      }
      known = true
      cancel()
      frames.limit = FRAME_BYTES
      socket.write(encode({ ok: true }))
      return
    }
    const { id, questions } = readAsk(frame)
    try {
      const sights = await source.look(questions, NEVER)
      socket.write(encode({ id, sights, cost: source.cost ?? 0 }))
    } catch (error) {
      socket.write(encode({ id, error: error instanceof Error ? error.message : String(error) }))
    }
  }
  const work = async (): Promise<void> => {
    if (busy) return
    busy = true
    socket.pause()
    try {
      for (let frame = frames.next(); frame !== undefined && !socket.destroyed; frame = frames.next())
        await answer(frame)
    } catch (error) {
      cut(error instanceof AgentWireError ? error.message : String(error))
    }
    busy = false
    socket.resume()
  }
  socket.on('data', (chunk: Buffer) => {
    frames.push(chunk)
    void work()
  })
  // A client that goes says nothing of interest.
  socket.on('error', () => socket.destroy())
  socket.once('close', cancel)
}

function tlsServer(tls: NonNullable<AgentServerOptions['tls']>, accept: (socket: Socket) => void): Server {
  try {
    return createTlsServer({ ...tls, handshakeTimeout: HELLO_TIME }, accept)
  } catch (error) {
    throw hostError('AGENT_OPTIONS', `certificate and key cannot be used: ${(error as Error).message}`)
  }
}

const NEVER = new AbortController().signal

const same = (given: string, token: string): boolean => timingSafeEqual(digest(given), digest(token))
const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

function started(server: Server, where: { path: string } | { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(where, () => {
      server.off('error', reject)
      resolve()
    })
  })
}
