/**
 * An external milter of the configuration: the `Filter` of a socket, shared by all sessions of its generation.
 *
 * It opens and negotiates connections for its sessions and remembers what the milter wanted the last time, so that a later
 * session connects only when an event concerns it and the MTA is asked for no more than is needed. It never connects
 * without negotiating and saying QUIT: a bare connect makes some milters log an error, and a check must not.
 */
import { type HostError, hostError } from '../../host/errors.ts'
import type { Filter, FilterContext, FilterHealth, FilterReport, FilterSession, Needs } from '../../host/filter.ts'
import type { Lease } from '../../host/kept.ts'
import type { HeaderRules } from '../../host/message/edit.ts'
import type { Observer } from '../../host/observe/event.ts'
import type { Logger } from '../../host/observe/logger.ts'
import { Entry } from '../../host/roster.ts'
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
import type { HealthChange, Keeper, Launch, Prober } from './health/keeper.ts'
import type { Places } from './health/places.ts'
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
  readonly pipelining: boolean
  /** Milliseconds for connecting and negotiating. */
  readonly connectTimeout: number
  /** Bytes of a replacement body, and edits, of one message. */
  readonly limits: { readonly body: number; readonly edits: number }
  readonly clock: Clock
  readonly log: Logger
  readonly observe: Observer
  /** Milliseconds for the answer to a probe. */
  readonly patience: number
  /** Milliseconds between probes of a milter that nobody speaks to; `null`: none. */
  readonly interval: number | null
  /** Most connections at once; `null`: as many as there are. */
  readonly concurrency: number | null
  readonly launch: Launch | null
  /** Shared by all filters of this address, over reloads. */
  readonly keeper: Lease<Keeper>
}

const QUIT = encodeCommand({ kind: 'quit' })
const READ_BUFFER = 64 * 1024
/** Kept for the next message; each may hold one or two body packets. */
const SPARE_WRITERS = 16
/** What a reply packet carries beside its payload, at most. */
const PACKET_OVERHEAD = 16

export class SocketFilter implements Filter, Milter, Prober {
  readonly name: string
  readonly kind = 'socket'
  readonly headerRules: HeaderRules
  readonly choice: MacroChoice
  readonly pipelining: boolean
  readonly editLimit: number
  readonly keeper: Keeper
  readonly places: Places | null
  readonly interval: number | null
  readonly launch: Launch | null
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
    this.pipelining = options.pipelining
    this.editLimit = options.limits.edits
    this.keeper = options.keeper.value
    this.places = options.concurrency === null ? null : this.keeper.places(options.concurrency)
    this.interval = options.interval
    this.launch = options.launch
    this.#options = options
    this.#offer = offerToMilter(options.version, allActions, allProtocol)
    this.#offerPacket = encodeCommand({ kind: 'negotiate', ...this.#offer })
    this.keeper.join(this)
  }

  needs(): Needs | null {
    return this.#needs
  }

  open(context: FilterContext): FilterSession {
    return new SocketSession(this, context)
  }

  health(): FilterHealth {
    return this.keeper.health
  }

  restart(): Promise<void> {
    return this.keeper.restart(this.name)
  }

  meet(signal: AbortSignal): Promise<Met> {
    const refusal = this.keeper.refusal(this.name)
    if (refusal !== null) return Promise.reject(refusal)
    return this.places === null ? this.#connect(signal) : this.#connectInTurn(this.places, signal)
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

  /**
   * Negotiates once, to know what the milter wants before the first mail. A failure is logged; the first session tries again. A milter that a
   * condition may never choose gets no connection for that, unless its process is to be started, which takes longer than a message can wait.
   */
  async learn(signal: AbortSignal, isForAll = true): Promise<void> {
    this.keeper.serve(this)
    if (!isForAll && this.launch === null) return
    try {
      await this.ask(AbortSignal.any([signal, this.#closing.signal]))
      this.keeper.found(null)
    } catch (error) {
      this.keeper.found(error)
    }
  }

  /** Only for a milter that nobody has asked before: what others use, or what ended while they did, is looked after already. */
  async ready(): Promise<void> {
    if (this.launch === null || this.health().state !== 'unknown') return
    this.keeper.serve(this)
    await this.keeper.met()
  }

  async ask(signal: AbortSignal): Promise<void> {
    const { channel } = await this.#connect(signal, this.#options.patience)
    channel.leave(QUIT)
  }

  changed({ state, reason, was, milliseconds }: HealthChange): void {
    const { observe } = this.#options
    observe({
      type: 'health-changed',
      session: '',
      message: null,
      filter: this.name,
      state,
      reason,
      was,
      milliseconds,
    })
  }

  complain(error: Error): void {
    this.#options.log.warn({ error }, `the process of an external milter did not end cleanly: ${error.message}`)
  }

  async probe(signal: AbortSignal): Promise<FilterReport> {
    const { channel, terms } = await this.#connect(signal)
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
    this.keeper.part(this)
    await this.#options.keeper.release()
  }

  async #connectInTurn(places: Places, signal: AbortSignal): Promise<Met> {
    await places.take(signal, () => interrupted(this.name, 'waiting for a connection', signal))
    let met: Met
    try {
      met = await this.#connect(signal)
    } catch (error) {
      places.free()
      throw error
    }
    const free = (): void => places.free()
    met.channel.onClosed = free
    if (!met.channel.usable) places.free()
    return met
  }

  /** A connected and negotiated channel; rejects with a coded error, in time. */
  #connect(signal: AbortSignal, limit = this.#options.connectTimeout): Promise<Met> {
    const { name, address, limits, clock } = this.#options
    const { opening } = this.keeper
    return new Promise((resolve, reject) => {
      let channel: Channel | null = null
      const over = (): void => {
        cancelTimer()
        opening.leave(entry)
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
      const onAbort = (): void => giveUp(interrupted(name, 'connecting', signal))
      const hangUp = dial(
        {
          filter: name,
          address,
          readBuffer: this.#readBuffer,
          limits: { maxBodyReplacement: limits.body + PACKET_OVERHEAD },
          pulse: this.keeper,
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
      const cancelTimer = clock.after(limit, () =>
        giveUp(hostError('MILTER_CONNECT_TIMEOUT', name, where, limit / 1000)),
      )
      const entry = new Entry(giveUp)
      opening.enter(entry)
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
    if (GIVEN_UP.has(error.code ?? '')) return error as HostError
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

/** What ended the wait for an agreement from our side. */
const GIVEN_UP: ReadonlySet<string> = new Set(['INTERRUPTED', 'MILTER_CONNECT_TIMEOUT', 'MILTER_DOWN'])

function interrupted(filter: string, stage: string, { reason }: AbortSignal): HostError {
  const { detail, kind } = (reason ?? {}) as { readonly detail?: string; readonly kind?: string }
  return hostError('INTERRUPTED', filter, stage, detail || kind || 'aborted')
}

const sameNegotiation = (one: Negotiation, other: Negotiation): boolean =>
  one.version === other.version &&
  one.actions === other.actions &&
  one.protocol === other.protocol &&
  one.symbols.length === other.symbols.length &&
  one.symbols.every(({ stage, names }, i) => other.symbols[i]!.stage === stage && other.symbols[i]!.names === names)
