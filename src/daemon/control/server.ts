/**
 * The control socket: clients of this machine's postmaster, each with one request at a time.
 *
 * What always holds: mode 0600, so that only the daemon's own user and root can connect; a request has at most 16 KiB and there
 * are at most 16 clients; a client that sends nothing, or takes nothing of its answer, is cut after a while, and nobody waits for it. What
 * a request means is not known here: `handle` answers. `socket.ts` opens and closes it, as the configuration says.
 */
import { createServer, type Server, type Socket } from 'node:net'
import { clearPlace, listenError, place, temporaryName } from '../../bridge/mta/index.ts'
import { hostError } from '../../host/errors.ts'
import type { Logger } from '../../host/observe/logger.ts'
import type { Clock } from '../../host/time/clock.ts'
import { type ControlRequest, errorLine, LONGEST_REQUEST, readRequest, resultLine } from './protocol.ts'

export interface ControlServerOptions {
  readonly path: string
  readonly clock: Clock
  readonly log: Logger
  handle(request: ControlRequest): Promise<object>
}

export interface ControlServer {
  readonly path: string
  /** Takes no more clients and lets those that are there have what was written. */
  close(): void
}

const MODE = 0o600
const MOST_CLIENTS = 16
/** Milliseconds without a request. */
const IDLE = 60_000
/** Milliseconds for taking an answer. */
const WRITE = 10_000

/** Throws a coded error when the place is taken or cannot be used. */
export async function openControlServer(options: ControlServerOptions): Promise<ControlServer> {
  const { path, log } = options
  const clients = new Set<Client>()
  const server = createServer(socket => {
    if (clients.size >= MOST_CLIENTS) {
      // Nobody listens to what it has to say: its errors must not be anybody's.
      socket.on('error', () => {})
      socket.end(errorLine(hostError('CONTROL_BUSY', MOST_CLIENTS)), () => socket.destroy())
      return
    }
    const client = new Client(socket, options)
    clients.add(client)
    socket.once('close', () => clients.delete(client))
  })
  try {
    await clearPlace(path)
    const temporary = temporaryName(path)
    await bound(server, temporary)
    server.on('error', error => log.error({ error }, 'the control socket takes no client'))
    const remove = place(temporary, path, { mode: MODE, group: null })
    return {
      path,
      close() {
        remove()
        server.close()
        for (const client of clients) client.end()
      },
    }
  } catch (error) {
    server.close()
    throw listenError(path, error)
  }
}

function bound(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    // Bound at once, in this call: nobody else may connect even before `place` gives it its mode.
    const before = process.umask(0o177)
    try {
      server.listen({ path }, () => {
        server.off('error', reject)
        resolve()
      })
    } finally {
      process.umask(before)
    }
  })
}

class Client {
  readonly #socket: Socket
  readonly #options: ControlServerOptions
  #received: Buffer = Buffer.alloc(0)
  #busy = false
  #cancel: () => void = () => {}

  constructor(socket: Socket, options: ControlServerOptions) {
    this.#socket = socket
    this.#options = options
    socket.on('data', chunk => {
      this.#received = Buffer.concat([this.#received, chunk])
      this.#next()
    })
    // A client may go whenever it likes; 'close' follows.
    socket.on('error', () => {})
    socket.once('close', () => this.#cancel())
    this.#limit(IDLE)
  }

  end(): void {
    this.#socket.destroySoon()
  }

  #limit(milliseconds: number): void {
    this.#cancel()
    this.#cancel = this.#options.clock.after(milliseconds, () => this.#socket.destroy())
  }

  #next(): void {
    if (this.#busy) return
    const end = this.#received.indexOf('\n')
    const length = end < 0 ? this.#received.length : end
    if (length > LONGEST_REQUEST) {
      this.#socket.end(errorLine(hostError('CONTROL_REQUEST', `it is longer than ${LONGEST_REQUEST} bytes`)), () =>
        this.#socket.destroy(),
      )
      return
    }
    if (end < 0) return
    const line = this.#received.toString('utf8', 0, end)
    this.#received = this.#received.subarray(end + 1)
    this.#busy = true
    this.#cancel()
    // Nothing more of it is taken in before it has its answer.
    this.#socket.pause()
    void this.#answer(line).then(answer => this.#write(answer))
  }

  async #answer(line: string): Promise<string> {
    try {
      return resultLine(await this.#options.handle(readRequest(line)))
    } catch (error) {
      return errorLine(error)
    }
  }

  #write(answer: string): void {
    if (this.#socket.destroyed) return
    this.#limit(WRITE)
    this.#socket.write(answer, () => {
      this.#busy = false
      this.#limit(IDLE)
      this.#socket.resume()
      this.#next()
    })
  }
}
