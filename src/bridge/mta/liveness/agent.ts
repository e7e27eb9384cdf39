/**
 * Liveness by an agent beside the MTA: `liveness: agent('inet:9725@mx1.example.com', { token })` in a configuration.
 *
 * One connection, made at the first question and again after a failure; over TLS, or through a UNIX socket. An agent that cannot be
 * reached, does not know us, or says what cannot be read fails the look, which is unknown for every client and never gone.
 */
import { createConnection, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Clock } from '../../../host/time/clock.ts'
import type { Liveness, LivenessQuestion, LivenessSource, Sight } from '../../../host/time/liveness.ts'
import { parseSocketAddress, type SocketAddress } from '../../wire/index.ts'
import { ask, FRAME_BYTES, Frames, hello, MOST_QUESTIONS, readSights } from './agent-wire.ts'

export interface AgentOptions {
  /** What the agent's `--token-file` holds. */
  readonly token: string
  /** Certificates to trust, PEM. @default those of the system */
  readonly ca?: string | Uint8Array
  /** The name in the agent's certificate. @default the host of the address */
  readonly servername?: string
}

/** Milliseconds for connecting and for an answer. */
const PATIENCE = 2_000

/** Throws when the address cannot be read. `inet:` speaks TLS. */
export function agent(address: string, options: AgentOptions): LivenessSource {
  const at = parseSocketAddress(address)
  if (typeof options?.token !== 'string' || options.token === '')
    throw new TypeError(`agent('${address}'): the token is missing`)
  return { name: `agent ${address}`, open: ({ clock }) => new Agent(at, options, clock) }
}

interface Waiter {
  resolve(frame: unknown): void
  reject(error: Error): void
}

class Agent implements Liveness {
  cost = 0
  readonly #at: SocketAddress
  readonly #options: AgentOptions
  readonly #clock: Clock
  #socket: Socket | null = null
  #waiter: Waiter | null = null
  #count = 0

  constructor(at: SocketAddress, options: AgentOptions, clock: Clock) {
    this.#at = at
    this.#options = options
    this.#clock = clock
  }

  async look(questions: readonly LivenessQuestion[], signal: AbortSignal): Promise<readonly Sight[]> {
    const giveUp = (): void => this.#drop(new Error('it was given up'))
    signal.addEventListener('abort', giveUp, { once: true })
    const all: Sight[] = []
    let cost = 0
    try {
      if (this.#socket === null) await this.#connect()
      for (let first = 0; first < questions.length; first += MOST_QUESTIONS / 4) {
        const some = questions.slice(first, first + MOST_QUESTIONS / 4)
        const id = ++this.#count
        const answer = readSights(await this.#exchange(ask(id, some)), id, some.length)
        all.push(...answer.sights)
        cost += answer.cost
      }
    } catch (error) {
      this.#drop(error as Error)
      throw error
    } finally {
      signal.removeEventListener('abort', giveUp)
    }
    this.cost = cost
    return all
  }

  close(): void {
    this.#drop(new Error('it was closed'))
  }

  async #connect(): Promise<void> {
    const { token, ca, servername } = this.#options
    const at = this.#at
    const socket =
      at.kind === 'unix'
        ? createConnection(at.path)
        : connectTls({
            host: at.host,
            port: at.port,
            ...(servername === undefined ? {} : { servername }),
            ...(ca === undefined ? {} : { ca: Buffer.from(ca) }),
          })
    this.#socket = socket
    const frames = new Frames(FRAME_BYTES)
    socket.unref()
    socket.on('data', (chunk: Buffer) => {
      try {
        frames.push(chunk)
        for (let frame = frames.next(); frame !== undefined; frame = frames.next()) this.#heard(frame)
      } catch (error) {
        if (this.#socket === socket) this.#drop(error as Error)
      }
    })
    const over = (error: Error): void => {
      if (this.#socket === socket) this.#drop(error)
    }
    socket.on('error', over)
    socket.on('close', () => over(new Error('the agent closed the connection')))
    const answer = await this.#exchange(hello(token))
    if ((answer as { readonly ok?: unknown } | null)?.ok !== true) throw new Error('the agent does not know this token')
  }

  #heard(frame: unknown): void {
    const waiter = this.#waiter
    this.#waiter = null
    if (waiter === null) throw new Error('the agent said what it was not asked')
    waiter.resolve(frame)
  }

  async #exchange(frame: Buffer): Promise<unknown> {
    const socket = this.#socket
    if (socket === null) throw new Error('the connection is closed')
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    this.#waiter = { resolve, reject }
    const cancel = this.#clock.after(PATIENCE, () =>
      this.#drop(new Error(`the agent did not answer within ${PATIENCE / 1000} s`)),
    )
    try {
      socket.write(frame)
      return await promise
    } finally {
      cancel()
    }
  }

  #drop(error: Error): void {
    const waiter = this.#waiter
    this.#waiter = null
    this.#socket?.destroy()
    this.#socket = null
    waiter?.reject(error)
  }
}
