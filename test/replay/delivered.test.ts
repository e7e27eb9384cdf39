/**
 * The edits of a captured milter, as milterhost tells them, against what the captured MTA delivered: applied to the message as
 * that MTA sent it, they give the same header in the same order, the same body and the same envelope.
 *
 * Only what needs no model of an MTA is understood here: additions on top and at the end, changes and removals by number. A
 * single milter's batch never needs more, and anything else fails.
 */
import { expect, test } from 'vitest'
import type { Capture } from '../captures/read.ts'
import { type Packet, strings } from '../interop/harness/index.ts'
import { captures, hostOfCaptured, type Replayed, replay } from './chains.ts'
import { type Conversation, conversationsOf, editsIn, LEADING_SPACE, verdictIn } from './conversation.ts'
import { deliberate, misbehaving } from './misbehaving.ts'

interface Message {
  /** 'Name:value' without the white space around the value; the MTA's own line as 'Received'. */
  headers: string[]
  /** Lines end with LF. */
  body: string
  sender: string
  recipients: string[]
}

const RECEIVED = 'Received'
const bare = (path: string): string => path.replace(/^<|>$/g, '')
const field = (name: string, value: string): string => `${name}:${value.trim()}`
const nameOf = (header: string): string => header.slice(0, header.indexOf(':')).toLowerCase()

function delivered({ delivered: lines }: Capture): Message[] {
  const messages: Message[] = []
  for (const line of lines) {
    const envelope = /^envelope (\S+).* -> (.*)$/.exec(line)
    const last = messages.at(-1)
    if (envelope !== null) {
      // Postfix quotes what it takes for a strange local part.
      const recipients = envelope[2]!.split(', ').map(each => bare(each.split(' ')[0]!.replaceAll('"', '')))
      messages.push({ headers: [], body: '', sender: bare(envelope[1]!), recipients })
    } else if (last !== undefined) last.body += `${line.replace(/^\| ?/, '')}\n`
  }
  return messages.map(message => {
    const end = message.body.indexOf('\n\n')
    const headers = message.body
      .slice(0, end)
      .split(/\n(?![ \t])/)
      .map(line => field(line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)))
      .map(header => (/^Received:from \S+ .*by mx\.rig\.example/s.test(header) ? RECEIVED : header))
    // The lines were split at each LF, so the last one is empty.
    return { ...message, headers, body: message.body.slice(end + 2, -1) }
  })
}

/** Each message that was kept, as the MTA sent it and with what milterhost told the MTA at its end. */
function kept({ conversation, played }: Replayed): { sent: Message; edits: Packet[]; verbatim: boolean }[] {
  const all: { sent: Message; edits: Packet[]; verbatim: boolean }[] = []
  let sent: Message = { headers: [], body: '', sender: '', recipients: [] }
  for (const { turn, packets } of played.answered) {
    const [first = '', second = ''] = strings(turn.data)
    const said = verdictIn(packets)?.command ?? 'c'
    if (turn.command === 'M') sent = { headers: [RECEIVED], body: '', sender: bare(first), recipients: [] }
    if (turn.command === 'R' && said === 'c' && !refused(turn.macros)) sent.recipients.push(bare(first))
    if (turn.command === 'L') sent.headers.push(field(first, second))
    if (turn.command === 'B') sent.body += turn.data.toString('latin1').replaceAll('\r\n', '\n')
    const verbatim = (played.agreed.protocol & LEADING_SPACE) !== 0
    if (turn.command === 'E' && said === 'c') all.push({ sent, edits: editsIn(packets), verbatim })
  }
  return conversation.turns.some(({ command }) => command === 'E') ? all : []
}

/** The MTA itself refuses this recipient, and tells only those who asked for it. */
const refused = (macros: readonly Buffer[]): boolean =>
  macros.some(packet => packet.toString('latin1').includes('{rcpt_mailer}\0error\0'))

function edited(message: Message, edits: readonly Packet[], verbatim: boolean): Message {
  const { headers, recipients } = message
  let { body, sender } = message
  const pieces = edits.filter(({ command }) => command === 'b').map(({ data }) => data.toString('latin1'))
  if (pieces.length > 0) body = pieces.join('').replaceAll('\r\n', '\n')
  for (const { command, data } of edits) {
    const counted = command === 'i' || command === 'm'
    const index = counted ? data.readUInt32BE(0) : 0
    const [first = '', second = ''] = strings(counted ? data.subarray(4) : data)
    if (verbatim && counted && second !== '') expect(second).toMatch(/^ \S/)
    if (command === 'i' && index === 0) headers.unshift(field(first, second))
    else if (command === 'h' || (command === 'i' && index > headers.length)) headers.push(field(first, second))
    else if (command === 'm') {
      const same = headers.flatMap((header, at) => (nameOf(header) === first.toLowerCase() ? [at] : []))
      const at = same[index - 1]
      expect(at, `${first} ${index}`).toBeDefined()
      headers.splice(at!, 1, ...(second === '' ? [] : [field(first, second)]))
    } else if (command === '+' || command === '2') recipients.push(bare(first))
    else if (command === '-') recipients.splice(recipients.indexOf(bare(first)), 1)
    else if (command === 'e') sender = bare(first)
    else expect(command).toBe('b')
  }
  return { headers, body, sender, recipients }
}

/** What the MTA writes itself is left out: of headers only those that filters know of are compared. Long bodies were cut. */
function comparable(message: Message, known: Message, { body: captured }: Message): Message {
  const names = new Set(known.headers.map(nameOf))
  const headers = message.headers.filter(header => names.has(nameOf(header)))
  const cut = captured.search(/\n\.\.\. \d+ bytes in all\n?$/)
  const body = cut < 0 ? message.body : message.body.slice(0, cut)
  return { ...message, body, headers, recipients: [...message.recipients].sort() }
}

const wasSentWhole = ({ turns }: Conversation): boolean =>
  turns.every(({ completed, replies }) => !completed && verdictIn(replies)?.command !== 's')

const comparableCaptures = captures.filter(
  capture =>
    misbehaving[capture.scenario] === undefined &&
    deliberate[capture.scenario] === undefined &&
    delivered(capture).length > 0 &&
    conversationsOf(capture).every(wasSentWhole) &&
    conversationsOf(capture).some(({ turns }) => turns.some(({ command }) => command === 'E')),
)

test.for(comparableCaptures)('$name: comes out as that MTA delivered it', async capture => {
  const { host, conversations, stop } = await hostOfCaptured(capture)
  const messages = (await replay(host, conversations)).flatMap(kept)
  const results = messages.map(({ sent, edits, verbatim }) => edited(sent, edits, verbatim))
  const expected = delivered(capture)
  expect(expected).toHaveLength(results.length)
  for (const [at, result] of results.entries())
    expect(comparable(result, result, expected[at]!)).toEqual(comparable(expected[at]!, result, expected[at]!))
  await stop()
})

test('enough captures hold a delivery to compare with', () => {
  expect(comparableCaptures.length).toBeGreaterThan(40)
})
