/**
 * An external milter of the configuration: the `Filter` of a socket, shared by all sessions of its generation.
 *
 * It opens and negotiates connections for its sessions and remembers what the milter wanted the last time, so that a later
 * session connects only when an event concerns it and the MTA is asked for no more than is needed. It never connects
 * without negotiating and saying QUIT: a bare connect makes some milters log an error, and a check must not.
 */
import { type HostError, hostError } from '../../host/errors.ts'
import type { Filter, FilterContext, FilterReport, FilterSession, Needs } from '../../host/filter.ts'
import type { HeaderRules } from '../../host/message/edit.ts'
import type { Logger } from '../../host/observe/logger.ts'
import type { Clock } from '../../host/time/clock.ts'
import {
  acceptAnswer,
  actionNames,
  allActions,
  allProtocol,
  encodeCommand,
  formatSocketAddress,
  type Negotiation,
  offerToMilter,
  PacketWriter,
  protocolNames,
  replyLetter,
  replyName,
  type SocketAddress,
} from '../wire/index.ts'
import type { Channel } from './channel.ts'
import { dial } from './dial.ts'
import type { MacroChoice } from './macro-choice.ts'
import { type Met, type Milter, SocketSession } from './socket-session.ts'
import { Terms } from './terms.ts'

export interface SocketFilterOptions {
  readonly name: string
  readonly address: SocketAddress
  /** The protocol version that is offered. */
  readonly version: 2 | 3 | 4 | 6
  readonly headerRules: HeaderRules
  readonly choice: MacroChoice
  /** Milliseconds for connecting and negotiating. */
  readonly connectTimeout: number
  /** Bytes of a replacement body, and edits, of one message. */
  readonly limits: { readonly body: number; readonly edits: number }
  readonly clock: Clock
  readonly log: Logger
}

const QUIT = encodeCommand({ kind: 'quit' })
const READ_BUFFER = 64 * 1024
/** Kept for the next message; each may hold one or two body packets. */
const SPARE_WRITERS = 16
/** What a reply packet carries beside its payload, at most. */
const PACKET_OVERHEAD = 16

export class SocketFilter implements Filter, Milter {
  readonly name: string
  readonly kind = 'socket'
  readonly headerRules: HeaderRules
  readonly choice: MacroChoice
  readonly editLimit: number
  readonly #options: SocketFilterOptions
  readonly #offer: Negotiation
  readonly #offerPacket: Buffer
  readonly #readBuffer: Buffer = Buffer.allocUnsafeSlow(READ_BUFFER)
  readonly #closing = new AbortController()
  readonly #writers: PacketWriter[] = []
  #answer: Negotiation | null = null
  #terms: Terms | null = null
  #needs: Needs | null = null

  constructor(options: SocketFilterOptions) {
    this.name = options.name
    this.headerRules = options.headerRules
    this.choice = options.choice
    this.editLimit = options.limits.edits
    this.#options = options
    this.#offer = offerToMilter(options.version, allActions, allProtocol)
    this.#offerPacket = encodeCommand({ kind: 'negotiate', ...this.#offer })
  }

  needs(): Needs | null {
    return this.#needs
  }

  open(context: FilterContext): FilterSession {
    return new SocketSession(this, context)
  }

  meet(signal: AbortSignal): Promise<Met> {
    return this.#connect(signal)
  }

