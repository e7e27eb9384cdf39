/**
 * The content phase with one external milter: DATA where it was not told yet, header fields, end of headers, body, end of
 * message, and its edits until the verdict.
 *
 * A state machine without I/O: `advance` writes what may be sent now and says what is missing to go on; `piece` and `reply`
 * bring it. `converse` runs it over a channel.
 *
 * libmilter never answers a command out of order, so the order here is the law: D only before T, N and E, nothing after an
 * answer that ends the message. So one reply is awaited for each packet that has one. A milter of which it is known that it bears
 * more (`pipelining`) is sent all that comes before the end of the message without a wait, and its replies are counted off afterwards;
 * the end itself waits for them, since what a milter does at the end it cannot take back. A milter that has sent an answer
 * that ends the message while it had more to read may reply to that or not (libmilter does not): nobody can tell, so the
 * connection is not used again.
 */
import { hostError } from '../../host/errors.ts'
import type { MaybePromise } from '../../host/filter.ts'
import type { Macros } from '../../host/macros.ts'
import type { Body, MessageSnapshot } from '../../host/message/snapshot.ts'
import { CONTINUE, type Verdict } from '../../host/verdict.ts'
import {
  bodyChunkSize,
  headerToWire,
  neededAction,
  type PacketWriter,
  type Reply,
  writeCommand,
} from '../wire/index.ts'
import type { Channel, Waiter } from './channel.ts'
import type { EditCollector } from './edit-collector.ts'
import type { MacroChoice } from './macro-choice.ts'
import { type Place, verdictOf } from './reply-verdict.ts'
import { stageOnWire, type Terms } from './terms.ts'

export interface ContentOptions {
  readonly filter: string
  readonly terms: Terms
  readonly message: MessageSnapshot
  readonly macros: Macros
  readonly choice: MacroChoice
  readonly edits: EditCollector
  /** The milter wants DATA and was not told: an MTA before version 4 has none. */
  readonly dataOwed: boolean
  /** It takes packets before it has answered those before them. */
  readonly pipelining: boolean
  refused(detail: string): void
}

/** What is missing: a reply, a piece of the body, room to send what was written; or nothing ever again. */
export type Want = 'reply' | 'piece' | 'room' | 'done'

/** Written but not sent before it is sent at the latest. */
const ENOUGH = 64 * 1024
/** Replies that a pipelined milter may owe; a channel holds more than that, so its replies never stop it from reading. */
const MOST_OWED = 128

export class ContentMachine {
  /** The answer, once `advance` says `done`. */
  verdict: Verdict = CONTINUE
  readonly #options: ContentOptions
  #next: Place | 'nothing' = 'data'
  #header = 0
  /** Of what has been written, what is to be answered still, in the order of the answers. */
  readonly #owed: Record<(typeof ANSWERED)[number], number> = { data: 0, header: 0, eoh: 0, body: 0, eom: 0 }
  #owes = 0
  /** Behind the last of those, something was written that has no answer. */
  #more = false
  #torn = false

  constructor(options: ContentOptions) {
    this.#options = options
  }

  /** What the milter is being asked. */
  get place(): Place {
    return this.#asked ?? (this.#next === 'nothing' ? 'eom' : this.#next)
  }

  /** It may have replied already. */
  get owes(): boolean {
    return this.#owes > 0
  }

  /** The milter has spoken for the message while it had more to read: what else it says means nothing. */
  get torn(): boolean {
    return this.#torn
  }

