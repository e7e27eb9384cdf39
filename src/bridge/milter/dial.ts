/**
 * Opens a connection to an external milter: the socket behind a `Channel`.
 *
 * One read buffer serves all connections of a filter (`onread`): bytes are cut and copied before the callback returns, and
 * a buffer for each socket costs a fifth of the whole. Nagle is off: with it and delayed ACK each step costs
 * 42 ms on TCP. Only `socket-filter.ts` calls this, and negotiates next: a bare connect makes some milters log an error.
 */
import net from 'node:net'
import { type HostError, hostError } from '../../host/errors.ts'
import { type FrameLimits, formatSocketAddress, type SocketAddress } from '../wire/index.ts'
import { Channel, type Pulse, type Transport } from './channel.ts'

export interface DialOptions {
  readonly filter: string
  readonly address: SocketAddress
  readonly limits: FrameLimits
  /** Shared by all connections of a filter. */
  readonly readBuffer: Buffer
  readonly pulse: Pulse
}

type Dialled = [error: null, channel: Channel] | [error: HostError, channel: null]

/** Calls back once: with a channel, or an error of code MILTER_CONNECT. Returns what gives the attempt up. */
export function dial(options: DialOptions, done: (...result: Dialled) => void): () => void {
  const { filter, address, limits, readBuffer, pulse } = options
  let channel: Channel | null = null
  // Forgotten once it was told: a closed socket may live for long, kept by Node (see `roster.ts` of the host), and all it reaches.
  let tell: typeof done | null = done
  const socket = net.connect({
    ...(address.kind === 'unix'
      ? { path: address.path }
      : {
          host: address.host,
          port: address.port,
          noDelay: true,
          ...(address.family ? { family: address.family } : {}),
        }),
    onread: {
      buffer: readBuffer,
      callback(count, buffer) {
        channel?.received((buffer as Buffer).subarray(0, count))
        return true
      },
    },
  })
  socket.once('connect', () => {
    const connected = tell
    if (connected === null) return
    tell = null
    channel = new Channel(filter, new SocketTransport(socket), limits, pulse)
    connected(null, channel)
  })
  socket.on('drain', () => channel?.drained())
  socket.on('end', () => channel?.closed(null))
  socket.on('error', (error: NodeJS.ErrnoException) => {
    if (channel !== null) return channel.closed(error)
    const failed = tell
    if (failed === null) return
    tell = null
    const where = formatSocketAddress(address, 'sendmail')
    const refused = hostError('MILTER_CONNECT', filter, where, reasonOf(error))
    refused.cause = error
    failed(refused, null)
  })
  socket.on('close', () => {
    channel?.closed(null)
    channel = null
    socket.removeAllListeners()
  })
  return () => {
    tell = null
    socket.destroy()
  }
}

/** A class, since thousands of connections may be open and an object of closures each is dear. */
class SocketTransport implements Transport {
  readonly #socket: net.Socket

  constructor(socket: net.Socket) {
    this.#socket = socket
  }

  get idle(): boolean {
    return this.#socket.writableLength === 0
  }

  write(bytes: Buffer): boolean {
    return this.#socket.write(bytes)
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  end(bytes: Buffer): void {
    // A peer that does not read would keep the last bytes, and with them the socket, for ever.
    if (this.idle) this.#socket.write(bytes)
    this.#socket.destroy()
  }

  destroy(): void {
    this.#socket.destroy()
  }
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nobody listens there (ECONNREFUSED)',
  ENOENT: 'there is no such socket (ENOENT)',
  EACCES: 'this process may not open the socket (EACCES)',
  ENOTFOUND: 'the host name is not known (ENOTFOUND)',
  EAGAIN: 'its queue of waiting connections is full (EAGAIN)',
}

/** An attempt at several addresses fails with an `AggregateError` whose own message is empty. */
function reasonOf(error: NodeJS.ErrnoException): string {
  return reasons[error.code ?? ''] ?? (error.message || (error.code ?? 'unknown error'))
}
