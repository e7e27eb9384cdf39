// Runs edit cases through an MTA and gathers what comes out: bytes and envelope, with the MTA's own ids and dates masked.

import type { Delivery, Step } from '../harness/index.ts'
import { type Attachments, masked, type Settled } from './attachments.ts'
import { contentOf, type EditCase, type Mail } from './edit-scripts.ts'
import { clients, type OrderedMilter } from './ordered-milter.ts'
import { type Line, type SessionLog, session, together } from './session.ts'

/** What became of one message. */
export interface Result {
  /** Reply to the final dot, or the one that came instead. */
  reply: string
  /** Sender and recipients with their parameters; empty when nobody was to have it. */
  envelope: string[]
  text: string
}

/** Sends cases, several a session, to each way in; the milters do as the scripts say. */
export class EditRuns<Way extends string> {
  readonly #at: Attachments<Way>
  readonly #clients = clients()

  constructor(at: Attachments<Way>) {
    this.#at = at
  }

  /** The results of each way, in the order of the cases. `milters` are in the order of the scripts. */
  async run(cases: readonly EditCase[], milters: readonly OrderedMilter[], ways: readonly Way[]): Promise<Result[][]> {
    const groups = Array.from({ length: Math.ceil(cases.length / SESSION) }, (_, index) =>
      cases.slice(index * SESSION, (index + 1) * SESSION),
    )
    const logs = await together(groups, SIDE_BY_SIDE, group => this.#send(group, milters, ways))
    const settled = await this.#at.settled()
    return ways.map((_, way) => logs.flatMap(log => log[way]?.ended.map(ended => resultOf(ended, settled)) ?? []))
  }

  #send(cases: readonly EditCase[], milters: readonly OrderedMilter[], ways: readonly Way[]): Promise<SessionLog[]> {
    const client = this.#clients.next().value
    for (const [index, milter] of milters.entries()) {
      milter.order(client, ({ at, message }): Step[] | undefined =>
        at === 'E' ? [...(cases[message - 1]?.scripts[index] ?? []), 'c'] : undefined,
      )
    }
    const lines: Line[] = ['EHLO client.example', ...cases.flatMap(({ mail }) => linesOf(mail))]
    return Promise.all(ways.map(way => session(this.#at.port[way], client, lines)))
  }
}

/** Messages of one SMTP session, and sessions at once. */
const SESSION = 10
const SIDE_BY_SIDE = 4

function linesOf(mail: Mail): Line[] {
  const [from = '', ...parameters] = mail.from.split(' ')
  return [
    [`MAIL FROM:<${from}>`, ...parameters].join(' '),
    ...mail.to.map(to => `RCPT TO:<${to}>`),
    'DATA',
    { content: contentOf(mail) },
  ]
}

function resultOf({ reply, id }: SessionLog['ended'][number], { deliveries }: Settled): Result {
  const out = id === undefined ? [] : (deliveries.get(id) ?? [])
  return { reply: masked(reply), envelope: out.flatMap(envelopeOf).sort(), text: textOf(out) }
}

const envelopeOf = ({ sender, senderArgs, recipients, recipientArgs }: Delivery): string[] =>
  recipients.map((recipient, index) =>
    // The size differs where ids and dates have other lengths.
    `<${sender}> ${senderArgs.replace(/SIZE=\d+ ?/, '')} to <${recipient}> ${recipientArgs[index]}`.replaceAll(/ +/g, ' '),
  )

const textOf = (out: Delivery[]): string =>
  [...new Set(out.map(({ raw }) => masked(raw.toString('latin1'))))].join('\n=== another ===\n')