  advance(writer: PacketWriter): Want {
    const { terms, message, dataOwed } = this.#options
    for (;;) {
      if (this.#mustWait) return 'reply'
      if (writer.length >= ENOUGH) return 'room'
      switch (this.#next) {
        case 'data':
          this.#next = 'header'
          if (dataOwed) this.#plain(writer, 'data')
          break
        case 'header': {
          const field = terms.wants('header') ? message.headers[this.#header++] : undefined
          if (field === undefined) this.#next = 'eoh'
          else {
            const value = headerToWire(field.value, terms.leadingSpace)
            writeCommand(writer, { kind: 'header', name: field.name, value })
            this.#await('header')
          }
          break
        }
        case 'eoh':
          this.#next = 'body'
          if (terms.wants('eoh')) this.#plain(writer, 'eoh')
          break
        case 'body':
          if (terms.wants('body')) return 'piece'
          this.#next = 'eom'
          break
        case 'eom':
          this.#next = 'nothing'
          this.#macros(writer, 'eom')
          writeCommand(writer, { kind: 'eom', chunk: NO_BYTES })
          this.#expect('eom')
          break
        default:
          return 'done'
      }
    }
  }

  /** The piece that `advance` wanted; `null` behind the last. */
  piece(chunk: Buffer | null, writer: PacketWriter): void {
    if (chunk === null) this.#next = 'eom'
    else if (chunk.length > 0) {
      writeCommand(writer, { kind: 'body', chunk })
      this.#await('body')
    }
  }

  /** The reply that `advance` wanted. A promise when an edit must be stored first. */
  reply(reply: Reply): void | Promise<void> {
    const { filter, terms, edits, refused } = this.#options
    const place = this.#asked!
    if (neededAction(reply.kind) !== 0 && place === 'eom') return edits.take(reply)
    this.#owed[place]--
    this.#owes--
    if (place === 'body' && reply.kind === 'skip') {
      if (!terms.maySkip) throw hostError('MILTER_PROTOCOL', filter, place, 'SKIP was not negotiated')
      this.#next = 'eom'
      return
    }
    this.verdict = verdictOf(reply, filter, place, refused)
    if (this.verdict.kind === 'continue') return
    this.#next = 'nothing'
    this.#torn = this.#owes > 0 || this.#more
    this.#owes = 0
  }

  /** What the next reply is an answer to. */
  get #asked(): (typeof ANSWERED)[number] | null {
    if (this.#owes === 0) return null
    return ANSWERED.find(place => this.#owed[place] > 0)!
  }

  get #mustWait(): boolean {
    if (this.#owes === 0) return false
    return !this.#options.pipelining || this.#owes >= MOST_OWED || this.#next === 'eom' || this.#next === 'nothing'
  }

  #plain(writer: PacketWriter, kind: 'data' | 'eoh'): void {
    this.#macros(writer, kind)
    writeCommand(writer, { kind })
    this.#await(kind)
  }

  #macros(writer: PacketWriter, stage: 'data' | 'eoh' | 'eom'): void {
    const { choice, macros, terms } = this.#options
    const chosen = choice.of(stage, macros, terms)
    if (chosen.length > 0) writeCommand(writer, { kind: 'macros', for: stageOnWire[stage].letter, macros: chosen })
  }

  #await(place: 'data' | 'header' | 'eoh' | 'body'): void {
    if (this.#options.terms.answers(place)) this.#expect(place)
    else this.#more = true
  }

  #expect(place: (typeof ANSWERED)[number]): void {
    this.#owed[place]++
    this.#owes++
    this.#more = false
  }
}

/** In the order of the wire. */
const ANSWERED = ['data', 'header', 'eoh', 'body', 'eom'] as const
const NO_BYTES = Buffer.alloc(0)

/** Runs a machine over a channel to its end. Rejects with what went wrong; then the channel is not to be used again. */
export function converse(
  channel: Channel,
  machine: ContentMachine,
  body: Body,
  writer: PacketWriter,
): Promise<Verdict> {
  return new Promise((resolve, reject) => new Pump(channel, machine, piecesOf(body), writer, resolve, reject).run())
}

/** Goes on in the very call that brings a reply: a promise for each of the many replies would cost more than the rest. */
class Pump implements Waiter<Reply> {
  readonly #channel: Channel
  readonly #machine: ContentMachine
  readonly #pieces: Pieces
  readonly #writer: PacketWriter
  readonly #done: (verdict: Verdict) => void
  readonly #failed: (error: unknown) => void

