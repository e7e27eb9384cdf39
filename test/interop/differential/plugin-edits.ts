// Random calls of `event.edit`, as a plugin makes them, and as the script of a milter attached directly that means the same: changes
// first, then removals from the last one up, then what goes on top and to the end, then the envelope.

import type { EndEvent } from 'milterhost/plugin'
import type { Step } from '../harness/index.ts'
import { anyMail, fitting, type Mail } from './edit-scripts.ts'
import type { Chance } from './random.ts'

/** Text is latin1, one character a byte. */
export type Call =
  | { call: 'prependHeader' | 'appendHeader'; name: string; value: string }
  | { call: 'replaceHeader'; name: string; occurrence: number; value: string }
  | { call: 'removeHeader'; name: string; occurrence: number }
  | { call: 'replaceBody'; pieces: string[] }
  | { call: 'sender' | 'addRecipient' | 'removeRecipient'; address: string }

export interface CallCase {
  mail: Mail
  calls: Call[]
}

export function callCase(chance: Chance): CallCase {
  const mail = anyMail(chance)
  return { mail, calls: chance.some(1, 8, () => anyCall(chance, mail)) }
}

/** Throws if a header of the mail was not shown to the plugin. */
export function perform(event: EndEvent<unknown, unknown>, { mail, calls }: CallCase): void {
  const { edit } = event
  for (const call of possible(mail, calls)) {
    switch (call.call) {
      case 'prependHeader':
      case 'appendHeader':
        edit[call.call](call.name, bytes(call.value))
        break
      case 'replaceHeader':
      case 'removeHeader': {
        const field = event.headerAll(call.name)[call.occurrence - 1]
        if (field === undefined) throw new Error(`${call.name} ${call.occurrence} was not shown`)
        if (call.call === 'removeHeader') edit.removeHeader(field)
        else edit.replaceHeader(field, bytes(call.value))
        break
      }
      case 'replaceBody':
        edit.replaceBody(call.pieces.length === 1 ? bytes(call.pieces[0] ?? '') : iterate(call.pieces))
        break
      default:
        edit[call.call](call.address)
    }
  }
}

/** For a milter whose values carry their leading space. */
export function stepsOf({ mail, calls: all }: CallCase): Step[] {
  const calls = possible(mail, all)
  const fields = new Map<string, Extract<Call, { occurrence: number }>>()
  for (const call of calls) {
    if ('occurrence' in call) fields.set(`${call.name.toLowerCase()} ${call.occurrence}`, call)
  }
  const last = [...fields.values()].sort((a, b) => b.occurrence - a.occurrence)
  const sender = calls.findLast(({ call }) => call === 'sender')
  const body = calls.findLast(call => call.call === 'replaceBody')
  const steps: Step[] = []
  for (const call of last) {
    if (call.call === 'replaceHeader') steps.push(['m', call.occurrence, call.name, ` ${call.value}`])
  }
  for (const call of last) if (call.call === 'removeHeader') steps.push(['m', call.occurrence, call.name, ''])
  for (const call of calls) if (call.call === 'prependHeader') steps.push(['i', 0, call.name, ` ${call.value}`])
  for (const call of calls) if (call.call === 'appendHeader') steps.push(['i', 10_000, call.name, ` ${call.value}`])
  if (sender !== undefined && 'address' in sender) steps.push(['e', `<${sender.address}>`])
  for (const call of calls) {
    if (call.call === 'addRecipient') steps.push(['+', `<${call.address}>`])
    if (call.call === 'removeRecipient') steps.push(['-', `<${call.address}>`])
  }
  if (body !== undefined) steps.push(...body.pieces.map((piece): Step => ['b', piece]))
  return steps
}

const NAMES = ['X-One', 'X-Two', 'Subject', 'Authentication-Results', 'DKIM-Signature', 'To', 'Message-Id', 'Received']

/** Postfix drops the named ones before a milter sees them, Sendmail some that are empty. */
const DROPPED = /^(bcc|resent-bcc|content-length|return-path):|:\s*$/i
/** Sendmail takes these for the beginning of the body. */
const ENDING = /^(message|text):/i

interface Place {
  name: string
  occurrence: number
}

function shown(mail: Mail): Place[] {
  const counts = new Map<string, number>()
  const end = mail.headers.findIndex(line => ENDING.test(line))
  return mail.headers.slice(0, end === -1 ? undefined : end).flatMap(line => {
    const name = line.slice(0, line.indexOf(':'))
    const occurrence = (counts.get(name.toLowerCase()) ?? 0) + 1
    counts.set(name.toLowerCase(), occurrence)
    return DROPPED.test(line) ? [] : [{ name, occurrence }]
  })
}

/** Without calls for fields that a case lost when it was made smaller. */
function possible(mail: Mail, calls: readonly Call[]): Call[] {
  const places = new Set(shown(mail).map(({ name, occurrence }) => `${name} ${occurrence}`))
  return calls.filter(call => !('occurrence' in call) || places.has(`${call.name} ${call.occurrence}`))
}

function anyCall(chance: Chance, mail: Mail): Call {
  const present = shown(mail)
  const addresses = ['b@example.net', 'c@example.net', 'new@example.com']
  const name = chance.of(...NAMES)
  const kind = chance.below(8)
  if (kind <= 2 && present.length > 0) {
    const field = chance.of(...present)
    return kind === 0
      ? { call: 'removeHeader', ...field }
      : { call: 'replaceHeader', ...field, value: fitting(field.name, anyValue(chance)) }
  }
  switch (kind) {
    case 3:
      return { call: 'appendHeader', name, value: fitting(name, anyValue(chance)) }
    case 4:
      return { call: 'sender', address: chance.of('', 's@example.org') }
    case 5:
      return { call: chance.of('addRecipient', 'removeRecipient'), address: chance.of(...addresses) }
    case 6:
      return {
        call: 'replaceBody',
        pieces: chance.of(
          ['new\r\n'],
          [''],
          ['bare\nlines\n', 'no end'],
          ['cut\r', '\n.dot\r\n'],
          ['x'.repeat(70_000)],
        ),
      }
    default:
      return { call: 'prependHeader', name, value: fitting(name, anyValue(chance)) }
  }
}

const anyValue = (chance: Chance): string =>
  chance.of('w', 'two words', 'd\n e', 'd\n\te\n f', '\xc3\xa9\xff', 'trailing ', '100%', 'z'.repeat(200))

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')

async function* iterate(pieces: readonly string[]): AsyncGenerator<Buffer> {
  for (const piece of pieces) yield bytes(piece)
}
