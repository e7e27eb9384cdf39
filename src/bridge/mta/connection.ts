/**
 * One connection from an MTA: the socket around a `Conversation`.
 *
 * It cuts the stream into packets, lets one command run at a time, and holds the MTA back when it sends more than that. The
 * socket is read all the while, up to a limit, so that a client that leaves is noticed at once, whatever is running. It is
 * closed by us only when the MTA says goodbye, when the stream makes no sense, at a deadline, or when the host ends.
 */
import type { Socket } from 'node:net'
import { type HostError, hostError } from '../../host/errors.ts'
import type { AbortReason } from '../../host/filter.ts'
import type { MtaKind } from '../../host/mta.ts'
import { Entry } from '../../host/roster.ts'
import type { Clock } from '../../host/time/clock.ts'
import { FrameDecoder, type SpareBuffers, WireError } from '../wire/index.ts'
import type { Complaints } from './complaints.ts'
import { Conversation, type Line } from './conversation.ts'
import type { Negotiator } from './negotiate.ts'
import type { SessionSource } from './source.ts'

/** Milliseconds. */
export interface Deadlines {
  /** From the connection to the end of the negotiation. */
  readonly handshake: number
  /** Without a word from the MTA; libmilter's. */
  readonly idle: number
  /** Without the MTA taking anything of an answer. */
  readonly write: number
}

export const DEFAULT_DEADLINES: Deadlines = { handshake: 5_000, idle: 7_210_000, write: 60_000 }

export interface ConnectionOptions {
  readonly source: SessionSource
  readonly clock: Clock
  readonly complaints: Complaints
  readonly deadlines: Deadlines
  readonly mta: MtaKind | null
  /** Greatest length of a packet. */
  readonly maxFrame: number
  readonly spares: SpareBuffers
  readonly negotiator: Negotiator
  /** Told once, when the socket is closed. */
  closed(connection: Connection): void
}

/** Bytes that may wait behind a command that is running before the socket is no longer read. */
const backlog = 64 * 1024
/** Sent before the negotiation is complete; it takes 17. */
const handshakeBytes = 4096
/** Bytes; smaller ones cost little, and may lie in memory that Node shares out. */
const largeRead = 16_384

// Whether the client is still there nobody knows then.
const GONE: AbortReason = { kind: 'mta-abort', detail: 'the MTA closed the connection' }
const DROPPED: AbortReason = { kind: 'client-left', detail: 'the connection was dropped' }
const SHUTDOWN: AbortReason = { kind: 'shutdown', detail: 'the host is shutting down' }

export class Connection implements Line {
  /** Among the connections of its listener. */
  readonly entry: Entry<Connection> = new Entry(this)
  readonly #socket: Socket
  readonly #options: ConnectionOptions
  readonly #decoder: FrameDecoder
  readonly #conversation: Conversation
  readonly #peer: string
  #received = 0
  #heard: number
  #busy = false
  #closed = false
  #closeWhenIdle = false
  #cancelSilence: () => void = () => {}
  #cancelLeave: () => void = () => {}
  #cancelStall: (() => void) | null = null
  #waitingToWrite: (() => void)[] = []

