/**
 * One stream to an external milter: bytes out, replies in, no socket.
 *
 * It cuts and decodes what arrives, keeps replies until they are asked for, and remembers the first thing that went wrong:
 * from then on every use fails with it. It knows nothing of the order of commands; `socket-session.ts` and `content.ts` do. A
 * `Transport` carries the bytes (`dial.ts`, or a test's own).
 *
 * PROGRESS is no reply: it is told to whoever set `onProgress`, and the caller's signal bounds the wait whatever it says. A reply that nobody asked for is a fault, found by `quiet` before anything more is sent, because a milter
 * that answers once too often would have its answers taken for those to later questions.
 */
import { type HostError, hostError } from '../../host/errors.ts'
import {
  type DecodeOptions,
  decodeReply,
  FrameDecoder,
  type FrameLimits,
  type Irregularity,
  type Reply,
  replyLetter,
  replyName,
} from '../wire/index.ts'

/** What carries the bytes of a channel. */
export interface Transport {
  /** False when it would rather have no more before it has called `drained`. */
  write(bytes: Buffer): boolean
  /** All bytes written so far are out of our hands: their buffer may be used again. */
  readonly idle: boolean
  pause(): void
  resume(): void
  /** Sends the last bytes if that needs no waiting, and closes. */
  end(bytes: Buffer): void
  destroy(): void
}

/** Counts what comes from a milter, over all of its connections. */
export interface Pulse {
  heard: number
}

/** Who waits for something: told once, in the very call that brings it. */
export interface Waiter<T> {
  resolve(value: T): void
  reject(error: HostError): void
}

/** One for all: there is a channel for each session. */
const NOTHING = (): void => {}

/** Replies held unread before the milter is not listened to any more. */
const MOST_QUEUED = 256
const MOST_QUEUED_BYTES = 1024 * 1024

export class Channel implements DecodeOptions {
  /** What the milter is being asked, for messages. */
  stage = 'negotiation'
  /** The milter says that it is still at work. */
  onProgress: () => void = NOTHING
  /** The connection is closed or given up; told once. */
  onClosed: () => void = NOTHING
  readonly #name: string
  readonly #transport: Transport
  readonly #decoder: FrameDecoder
  readonly #pulse: Pulse
  readonly #queue: Reply[] = []
  #queuedBytes = 0
  #fault: HostError | null = null
  /** Closed between packets, by either side: what the milter said before still counts. */
  #ended = false
  #reader: Waiter<Reply> | null = null
  #writer: Waiter<void> | null = null

  constructor(name: string, transport: Transport, limits: FrameLimits, pulse: Pulse) {
    this.#pulse = pulse
    this.#name = name
    this.#transport = transport
    this.#decoder = new FrameDecoder(limits)
  }

  /** Can take another command. */
  get usable(): boolean {
    return this.#fault === null && !this.#ended
  }

  /** Nothing that was sent is still held here. */
  get idle(): boolean {
    return this.#transport.idle
  }

  /** Somebody waits for the milter. */
  get busy(): boolean {
    return this.#reader !== null || this.#writer !== null
  }

