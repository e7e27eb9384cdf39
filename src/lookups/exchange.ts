/**
 * Connections to a server that answers one request after the other: socketmap and tcp tables.
 *
 * A connection serves one request at a time; more are opened up to a limit, and further requests wait for one to be free. A connection that
 * broke, or whose answer was not waited for, is thrown away. A request that met a connection which the server had closed meanwhile is
 * made once more on a new one.
 */
import { connect, type NetConnectOpts, type Socket } from 'node:net'

/** Looks for one whole answer at the start of what was received. Throws when it can be none. */
export type Unframe = (received: Buffer) => { readonly answer: Buffer; readonly length: number } | null

export interface ExchangeOptions {
  readonly address: NetConnectOpts
  readonly connections: number
  readonly unframe: Unframe
}

/** The server closed a connection that had been at rest. */
class Gone extends Error {}

export class Exchange {
  readonly #options: ExchangeOptions
  readonly #idle: Connection[] = []
  readonly #all = new Set<Connection>()
  readonly #waiting = new Set<() => void>()
  #busy = 0
  #closed = false

  constructor(options: ExchangeOptions) {
    this.#options = options
  }

  async ask(request: Buffer, signal: AbortSignal): Promise<Buffer> {
    while (this.#busy >= this.#options.connections && !this.#closed) await this.#turn(signal)
    if (this.#closed) throw new Error('it is being closed')
    this.#busy += 1
    try {
      return await this.#exchange(request, signal)
    } finally {
      this.#busy -= 1
      this.#wake()
    }
  }

  close(): void {
    this.#closed = true
    for (const connection of this.#all) connection.destroy()
    for (const wake of this.#waiting) wake()
  }

  async #exchange(request: Buffer, signal: AbortSignal): Promise<Buffer> {
    for (;;) {
      const used = this.#idle.pop()
      const connection = used ?? this.#open()
      try {
        const answer = await connection.ask(request, signal)
        if (this.#all.has(connection)) this.#idle.push(connection)
        return answer
      } catch (error) {
        this.#discard(connection)
        if (used === undefined || !(error instanceof Gone) || signal.aborted) throw error
      }
    }
  }

  /** Waits until one of the requests under way has ended; rejects when the signal comes first. */
  async #turn(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.add(resolve)
    signal.addEventListener('abort', () => resolve(), { once: true })
    await promise
    this.#waiting.delete(resolve)
    if (!signal.aborted) return
    // It may be this one that was woken.
    this.#wake()
    signal.throwIfAborted()
  }

  #wake(): void {
    const [wake] = this.#waiting
    if (wake === undefined) return
    this.#waiting.delete(wake)
    wake()
  }

  #open(): Connection {
    const connection: Connection = new Connection(this.#options, () => this.#discard(connection))
    this.#all.add(connection)
    return connection
  }

  #discard(connection: Connection): void {
    connection.destroy()
    this.#all.delete(connection)
    const at = this.#idle.indexOf(connection)
    if (at >= 0) this.#idle.splice(at, 1)
  }
}

class Connection {
  readonly #socket: Socket
  readonly #unframe: Unframe
  #received: Buffer = Buffer.alloc(0)
  #pending: PromiseWithResolvers<Buffer> | null = null

  constructor({ address, unframe }: ExchangeOptions, onEnd: () => void) {
    this.#unframe = unframe
    this.#socket = connect({ ...address, noDelay: true } as NetConnectOpts)
    this.#socket.unref()
    this.#socket.on('data', data => this.#take(data))
    this.#socket.on('error', error => this.#fail(this.#isBroken(error) ? new Gone(error.message) : error))
    this.#socket.on('close', () => {
      this.#fail(new Gone('the server closed the connection'))
      onEnd()
    })
  }

  async ask(request: Buffer, signal: AbortSignal): Promise<Buffer> {
    const pending = Promise.withResolvers<Buffer>()
    this.#pending = pending
    const onAbort = (): void => pending.reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      if (this.#socket.destroyed) throw new Gone('the server closed the connection')
      this.#socket.write(request)
      return await pending.promise
    } finally {
      signal.removeEventListener('abort', onAbort)
      this.#pending = null
    }
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #isBroken(error: NodeJS.ErrnoException): boolean {
    return error.code === 'ECONNRESET' || error.code === 'EPIPE'
  }

  #fail(error: Error): void {
    this.#pending?.reject(error)
  }

  #take(data: Buffer): void {
    this.#received = this.#received.length === 0 ? data : Buffer.concat([this.#received, data])
    try {
      const found = this.#unframe(this.#received)
      if (found === null) return
      // What nobody asked for: this connection cannot be trusted to answer the right request.
      if (this.#pending === null || found.length < this.#received.length)
        throw new Error('it answers without being asked')
      this.#received = Buffer.alloc(0)
      this.#pending.resolve(found.answer)
    } catch (error) {
      this.#fail(error as Error)
      this.destroy()
    }
  }
}
