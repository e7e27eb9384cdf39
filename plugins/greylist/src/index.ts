/**
 * milter-plugin-greylist: asks unknown and suspicious clients to come back, and remembers who did.
 *
 * Here is the joint to the host alone: options, store, hooks, and what other plugins may use (`ladder.ts`). What is decided is in
 * `engine.ts`. What always holds: all recipients of a transaction get the same answer.
 */
import { createHash } from 'node:crypto'
import {
  type Address,
  type Answer,
  type DataEvent,
  definePlugin,
  type EndEvent,
  type Hooks,
  type Host,
  type Logger,
  type Plugin,
  type RcptEvent,
  type SettledEvent,
} from 'milterhost/plugin'
import { type ConnectionState, Engine, type Ruling } from './engine.ts'
import { LADDER, makeLadder } from './ladder.ts'
import type { GreylistOptions } from './options.ts'
import { type Options, optionsSchema } from './read-options.ts'
import { decisionRecord, headerText, replies, Tally } from './report.ts'
import { openLocal, openStore, type StoreSurroundings } from './store-choice.ts'
import { StoreDown, StoreGuard } from './store-guard.ts'
import { DKIM, EARLY_TALKER, isListed, SPF, TARPIT, type Transaction } from './transaction.ts'

export type { Ladder, Who } from './ladder.ts'
export type { Attempt, BypassOptions, EmbeddedChoice, GreylistOptions, RedisChoice, SuspectOptions } from './options.ts'

interface Connection extends ConnectionState {
  helo: string | null
}

interface Message {
  ruling: Ruling | null
  /** Recipients that have been noted with it. */
  noted: number
  /** Domains our own users write to. */
  readonly outbound: Set<string>
}

type At = 'rcpt' | 'data' | 'eom'

/** What an event has from RCPT on. */
type MessageEvent = RcptEvent<Connection, Message> | DataEvent<Connection, Message> | EndEvent<Connection, Message>

/** Milliseconds between two writings of the numbers that are kept. */
const TALLY_EVERY = 10_000

/** The body's beginning, as far as it tells one message from another. Bytes. */
const BODY_BEGINNING = 10_240

class Greylist {
  readonly #options: Options
  readonly #host: Host
  readonly #engine: Engine
  readonly #guard: StoreGuard
  readonly #tally = new Tally()
  readonly #reply: ReturnType<typeof replies>
  readonly #answers: ReturnType<Host['counter']>
  readonly #underway = new Set<Promise<void>>()