  constructor(
    channel: Channel,
    machine: ContentMachine,
    pieces: Pieces,
    writer: PacketWriter,
    done: (verdict: Verdict) => void,
    failed: (error: unknown) => void,
  ) {
    this.#channel = channel
    this.#machine = machine
    this.#pieces = pieces
    this.#writer = writer
    this.#done = done
    this.#failed = failed
  }

  readonly run = (): void => {
    try {
      while (this.#step());
    } catch (error) {
      this.reject(error)
    }
  }

  resolve(reply: Reply): void {
    try {
      if (this.#take(reply)) this.run()
    } catch (error) {
      this.reject(error)
    }
  }

  readonly reject = (error: unknown): void => {
    void this.#end(() => this.#failed(error))
  }

  /** One step; false when it has to wait, or is at the end. */
  #step(): boolean {
    const channel = this.#channel
    const machine = this.#machine
    const early = machine.owes ? channel.queued() : undefined
    if (early !== undefined) return this.#take(early)
    const want = machine.advance(this.#writer)
    channel.stage = machine.place
    if (want === 'done') {
      if (!machine.torn) channel.quiet()
      void this.#end(() => this.#done(machine.verdict))
      return false
    }
    if (want === 'piece') {
      const piece = this.#pieces.next()
      if (!(piece instanceof Promise)) return this.#feed(piece)
      piece
        .then(chunk => {
          this.#feed(chunk)
          this.run()
        })
        .catch(this.reject)
      return false
    }
    const room = this.#send()
    if (room !== undefined) {
      room.then(this.#sent, this.reject)
      return false
    }
    return want === 'room' || this.#receive()
  }

  #feed(piece: Buffer | null): true {
    this.#machine.piece(piece, this.#writer)
    return true
  }

  #send(): void | Promise<void> {
    const writer = this.#writer
    if (writer.length === 0) return
    const room = this.#channel.send(writer.take())
    if (this.#channel.idle) writer.reuse()
    return room
  }

  readonly #sent = (): void => {
    if (this.#channel.idle) this.#writer.reuse()
    this.run()
  }

  #receive(): boolean {
    const reply = this.#channel.receiveBy(this)
    return reply !== null && this.#take(reply)
  }

  #take(reply: Reply): boolean {
    const stored = this.#machine.reply(reply)
    if (stored === undefined) return true
    stored.then(this.run, this.reject)
    return false
  }

  async #end(tell: () => void): Promise<void> {
    try {
      await this.#pieces.close()
      tell()
    } catch (error) {
      this.#failed(error)
    }
  }
}

interface Pieces {
  next(): MaybePromise<Buffer | null>
  close(): MaybePromise<void>
}

/** The body in pieces that every milter takes, whatever the pieces of the store are. */
function piecesOf(body: Body): Pieces {
  const chunks = body.chunks()
  if (Symbol.asyncIterator in chunks) return asyncPieces(chunks[Symbol.asyncIterator]())
  const iterator = chunks[Symbol.iterator]()
  return {
    next() {
      const { done, value } = iterator.next()
      return done === true ? null : fitting(value)
    },
    close() {
      iterator.return?.()
    },
  }
}

function asyncPieces(iterator: AsyncIterator<Buffer>): Pieces {
  return {
    async next() {
      const { done, value } = await iterator.next()
      return done === true ? null : fitting(value)
    },
    async close() {
      await iterator.return?.()
    },
  }
}

/** A store that gave longer pieces would have libmilter drop the connection in the middle of a message. */
function fitting(piece: Buffer): Buffer {
  if (piece.length > bodyChunkSize)
    throw new RangeError(`a body piece of ${piece.length} bytes, ${bodyChunkSize} is the most`)
  return piece
}
