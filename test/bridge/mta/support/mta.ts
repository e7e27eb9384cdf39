/**
 * The MTA of a test: a raw milter client on a loopback socket, and a listener with a recording source for it to talk to.
 */
import { createConnection, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { type Listener, type ListenerOptions, listen } from '../../../../src/bridge/mta/listener.ts'
import {
  type Command,
  decodeReply,
  encodeCommand,
  FrameDecoder,
  type NegotiateCommand,
  type Reply,
  replyLetter,
  type SocketAddress,
} from '../../../../src/bridge/wire/index.ts'
import type { Logger } from '../../../../src/host/observe/logger.ts'
import { HandClock } from '../../../host/support/clock.ts'
import { RecordingSource } from './recorder.ts'

/** Collects what is logged. */
export class LogLines implements Logger {
  readonly lines: { readonly code: string; readonly message: string; readonly fields: object }[] = []
  debug(): void {}
  info(): void {}
  warn(fields: object, message = ''): void {
    this.lines.push({ code: String((fields as { code?: string }).code), message, fields })
  }
  error(fields: object, message = ''): void {
    this.warn(fields, message)
  }
  child(): Logger {
    return this
  }
  get codes(): string[] {
    return this.lines.map(({ code }) => code)
  }
}

export const offer: NegotiateCommand = {
  kind: 'negotiate',
  version: 6,
  actions: 0x1ff,
  protocol: 0x1fffff,
  symbols: [],
}

export const hello: Command[] = [
  { kind: 'connect', host: 'client.example', family: 'inet', port: 4711, address: '192.0.2.1' },
  { kind: 'helo', name: 'client.example' },
]
export const mailFrom: Command = { kind: 'mail', path: '<a@example.org>', parameters: ['SIZE=100'] }
export const rcptTo: Command = { kind: 'rcpt', path: '<b@example.net>', parameters: [] }
export const dataCommand: Command = { kind: 'data' }
export const content: Command[] = [
  { kind: 'header', name: 'Subject', value: ' hi' },
  { kind: 'eoh' },
  { kind: 'body', chunk: Buffer.from('text\r\n') },
]
export const endOfMessage: Command = { kind: 'eom', chunk: Buffer.alloc(0) }
export const message: Command[] = [mailFrom, rcptTo, dataCommand, ...content, endOfMessage]
export const macros = (letter: string, values: Record<string, string>): Command => ({
  kind: 'macros',
  for: letter.charCodeAt(0),
  macros: Object.entries(values),
})

const finalKinds: ReadonlySet<Reply['kind']> = new Set<Reply['kind']>([
  'negotiate',
  'continue',
  'accept',
  'reject',
  'tempfail',
  'discard',
  'replycode',
  'skip',
])

export class TestMta {
  readonly socket: Socket
  readonly replies: Reply[] = []
  readonly bytes: Buffer[] = []
  ended = false
  readonly closed: Promise<void>
  readonly #decoder = new FrameDecoder({ maxFrame: 64 * 1024 * 1024 })
  #changed: (() => void)[] = []

  constructor(socket: Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => {
      this.bytes.push(chunk)
      this.#decoder.push(chunk, (letter, payload) => {
        this.replies.push(decodeReply(letter, Buffer.from(payload)))
      })
      this.#wake()
    })
    // A listener that drops us resets; the tests look at `closed`.
    socket.on('error', () => {})
    this.closed = new Promise(resolve => {
      socket.on('close', () => {
        this.ended = true
        this.#wake()
        resolve()
      })
    })
  }

  get letters(): string {
    return this.replies.map(reply => String.fromCharCode(replyLetter(reply.kind))).join('')
  }

  send(...commands: Command[]): this {
    return this.raw(Buffer.concat(commands.map(encodeCommand)))
  }

  raw(bytes: Buffer): this {
    this.socket.write(bytes)
    return this
  }

  /** Waits for so many replies since the start. */
  async until(count: number): Promise<Reply[]> {
    while (this.replies.length < count) {
      if (this.ended) throw new Error(`closed after ${this.replies.length} of ${count} replies: ${this.letters}`)
      await new Promise<void>(resolve => this.#changed.push(resolve))
    }
    return this.replies
  }

  /** Sends, and waits for one final answer. */
  async ask(...commands: Command[]): Promise<Reply> {
    let from = this.replies.length
    this.send(...commands)
    for (;;) {
      await this.until(from + 1)
      const reply = this.replies[from++]!
      if (finalKinds.has(reply.kind)) return reply
    }
  }

  /** Negotiates, and says C and H. */
  async greet(as: NegotiateCommand = offer): Promise<this> {
    await this.ask(as)
    for (const command of hello) await this.ask(command)
    return this
  }

  #wake(): void {
    for (const resolve of this.#changed.splice(0)) resolve()
  }
}

export interface Place {
  readonly listener: Listener
  readonly source: RecordingSource
  readonly clock: HandClock
  readonly log: LogLines
  connect(): Promise<TestMta>
}

export const connectTo = (address: SocketAddress): Promise<TestMta> =>
  new Promise((resolve, reject) => {
    const socket =
      address.kind === 'unix' ? createConnection(address.path) : createConnection(address.port, address.host)
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      resolve(new TestMta(socket))
    })
  })

/** A listener on a free port, closed when the test is over. */
export async function place(options: Partial<ListenerOptions> = {}): Promise<Place> {
  const source = new RecordingSource()
  const clock = new HandClock()
  const log = new LogLines()
  const address = { address: 'inet:0@127.0.0.1', mode: 0o660, group: null }
  const listener = await listen([address], { source, clock, log, ...options })
  const open: TestMta[] = []
  onTestFinished(async () => {
    for (const mta of open) mta.socket.destroy()
    await listener.close()
  })
  return {
    listener,
    source,
    clock,
    log,
    async connect() {
      const mta = await connectTo(listener.addresses[0]!)
      open.push(mta)
      return mta
    },
  }
}

/** Waits until something holds; fails by the test's own time limit. */
export async function eventually(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(resolve => setTimeout(resolve, 2))
}
