/**
 * One SMTP conversation with a chain, in this process and without an MTA: what `try` plays.
 *
 * The session is the one that real connections use; here stands in for the MTA who tells it the commands, and writes
 * down what each filter answered and what the client would have been told.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { closeFilters, createFilters, type Surroundings } from '../daemon/generation.ts'
import { type ByteString, bytesOf, encodeText } from '../host/bytes.ts'
import type { ChainFilter } from '../host/chain/member.ts'
import type { Configuration } from '../host/config/validate.ts'
import type { Client, Path } from '../host/events.ts'
import type { Filter } from '../host/filter.ts'
import { createSpool } from '../host/message/spool.ts'
import type { HostEvent } from '../host/observe/event.ts'
import { Session } from '../host/session.ts'
import type { HoldKeeper } from '../host/time/holds.ts'
import { isFinal, type Verdict } from '../host/verdict.ts'
import { type MessageFile, storedMessage } from './message-file.ts'

export interface Envelope {
  readonly client: Client
  readonly helo: string
  readonly from: string
  readonly to: readonly string[]
  /** Name of the authenticated user. */
  readonly auth: string | null
  /** TLS version, e.g. `TLSv1.3`; none without TLS. */
  readonly tls?: string | null
  /** Further macros, told at connect. */
  readonly macros?: ReadonlyMap<string, string>
}

export interface Step {
  /** As a client would say it. */
  readonly command: ByteString
  readonly stage: 'connect' | 'helo' | 'mail' | 'rcpt' | 'data' | 'message'
  readonly verdict: Verdict
  /** What happened meanwhile. */
  readonly events: readonly HostEvent[]
}

export interface Played {
  readonly steps: readonly Step[]
  readonly settled: Extract<HostEvent, { readonly type: 'message-settled' }> | null
  /** As the MTA would have it; `null` when it is not kept. */
  readonly result: Pick<MessageFile, 'headers' | 'body'> | null
}

/** A hold counts as waited: there is no client, and nobody wants to watch the time pass. */
const NOBODY_WAITS: HoldKeeper = { hold: async () => 'waited', isFirst: () => true }

const QUEUE_ID = 'TRY0000001'
const CHUNK = 65_535

export async function play(
  configuration: Configuration,
  envelope: Envelope,
  message: MessageFile,
  around: Surroundings,
  make: (configuration: Configuration, around: Surroundings) => Promise<ChainFilter[]> = createFilters,
): Promise<Played> {
  const directory = mkdtempSync(join(tmpdir(), 'milterhost-try-'))
  const { settings } = configuration
  const spool = createSpool({ ...settings.spool, directory, limit: settings.limits.body })
  const filters = await make(configuration, around)
  try {
    const seen: HostEvent[] = []
    const { clock, log } = around
    const observe = (event: HostEvent): void => void seen.push(event)
    const session = new Session({
      id: 'try',
      filters,
      settings,
      clock,
      log,
      spool,
      holds: NOBODY_WAITS,
      watch: null,
      observe,
    })
    const player = new Player(session, seen, filters)
    await player.play(envelope, message)
    const settled = player.settled
    const result = settled?.result ? await storedMessage(settled.result) : null
    session.close({ kind: 'mta-abort', detail: 'the conversation is over' })
    return { steps: player.steps, settled, result }
  } finally {
    await closeFilters(filters, around)
    await spool.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

class Player {
  readonly steps: Step[] = []
  settled: Played['settled'] = null
  readonly #session: Session
  readonly #seen: HostEvent[]
  readonly #filters: ReadonlyMap<string, Filter>

  constructor(session: Session, seen: HostEvent[], filters: readonly ChainFilter[]) {
    this.#session = session
    this.#seen = seen
    this.#filters = new Map(filters.map(({ filter, policy }) => [policy.name, filter]))
  }

  async play(envelope: Envelope, message: MessageFile): Promise<void> {
    const session = this.#session
    const { client, helo, from, to, auth } = envelope
    session.macros.set('connect', new Map([...this.#connectMacros(client), ...(envelope.macros ?? [])]))
    if (await this.#step('connect', `CONNECT ${client.hostname} ${client.address}`, session.connect(client))) return
    if (envelope.tls) session.macros.set('helo', new Map([['tls_version', envelope.tls]]))
    if (await this.#step('helo', `EHLO ${encodeText(helo)}`, session.helo(encodeText(helo)))) return
    const sender = pathOf(from)
    session.macros.set('mail', this.#mailMacros(sender, auth))
    if (await this.#step('mail', `MAIL FROM:${sender.raw}`, session.mail(sender))) return
    let accepted = 0
    for (const recipient of to.map(pathOf)) {
      session.macros.set('rcpt', new Map([['rcpt_addr', recipient.raw.slice(1, -1)]]))
      const refused = await this.#step('rcpt', `RCPT TO:${recipient.raw}`, session.rcpt(recipient, null))
      if (!refused) accepted += 1
    }
    if (accepted === 0) return session.abort()
    if (await this.#step('data', 'DATA', session.data())) return
    if (this.settled === null) await this.#content(message)
  }

  async #content({ headers, body }: MessageFile): Promise<void> {
    const session = this.#session
    for (const { name, value } of headers) session.header(name, value)
    session.endOfHeaders()
    const bytes = bytesOf(body)
    for (let at = 0; at < bytes.length; at += CHUNK) await session.body(bytes.subarray(at, at + CHUNK))
    const size = headers.reduce((sum, { name, value }) => sum + name.length + value.length + 3, bytes.length)
    const end = session.endOfMessage().then(({ verdict }) => verdict)
    await this.#step('message', `(message of ${size} bytes)`, end)
  }

  /** True when the client is refused, or would be told that all is well while the message is gone. */
  async #step(stage: Step['stage'], command: ByteString, answer: Verdict | Promise<Verdict>): Promise<boolean> {
    const verdict = await answer
    const events = this.#seen.splice(0).filter(event => !this.#isIdle(event))
    this.steps.push({ command, stage, verdict, events })
    for (const event of events) if (event.type === 'message-settled') this.settled = event
    return isFinal(verdict)
  }

  /** A filter that has no part in this stage answers all the same. */
  #isIdle(event: HostEvent): boolean {
    if (event.type !== 'filter-answered' || event.stage === 'message' || event.verdict.kind !== 'continue') return false
    return this.#filters.get(event.filter)?.needs()?.events.has(event.stage) === false
  }

  #connectMacros({ hostname: name, address }: Client): Map<string, ByteString> {
    return new Map([
      ['j', hostname()],
      ['daemon_name', 'milterhost-try'],
      ['_', `${name} [${address}]`],
      ['client_addr', address],
      ['client_name', name],
    ])
  }

  #mailMacros({ raw }: Path, auth: string | null): Map<string, ByteString> {
    const macros = new Map([
      ['i', QUEUE_ID],
      ['mail_addr', raw.slice(1, -1)],
    ])
    if (auth !== null) macros.set('auth_authen', encodeText(auth)).set('auth_type', 'PLAIN')
    return macros
  }
}

/** Takes an address with or without brackets; nothing is the null sender. */
const pathOf = (address: string): Path => ({
  raw: encodeText(address.startsWith('<') ? address : `<${address}>`),
  args: [],
})
