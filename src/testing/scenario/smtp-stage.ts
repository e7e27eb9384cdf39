/**
 * The stage that a real MTA gives: a scenario is played as its SMTP client, and judged by replies and by the mail that arrives.
 *
 * An MTA shows less than the chain: no filter's answer, no decision, a discard as a 250. Who the client is can be chosen only
 * where the MTA takes Postfix's XCLIENT from here; a scenario that needs more is refused by name. Time is real.
 */
import { randomUUID } from 'node:crypto'
import type { TestClient } from '../conversation.ts'
import type { DeliveredMessage } from '../delivery.ts'
import type { Answer, Content, Scenario, ScenarioStage, Seen, StageConnection } from './scenario.ts'
import { type SmtpAnswer, SmtpDialogue } from './smtp-dialogue.ts'

export interface SmtpStageOptions {
  /** @default '127.0.0.1' */
  readonly host?: string
  readonly port: number
  /** Which one it is; scenarios for the other are refused. */
  readonly mta?: 'postfix' | 'sendmail'
  /** It takes XCLIENT from here (`smtpd_authorized_xclient_hosts`). @default false */
  readonly xclient?: boolean
  /** The longest WAIT that is waited, in milliseconds; a scenario with a longer one is refused. @default 60_000 */
  readonly longest?: number
  /**
   * The message with that Message-ID as it was delivered: waits a while for it, `null` when it does not come. Without it nothing is
   * said of delivered messages.
   */
  readonly arrived?: (messageId: string) => Promise<DeliveredMessage | null>
  /** Whether `arrived` knows envelopes. @default false */
  readonly envelopes?: boolean
}

/** A stage for each scenario: connections are its own. */
export const smtpStage = (options: SmtpStageOptions): ScenarioStage => new SmtpStage(options)

const LONGEST = 60_000

class SmtpStage implements ScenarioStage {
  readonly still = false
  readonly #options: SmtpStageOptions
  readonly #open: SmtpConnection[] = []

  constructor(options: SmtpStageOptions) {
    this.#options = options
  }

  refuses({ clock, dns, mta, steps }: Scenario): string | null {
    const { longest = LONGEST, xclient = false, mta: own } = this.#options
    if (mta !== null && own !== undefined && mta !== own) return `it is for ${mta}`
    if (clock !== null) return "the MTA's clock cannot be set"
    if (dns !== null) return "the MTA's DNS cannot be set"
    for (const step of steps) {
      if (step.kind === 'wait' && step.milliseconds > longest) return `it waits ${step.milliseconds / 1_000} s`
      if (step.kind === 'macros') return 'it gives macros of its own'
      if (step.kind !== 'connect') continue
      const { macros, tls, port, ...client } = step.client
      if (tls !== undefined) return 'TLS is not spoken'
      if (macros !== undefined || port !== undefined) return 'macros and port of the client cannot be chosen'
      if (!xclient && Object.keys(client).length > 0) return 'who the client is cannot be chosen'
    }
    return null
  }

  async open(client: TestClient): Promise<StageConnection> {
    const { host = '127.0.0.1', port } = this.#options
    const connection = new SmtpConnection(await SmtpDialogue.open(host, port), client, this.#options)
    this.#open.push(connection)
    return connection
  }

  wait(milliseconds: number): Promise<void> {
    return new Promise(resolve => setTimeout(resolve, milliseconds))
  }

  async close(): Promise<void> {
    for (const connection of this.#open) await connection.disconnect()
  }
}

class SmtpConnection implements StageConnection {
  readonly #dialogue: SmtpDialogue
  readonly #client: TestClient
  readonly #options: SmtpStageOptions
  /** The last message got a 250 at its end, and may arrive. */
  #accepted: boolean | null = null
  #message: DeliveredMessage | null | undefined
  #messageId = ''

  constructor(dialogue: SmtpDialogue, client: TestClient, options: SmtpStageOptions) {
    this.#dialogue = dialogue
    this.#client = client
    this.#options = options
  }

  async connect(): Promise<Answer> {
    const banner = answerOf(await this.#dialogue.read())
    const { address, hostname, auth } = this.#client
    if (banner.kind !== 'continue' || (address ?? hostname ?? auth) === undefined) return banner
    const name = hostname === null ? '[UNAVAILABLE]' : (hostname ?? 'client.example.net')
    const six = address?.includes(':') ? 'IPV6:' : ''
    const login = auth === undefined ? '' : ` LOGIN=${auth.user}`
    return answerOf(await this.#dialogue.say(`XCLIENT ADDR=${six}${address ?? '192.0.2.1'} NAME=${name}${login}`))
  }

  async helo(name: string): Promise<Answer> {
    return answerOf(await this.#dialogue.say(`EHLO ${name}`))
  }

  async mail(address: string, args: readonly string[]): Promise<Answer> {
    this.#accepted = null
    this.#message = undefined
    return answerOf(await this.#dialogue.say([`MAIL FROM:<${address}>`, ...args].join(' ')))
  }

  async rcpt(address: string, args: readonly string[]): Promise<Answer> {
    return answerOf(await this.#dialogue.say([`RCPT TO:<${address}>`, ...args].join(' ')))
  }

  async data(): Promise<Answer> {
    return answerOf(await this.#dialogue.say('DATA'))
  }

  async message({ headers, body }: Content): Promise<Answer> {
    const given = headers.find(([name]) => name.toLowerCase() === 'message-id')?.[1].trim()
    this.#messageId = given ?? `<${randomUUID()}@scenario.invalid>`
    const added = given === undefined ? [`Message-ID: ${this.#messageId}`] : []
    const fields = [...headers.map(([name, value]) => `${name}: ${value}`), ...added]
    const lines = [...fields, '', body].join('\n').replace(/\r?\n/g, '\r\n').replace(/^\./gm, '..')
    const answer = answerOf(await this.#dialogue.say(`${lines.replace(/\r\n$/, '')}\r\n.`))
    this.#accepted = answer.kind === 'continue'
    return answer
  }

  async reset(): Promise<void> {
    await this.#dialogue.say('RSET')
  }

  async quit(): Promise<void> {
    await this.#dialogue.say('QUIT').catch(() => {})
    this.#dialogue.destroy()
  }

  async disconnect(): Promise<void> {
    this.#dialogue.destroy()
  }

  async seen(message: boolean): Promise<Seen> {
    const { arrived, envelopes = false } = this.#options
    if (!message || arrived === undefined || this.#accepted === null) return {}
    if (!this.#accepted) return { message: null }
    this.#message ??= await arrived(this.#messageId)
    return { message: this.#message, envelope: envelopes }
  }
}

/** The enhanced code stands in front of each line, where there is one. */
function answerOf({ code, lines }: SmtpAnswer): Answer {
  if (code < 400) return { kind: 'continue', reply: null }
  const status = /^[245]\.\d{1,3}\.\d{1,3}(?= |$)/.exec(lines[0] ?? '')?.[0] ?? null
  const bare = lines.map(line =>
    status !== null && line.startsWith(status) ? line.slice(status.length).trimStart() : line,
  )
  return { kind: code < 500 ? 'tempfail' : 'reject', reply: { code, enhanced: status, lines: bare } }
}