  constructor(socket: Socket, options: ConnectionOptions) {
    const { source, clock, mta, maxFrame, spares, negotiator, deadlines } = options
    this.#socket = socket
    this.#options = options
    this.#peer = socket.remoteAddress === undefined ? 'unix' : `${socket.remoteAddress} ${socket.remotePort}`
    this.#decoder = new FrameDecoder({ maxFrame, spares })
    this.#conversation = new Conversation({ source, clock, mta, negotiator, line: this })
    this.#heard = clock.monotonic()
    this.#cancelSilence = clock.after(deadlines.handshake, this.#silent)
    socket.on('data', this.#read)
    socket.on('drain', this.#drained)
    socket.on('end', this.#gone)
    // A reset or a broken pipe is how an MTA may leave; 'close' follows.
    socket.on('error', this.#gone)
    socket.on('close', this.#closedForGood)
  }

  write(bytes: Buffer): boolean {
    if (this.#closed || this.#socket.write(bytes)) return true
    this.#cancelStall ??= this.#watchStall()
    return false
  }

  flushed(): Promise<void> {
    if (this.#closed || !this.#socket.writableNeedDrain) return Promise.resolve()
    return new Promise(resolve => this.#waitingToWrite.push(resolve))
  }

  end(): void {
    this.#finish(DROPPED)
    // A half-close first would only cost another system call.
    if (this.#socket.writableLength === 0) this.#socket.destroy()
    else this.#socket.destroySoon()
  }

  drop(error: HostError): void {
    if (this.#closed) return
    this.complain(error)
    this.#finish(DROPPED)
    this.#socket.destroy()
  }

  complain(error: HostError): void {
    this.#options.complaints.tell(error, { peer: this.#peer })
  }

  /**
   * No new message on this connection; one without an SMTP session is closed at once, one between two messages when it has been
   * silent for so many milliseconds: nothing can be said to an MTA that does not ask, and meanwhile nobody serves the others.
   */
  drain(silence: number): void {
    this.#conversation.drain()
    if (!this.#conversation.inSession) this.#shut()
    else this.#closeWhenSilent(silence, this.#options.clock.monotonic())
  }

  /** Closes, after a temporary failure if an answer is owed. */
  interrupt(): void {
    this.#closeWhenIdle = true
    if (this.#busy) this.#conversation.interrupt(SHUTDOWN)
    else this.#shut()
  }

  destroy(): void {
    this.#finish(SHUTDOWN)
    this.#socket.destroy()
  }

  #closeWhenSilent(silence: number, since: number): void {
    const { clock } = this.#options
    const idle = !this.#busy && !this.#conversation.inMessage
    const left = idle ? Math.max(since, this.#heard) + silence - clock.monotonic() : silence
    if (left <= 0) this.#shut()
    else this.#cancelLeave = clock.after(left, () => this.#closeWhenSilent(silence, since))
  }

  #shut(): void {
    this.#finish(SHUTDOWN)
    this.#socket.destroySoon()
  }

  readonly #read = (chunk: Buffer): void => {
    if (this.#closed) return
    this.#heard = this.#options.clock.monotonic()
    this.#received += chunk.length
    this.#decode(() => this.#decoder.push(chunk, this.#take))
    release(chunk)
    if (!this.#conversation.negotiated && this.#received > handshakeBytes)
      this.drop(hostError('MTA_JUNK', `${this.#received} bytes and no negotiation`))
    if (this.#decoder.paused && this.#decoder.buffered > backlog) this.#socket.pause()
  }

  readonly #take = (letter: number, payload: Buffer): boolean => {
    if (this.#closed) return false
    const running = this.#conversation.take(letter, payload)
    if (running === undefined) return !this.#closed
    this.#busy = true
    void running.then(this.#goOn)
    return false
  }

  readonly #goOn = (): void => {
    this.#busy = false
    this.#heard = this.#options.clock.monotonic()
    if (this.#closed) return
    if (this.#closeWhenIdle) this.#shut()
    else this.#decode(() => this.#decoder.resume(this.#take))
    if (!this.#decoder.paused) this.#socket.resume()
  }

  #decode(step: () => void): void {
    try {
      step()
    } catch (error) {
      const what = error instanceof Error ? error.message : String(error)
      if (!(error instanceof WireError)) this.drop(hostError('MTA_INTERNAL', 'decoding', what))
      else this.drop(hostError(this.#conversation.negotiated ? 'MTA_PROTOCOL' : 'MTA_JUNK', what))
    }
  }

  /** Only one timer a connection: it looks at when the MTA was heard last, and sleeps again for the rest. */
  readonly #silent = (): void => {
    const { clock, deadlines } = this.#options
    const left = this.#busy ? deadlines.idle : this.#heard + deadlines.idle - clock.monotonic()
    if (!this.#conversation.negotiated) this.drop(hostError('MTA_HANDSHAKE', deadlines.handshake / 1000))
    else if (left <= 0) this.drop(hostError('MTA_IDLE', deadlines.idle / 1000))
    else this.#cancelSilence = clock.after(left, this.#silent)
  }

  #watchStall(): () => void {
    const { clock, deadlines } = this.#options
    const waiting = this.#socket.writableLength
    return clock.after(deadlines.write, () => {
      if (this.#socket.writableLength >= waiting) return this.drop(hostError('MTA_STALLED', deadlines.write / 1000))
      this.#cancelStall = this.#watchStall()
    })
  }

  readonly #drained = (): void => {
    this.#cancelStall?.()
    this.#cancelStall = null
    for (const resolve of this.#waitingToWrite.splice(0)) resolve()
  }

  readonly #gone = (): void => this.#finish(GONE)

  /** A closed socket may live for long, kept by Node (see `roster.ts` of the host): the session is not to live with it. */
  readonly #closedForGood = (): void => {
    this.#finish(GONE)
    this.#socket.removeAllListeners()
    this.#options.closed(this)
  }

  #finish(reason: AbortReason): void {
    if (this.#closed) return
    this.#closed = true
    this.#cancelSilence()
    this.#cancelLeave()
    this.#drained()
    this.#conversation.leave(reason)
  }
}

/**
 * Frees what a large read brought, of which the decoder has kept nothing: it would count as memory in use until the garbage
 * collector next looks, and V8 then looks through all of its heap for every few megabytes of mail.
 */
function release({ buffer, length }: Buffer): void {
  if (length >= largeRead && buffer.byteLength === length && buffer instanceof ArrayBuffer) buffer.transfer(0)
}