  /** A promise when the milter must catch up first. */
  send(bytes: Buffer): void | Promise<void> {
    this.quiet()
    if (this.#ended) throw this.#close()
    if (this.#transport.write(bytes)) return
    if (this.#fault !== null) throw this.#fault
    return new Promise((resolve, reject) => {
      this.#writer = { resolve, reject }
    })
  }

  /** Sends what is not answered and whose fate does not matter. */
  post(bytes: Buffer): void {
    if (this.usable) this.#transport.write(bytes)
  }

  /** The next reply, if it is there. */
  queued(): Reply | undefined {
    const reply = this.#queue.shift()
    if (reply !== undefined) this.#listenAgain(reply)
    return reply
  }

  /** The next reply. */
  receive(): Reply | Promise<Reply> {
    return this.queued() ?? new Promise((resolve, reject) => this.#await({ resolve, reject }))
  }

  /** The next reply if it is there already; else `waiter` is told, without the detour of a promise. */
  receiveBy(waiter: Waiter<Reply>): Reply | null {
    const reply = this.queued()
    if (reply !== undefined) return reply
    this.#await(waiter)
    return null
  }

  /** Throws if something is wrong, or if the milter said what nobody asked for. */
  quiet(): void {
    const unasked = this.#queue[0]
    if (unasked !== undefined) {
      const what = `it sent ${replyName(replyLetter(unasked.kind))} although no reply was due`
      this.fail(hostError('MILTER_PROTOCOL', this.#name, this.stage, what))
    }
    if (this.#fault !== null) throw this.#fault
  }

  /** Gives the connection up at once. */
  fail(error: HostError): void {
    if (this.#fault !== null) return
    this.#fault = error
    this.#transport.destroy()
    if (!this.#ended) this.onClosed()
    this.#reader?.reject(error)
    this.#writer?.reject(error)
    this.#reader = null
    this.#writer = null
  }

  /** Says these last bytes and closes. Nothing is waited for. */
  leave(bytes: Buffer): void {
    if (!this.usable) return
    if (this.busy) this.fail(hostError('MILTER_CLOSED', this.#name, this.stage))
    else {
      this.#transport.end(bytes)
      this.onClosed()
    }
    this.#ended = true
  }

  /** Postfix breaks off over a payload where none belongs, so a milter that sends one works with no Postfix either. */
  report({ packet, bytes }: Irregularity): void {
    throw hostError('MILTER_PROTOCOL', this.#name, this.stage, `${bytes} bytes too many in ${packet}`)
  }

  /** From the transport: bytes, valid during the call only. */
  received(chunk: Buffer): void {
    if (!this.usable) return
    this.#pulse.heard += 1
    this.#decode(() => this.#decoder.push(chunk, this.#take))
    this.#hand()
  }

  /** From the transport: it takes more. */
  drained(): void {
    const writer = this.#writer
    this.#writer = null
    writer?.resolve()
  }

  /** From the transport: there is no connection any more. */
  closed(error: Error | null): void {
    if (this.#fault !== null || this.#ended) return
    if (this.#decoder.buffered === 0 && !this.busy) {
      this.#ended = true
      this.onClosed()
    } else this.fail(hostError('MILTER_CLOSED', this.#name, this.stage, error?.message))
  }

  /** To whoever waits, once the whole chunk is cut: only then is a reply that nobody asked for seen by `quiet`. */
  #hand(): void {
    const reader = this.#reader
    const reply = reader === null ? undefined : this.queued()
    if (reply === undefined) return
    this.#reader = null
    reader!.resolve(reply)
  }

  #await(waiter: Waiter<Reply>): void {
    if (this.#fault !== null) throw this.#fault
    if (this.#ended) throw this.#close()
    this.#reader = waiter
  }

  readonly #take = (letter: number, payload: Buffer): boolean => {
    const reply = decodeReply(letter, payload, this)
    if (reply.kind === 'progress') {
      this.onProgress()
      return true
    }
    this.#queue.push(owned(reply))
    this.#queuedBytes += payload.length
    const full = this.#queue.length >= MOST_QUEUED || this.#queuedBytes >= MOST_QUEUED_BYTES
    if (full) this.#transport.pause()
    return !full
  }

  #listenAgain(taken: Reply): void {
    if (taken.kind === 'replace-body') this.#queuedBytes -= taken.chunk.length
    if (this.#queue.length > 0) return
    this.#queuedBytes = 0
    if (!this.#decoder.paused) return
    this.#decode(() => this.#decoder.resume(this.#take))
    if (!this.#decoder.paused) this.#transport.resume()
  }

  #decode(run: () => void): void {
    try {
      run()
    } catch (error) {
      const known = error as HostError & { readonly code: string }
      this.fail(
        known.code === 'MILTER_PROTOCOL' ? known : hostError('MILTER_PROTOCOL', this.#name, this.stage, known.message),
      )
    }
  }

  #close(): HostError {
    this.fail(hostError('MILTER_CLOSED', this.#name, this.stage))
    return this.#fault!
  }
}

/** A chunk is a view of a buffer that is used again; the reply may be read later. */
const owned = (reply: Reply): Reply =>
  reply.kind === 'replace-body' ? { kind: 'replace-body', chunk: Buffer.from(reply.chunk) } : reply
