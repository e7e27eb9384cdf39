// Runs edit cases through an MTA and gathers what comes out: bytes and envelope, with the MTA's own ids and dates masked.

import type { Delivery, Step } from '../harness/index.ts'
import { type Attachments, masked, type Settled } from './attachments.ts'
import { contentOf, type Mail } from './edit-scripts.ts'
import { clients, type Orders } from './ordered-milter.ts'
import { type Line, type SessionLog, session, together } from './session.ts'
import { smallest } from './shrink.ts'

/** What became of one message. */
export interface Result {
  /** Reply to the final dot, or the one that came instead. */
  reply: string
  /** Sender and recipients with their parameters; empty when nobody was to have it. */
  envelope: string[]
  text: string
}

/** Sends cases, several a session, to each way in. */
export class EditRuns<Way extends string> {
  readonly #at: Attachments<Way>
  readonly #clients = clients()

  constructor(at: Attachments<Way>) {
    this.#at = at
  }

  /** The results of each way, in the order of the cases. `assign` tells the filters what to do with the messages of a client. */
  async run<Case extends { mail: Mail }>(
    cases: readonly Case[],
    ways: readonly Way[],
    assign: (client: string, cases: readonly Case[]) => void,
  ): Promise<Result[][]> {
    const groups = Array.from({ length: Math.ceil(cases.length / SESSION) }, (_, index) =>
      cases.slice(index * SESSION, (index + 1) * SESSION),
    )
    const logs = await together(groups, SIDE_BY_SIDE, group => {
      const client = this.#clients.next().value
      assign(client, group)
      const lines: Line[] = ['EHLO client.example', ...group.flatMap(({ mail }) => linesOf(mail))]
      return Promise.all(ways.map(way => session(this.#at.port[way], client, lines)))
    })
    const settled = await this.#at.settled()
    return ways.map((_, way) => logs.flatMap(log => log[way]?.ended.map(ended => resultOf(ended, settled)) ?? []))
  }
}

/** Orders for a milter that sends each message's script at its end, and continues. */
export const scripted =
  (scripts: readonly (readonly Step[] | undefined)[]): Orders =>
  ({ at, message }) =>
    at === 'E' ? [...(scripts[message - 1] ?? []), 'c'] : undefined

/** What went wrong, as two records that a test compares: of each case that differs, made small, what should have come and what came. */
export interface Comparison {
  expected: Record<string, Result>
  received: Record<string, Result>
}

/** Compares pairs of what should come and what came; the first few that differ are made smaller with the help of `smaller`. */
export async function compare<Case>(
  title: string,
  cases: readonly Case[],
  run: (cases: readonly Case[]) => Promise<[expected: Result, received: Result][]>,
  smaller: (found: Case) => Case[],
): Promise<Comparison> {
  const comparison: Comparison = { expected: {}, received: {} }
  const pairs = await run(cases)
  // A comparison of what was refused or lost would find nothing.
  const delivered = pairs.filter(([{ text }]) => text !== '').length
  if (delivered < cases.length * 0.8) throw new Error(`only ${delivered} of ${cases.length} messages were delivered`)
  const wrong = cases.filter((_, index) => !same(pairs[index]))
  for (const found of wrong.slice(0, 2)) {
    const small = await smallest(found, smaller, async candidates => (await run(candidates)).map(pair => !same(pair)))
    const [[expected, received] = []] = await run([small])
    if (expected === undefined || received === undefined) continue
    const name = `${title}: ${wrong.length} of ${cases.length}, as in ${JSON.stringify(small)}`
    comparison.expected[name] = expected
    comparison.received[name] = received
  }
  return comparison
}

const same = (pair: [Result, Result] | undefined): boolean =>
  pair !== undefined && JSON.stringify(pair[0]) === JSON.stringify(pair[1])

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
    [`<${recipient}>`, ...argsOf(recipientArgs[index]), `from <${sender}>`, ...argsOf(senderArgs)].join(' '),
  )

/** Without the size, which differs where ids and dates have other lengths. */
const argsOf = (args = ''): string[] => args.split(' ').filter(arg => arg !== '' && !arg.startsWith('SIZE='))

const textOf = (out: Delivery[]): string =>
  [...new Set(out.map(({ raw }) => masked(raw.toString('latin1'))))].join('\n=== another ===\n')

/**
 * Postfix delivers twice to a recipient that a milter adds though it is there already, with the parameters of each. Behind
 * milterhost a recipient is there once. What is expected of it is one of the two.
 */
export function withoutDoubles(direct: Result, behind: Result): Result {
  const once = new Map<string, string>()
  for (const entry of direct.envelope) {
    const address = entry.slice(0, entry.indexOf('>'))
    if (!once.has(address) || behind.envelope.includes(entry)) once.set(address, entry)
  }
  return { ...direct, envelope: [...once.values()] }
}