  constructor(host: Host, options: Options) {
    this.#host = host
    this.#options = options
    this.#reply = replies(options)
    this.#answers = host.counter('answers_total', 'Answers, by verdict and by the rule that decided')
    const failures = host.counter('store_failures_total', 'Calls of the store that failed')
    const around: StoreSurroundings = {
      now: () => host.clock.now(),
      problem: (fields, message) => {
        failures.add()
        host.log.warn(fields, message)
      },
      environment: process.env,
    }
    // What is only tried out must teach nothing to those who serve.
    const store = openStore(host.rehearsal ? { ...options, store: { kind: 'embedded', path: null } } : options, around)
    const local = options.onStoreError === 'local' && !host.rehearsal ? openLocal(options, around) : null
    this.#guard = new StoreGuard({
      store,
      local,
      limit: options.limits.storeTime,
      now: around.now,
      problem: around.problem,
      note: (fields, message) => host.log.info(fields, message),
    })
    this.#engine = new Engine({ options, guard: this.#guard, dns: host.dns, now: around.now })
    const timer = setInterval(() => void this.#keepNumbers(), TALLY_EVERY).unref()
    host.onClose(async () => {
      clearInterval(timer)
      await Promise.all(this.#underway)
      await this.#keepNumbers()
      await this.#guard.close()
    })
    host.health('store', signal => store.probe(signal))
    host.provide(
      LADDER,
      makeLadder({
        engine: this.#engine,
        guard: this.#guard,
        note: (fields, message) => host.log.info(fields, message),
        passes: options.known.suspicious,
        fallbackWait: Math.ceil(options.wait.suspicious / 1000),
      }),
    )
  }

  hooks(): Hooks<Connection, Message> {
    const { at, header } = this.#options
    return {
      helo: event => {
        event.connection.helo = event.name
      },
      rcpt: event => this.#rcpt(event),
      ...(at === 'rcpt' || at === 'eom' ? {} : { data: (event: DataEvent<Connection, Message>) => this.#data(event) }),
      ...(at === 'eom' || header !== null ? { end: (event: EndEvent<Connection, Message>) => this.#end(event) } : {}),
      settled: event => this.#settled(event),
    }
  }

  /** A bounce waits at DATA: servers that check a sender by beginning a bounce to it go no further than RCPT. */
  #at(sender: Address): At {
    return this.#options.at ?? (sender.isNull ? 'data' : 'rcpt')
  }

  async #rcpt(event: RcptEvent<Connection, Message>): Promise<Answer> {
    const { message, recipient, sender, signal } = event
    if (this.#options.learnOutbound && recipient.domain !== '' && this.#isOurs(event))
      message.outbound.add(recipient.domain)
    if (this.#at(sender) !== 'rcpt') return undefined
    const { bypass, traps } = this.#options
    // A trap is often one address of a domain that wants no delay.
    const trap = isListed(traps.recipients, recipient)
    if (!trap && isListed(bypass.recipients, recipient)) return undefined
    const { ruling } = message
    if (ruling === null || trap) return this.#decide(event, [recipient])
    if (ruling.verdict === 'pass') return undefined
    if (message.noted++ < this.#options.limits.perTransaction)
      await this.#engine.note(ruling, sender, [recipient], signal)
    return this.#reply(ruling)
  }

  #data(event: DataEvent<Connection, Message>): Promise<Answer> | undefined {
    return this.#at(event.sender) === 'data' ? this.#decide(event, event.recipients) : undefined
  }

  async #end(event: EndEvent<Connection, Message>): Promise<Answer> {
    const { header } = this.#options
    if (this.#at(event.sender) === 'eom') {
      const answer = await this.#decide(event, event.recipients, () => bodyDigest(event))
      if (answer !== undefined) return answer
    }
    if (header === null) return undefined
    // A header of this name that came with the message says nothing.
    for (const forged of event.headerAll(header)) event.edit.removeHeader(forged)
    const { ruling } = event.message
    if (ruling !== null) event.edit.prependHeader(header, headerText(ruling))
    return undefined
  }

  #settled(event: SettledEvent<Connection, Message>): void {
    const { message, outcome, log, sender } = event
    const { ruling, outbound } = message
    const { signal } = new AbortController()
    // The session may be closed before the store has answered: it need not wait for what only concerns later ones.
    if (outcome === 'reject' && ruling !== null && this.#options.demote)
      this.#later(this.#engine.demote(ruling, signal), log)
    const signed = event.result(DKIM)?.domains
    const waited = ruling?.verdict === 'pass' && ruling.question !== null && ruling.origin?.kind !== 'domain'
    if (outcome === 'accept' && waited && Array.isArray(signed))
      this.#later(
        this.#engine.learnSigned(
          sender,
          signed.filter(domain => typeof domain === 'string'),
          signal,
        ),
        log,
      )
    if (outcome === 'accept' && outbound.size > 0) this.#later(this.#engine.learnOutbound(outbound, signal), log)
  }

  #later(work: Promise<void>, log: Logger): void {
    const done = work
      .catch(error => log.error({ error: String(error) }, 'learning from how a message ended failed'))
      .finally(() => this.#underway.delete(done))
    this.#underway.add(done)
  }

  /** Mail of our own users and machines, going out. */
  #isOurs({ auth, client }: MessageEvent): boolean {
    const { local, networks } = this.#options.bypass
    return auth !== null || local.has(client.address) || networks.has(client.address)
  }

  async #decide(event: MessageEvent, recipients: readonly Address[], digest?: () => Promise<string>): Promise<Answer> {
    const { message, signal } = event
    const transaction = transactionOf(event, recipients)
    let ruling = await this.#engine.decide(transaction, event.connection, signal)
    if (digest !== undefined && ruling.verdict === 'defer')
      ruling = await this.#engine.secondChance(ruling, await digest(), signal)
    message.ruling = ruling
    message.noted = recipients.length
    this.#tally.add(ruling, this.#host.clock.now())
    this.#answers.add(1, { verdict: ruling.verdict, rule: ruling.rule })
    event.log.info(decisionRecord(ruling), ruling.verdict === 'pass' ? 'not greylisted' : 'greylisted')
    return ruling.verdict === 'pass' ? undefined : this.#reply(ruling)
  }

  async #keepNumbers(): Promise<void> {
    try {
      await this.#tally.give(amounts => this.#guard.run(store => store.count(amounts)))
    } catch (error) {
      // They are kept, and given with the next ones; the guard has told what is wrong with the store.
      if (!(error instanceof StoreDown)) throw error
    }
  }
}

function transactionOf(event: MessageEvent, recipients: readonly Address[]): Transaction {
  return {
    client: event.client,
    helo: event.connection.helo,
    auth: event.auth,
    sender: event.sender,
    recipients,
    macro: name => event.macro(name),
    spf: event.result(SPF) ?? null,
    early: event.result(EARLY_TALKER) === true,
    waited: event.result(TARPIT)?.state === 'waited',
  }
}

/** The same at each attempt to deliver a message, from whatever address: a provider's retry is known by it. */
async function bodyDigest(event: EndEvent<Connection, Message>): Promise<string> {
  const hash = createHash('sha256')
  const add = (text: string): unknown => hash.update(`${text.length}:${text}`)
  add(event.sender.address)
  for (const { address } of event.recipients) add(address)
  add(event.header('Subject')?.value ?? '')
  let left = BODY_BEGINNING
  for await (const chunk of event.body()) {
    hash.update(chunk.subarray(0, left))
    left -= chunk.length
    if (left <= 0) break
  }
  return hash.digest('base64url')
}

const greylist: Plugin<GreylistOptions> = definePlugin({
  name: 'greylist',
  version: '0.1.0',
  options: optionsSchema,
  connection: (): Connection => ({ helo: null, reasons: null }),
  message: (): Message => ({ ruling: null, noted: 0, outbound: new Set() }),
  setup: (host, options) => new Greylist(host, options).hooks(),
})

export default greylist
