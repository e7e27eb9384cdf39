/**
 * What an MTA must be told when a captured conversation is replayed against milterhost: the one definition of "the same
 * verdicts".
 *
 * milterhost stores a message before its filters see it. So a verdict that the captured milter gave on a header, at the end
 * of headers or on the body comes at the end of the message. `accept` is one filter's, and the MTA goes on with the others: it
 * becomes "continue", and "accept" at DATA once nobody is left who wants the content. All else is the same to the byte.
 */
import { type Packet, strings } from '../interop/harness/frames.ts'
import { type Conversation, editsIn, LEADING_SPACE, type Negotiation, verdictIn } from './conversation.ts'

const CONTINUE: Packet = { command: 'c', data: Buffer.alloc(0) }
const ACCEPT: Packet = { command: 'a', data: Buffer.alloc(0) }

/** For each turn of a conversation, the verdict that answers it if it is answered at all. */
export type Verdicts = readonly Packet[]

/** Nobody filters: the content is not wanted. */
export const nobodysVerdicts = ({ turns }: Conversation): Verdicts =>
  turns.map(({ command }) => (command === 'T' ? ACCEPT : CONTINUE))

/** A filter that has no opinion. */
export const noOpinion = ({ turns }: Conversation): Verdicts => turns.map(() => CONTINUE)

/** The captured milter's verdicts as milterhost tells them. */
export function capturedVerdicts({ turns }: Conversation): Verdicts {
  let connectionAccepted = false
  let messageAccepted = false
  let content: Packet | null = null
  return turns.map(({ command, replies }) => {
    const said = verdictIn(replies) ?? CONTINUE
    if (command === 'M' || command === 'H') {
      messageAccepted = false
      content = null
    }
    const accepts = said.command === 'a'
    const ends = 'rtyd'.includes(said.command)
    switch (command) {
      case 'C':
      case 'H':
        connectionAccepted ||= accepts
        return ends && said.command !== 'd' ? said : CONTINUE
      case 'U':
        return ends && said.command !== 'd' ? said : CONTINUE
      case 'M':
      case 'R':
        messageAccepted ||= accepts
        return ends ? said : CONTINUE
      case 'T':
        messageAccepted ||= accepts
        // An MTA that knows no DATA hears it at the end of the message.
        if (ends) content = said
        else if (connectionAccepted || messageAccepted) return ACCEPT
        return ends ? said : CONTINUE
      case 'E': {
        const verdict: Packet = content ?? (ends ? said : CONTINUE)
        content = null
        return verdict
      }
      default:
        if (ends || accepts) content ??= accepts ? CONTINUE : said
        return CONTINUE
    }
  })
}

/** Edits in words that do not depend on how they were put: `+Name:value` for a new header, wherever it was asked for. */
export function meaningOf(packets: readonly Packet[], { protocol }: Negotiation, headers: readonly string[]): string[] {
  const verbatim = (protocol & LEADING_SPACE) !== 0
  const meaning: string[] = []
  let body: Buffer[] | null = null
  for (const { command, data } of editsIn(packets)) {
    const counted = command === 'i' || command === 'm'
    const [first = '', second = ''] = strings(counted ? data.subarray(4) : data)
    const value = verbatim || second === '' ? second : ` ${second}`
    switch (command) {
      case 'h':
      case 'i':
        meaning.push(`+${first}:${value}`)
        break
      case 'm': {
        const index = Math.max(1, data.readUInt32BE(0))
        const exists = headers.filter(name => name.toLowerCase() === first.toLowerCase()).length >= index
        if (second === '') meaning.push(`-${first}[${index}]`)
        else meaning.push(exists ? `${first}[${index}]:${value}` : `+${first}:${value}`)
        break
      }
      case 'b':
        body ??= []
        body.push(data)
        break
      case 'q':
        meaning.push(`quarantine ${first}`)
        break
      case 'e':
        meaning.push(`sender ${bare(first)} ${second}`)
        break
      case '-':
        meaning.push(`not to ${bare(first)}`)
        break
      default:
        meaning.push(`to ${bare(first)} ${second}`)
    }
  }
  if (body !== null) meaning.push(`body ${Buffer.concat(body).toString('latin1')}`)
  return meaning.sort()
}

const bare = (address: string): string => address.replace(/^<|>$/g, '')