  async withWriter<T>(use: (writer: PacketWriter) => Promise<T>): Promise<T> {
    const writer = this.#writers.pop() ?? new PacketWriter()
    try {
      return await use(writer)
    } finally {
      writer.clear()
      if (this.#writers.length < SPARE_WRITERS) this.#writers.push(writer)
    }
  }

  /** Negotiates once, to know what the milter wants before the first mail. A failure is logged; the first session tries again. */
  async learn(signal: AbortSignal): Promise<void> {
    try {
      const { channel } = await this.meet(AbortSignal.any([signal, this.#closing.signal]))
      channel.leave(QUIT)
    } catch (error) {
      const { code, message } = error as { readonly code?: string; readonly message: string }
      this.#options.log.warn({ code, detail: message }, 'external milter not met yet')
    }
  }

  async probe(signal: AbortSignal): Promise<FilterReport> {
    const { channel, terms } = await this.meet(signal)
    channel.leave(QUIT)
    const facts = new Map<string, string>([
      ['address', formatSocketAddress(this.#options.address, 'sendmail')],
      ['protocol version', String(terms.version)],
      ['actions', actionNames(terms.actions)],
      ['protocol flags', protocolNames(terms.protocol)],
    ])
    const { events, macros } = this.#needs!
    for (const [stage, names] of macros) facts.set(`macros at ${stage}`, names.join(' '))
    if (terms.notes.length > 0) facts.set('notes', terms.notes.join('; '))
    return { events: [...events], mayEdit: terms.edits, facts }
  }

  async close(): Promise<void> {
    this.#closing.abort()
  }

  /** A connected and negotiated channel; rejects with a coded error, in time. */
  #connect(signal: AbortSignal): Promise<Met> {
    const { name, address, limits, connectTimeout, clock } = this.#options
    return new Promise((resolve, reject) => {
      let channel: Channel | null = null
      const over = (): void => {
        cancelTimer()
        signal.removeEventListener('abort', onAbort)
      }
      const refuse = (error: Error): void => {
        over()
        reject(error)
      }
      const giveUp = (error: HostError): void => {
        if (channel === null) hangUp()
        else channel.fail(error)
        refuse(error)
      }
      const onAbort = (): void => {
        const { detail, kind } = (signal.reason ?? {}) as { readonly detail?: string; readonly kind?: string }
        giveUp(hostError('INTERRUPTED', name, 'connecting', detail || kind || 'aborted'))
      }
      const hangUp = dial(
        {
          filter: name,
          address,
          readBuffer: this.#readBuffer,
          limits: { maxBodyReplacement: limits.body + PACKET_OVERHEAD },
        },
        (error, opened) => {
          if (opened === null) return refuse(error)
          channel = opened
          this.#negotiate(opened).then(terms => {
            over()
            resolve({ channel: opened, terms })
          }, refuse)
        },
      )
      const where = formatSocketAddress(address, 'sendmail')
      const cancelTimer = clock.after(connectTimeout, () =>
        giveUp(hostError('MILTER_CONNECT_TIMEOUT', name, where, connectTimeout / 1000)),
      )
      signal.addEventListener('abort', onAbort, { once: true })
      if (signal.aborted) onAbort()
    })
  }

  async #negotiate(channel: Channel): Promise<Terms> {
    try {
      await channel.send(this.#offerPacket)
      const reply = await channel.receive()
      channel.quiet()
      if (reply.kind !== 'negotiate') {
        throw new Error(`it answered the offer with ${replyName(replyLetter(reply.kind))}`)
      }
      return this.#agreed(reply)
    } catch (error) {
      throw this.#noAgreement(error as Error & { readonly code?: string }, channel)
    }
  }

  #noAgreement(error: Error & { readonly code?: string }, channel: Channel): HostError {
    const coded = this.#coded(error)
    channel.fail(coded)
    return coded
  }

  #coded(error: Error & { readonly code?: string }): HostError {
    if (error.code === 'INTERRUPTED' || error.code === 'MILTER_CONNECT_TIMEOUT') return error as HostError
    if (error.code !== 'MILTER_CLOSED') {
      return hostError('MILTER_NEGOTIATION', this.name, error.message)
    }
    // To close is the only refusal there is, and the milter does not say what it disliked.
    const { version, actions, protocol } = this.#offer
    const offered = `version ${version}, actions ${actionNames(actions)}, protocol ${protocolNames(protocol)}`
    const what = `it closed the connection over the offer (${offered}); it may speak an older version: try version: 2`
    return hostError('MILTER_NEGOTIATION', this.name, what)
  }

  /** The same object for the same answer: a milter is met thousands of times. */
  #agreed(answer: Negotiation): Terms {
    if (this.#terms !== null && this.#answer !== null && sameNegotiation(this.#answer, answer)) return this.#terms
    const terms = new Terms(acceptAnswer(this.#offer, answer))
    this.#answer = answer
    this.#terms = terms
    this.#needs = terms.needs(this.choice.further)
    this.#options.log.debug({ agreed: terms.text, notes: terms.notes }, 'external milter negotiated')
    return terms
  }
}

const sameNegotiation = (one: Negotiation, other: Negotiation): boolean =>
  one.version === other.version &&
  one.actions === other.actions &&
  one.protocol === other.protocol &&
  one.symbols.length === other.symbols.length &&
  one.symbols.every(({ stage, names }, i) => other.symbols[i]!.stage === stage && other.symbols[i]!.names === names)
