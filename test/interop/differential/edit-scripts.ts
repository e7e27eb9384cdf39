// Random messages, and random scripts of edits for them, as lines of SMTP and as packets of a milter: what milters do, what they
// should not do, and what hits the corners of how an MTA counts.
//
// Left out, since milterhost does not pass them on: header values with a CR, or with an LF that no white space follows (both MTAs write a
// broken header), and names that are none. Left out, since Postfix itself cannot: anything between two pieces of a new body. Left out, since
// Sendmail reads it in two ways: a list of addresses with blanks for commas ("two words"). Which way depends on whether an address that
// a milter added or removed had angle brackets (EF_OLDSTYLE), and milterhost always writes them. And on Sendmail, since milterhost tells it only what became of a recipient:
// parameters for one that was removed before, of which Sendmail mixes the old with the new.

import type { Step } from '../harness/index.ts'
import type { Kind } from './attachments.ts'
import type { Chance } from './random.ts'

export interface Mail {
  /** With its parameters, as in MAIL FROM. */
  from: string
  to: string[]
  /** Header lines with their folds, without the last CRLF each. */
  headers: string[]
  body: string
}

export interface EditCase {
  mail: Mail
  /** What each milter does at the end of the message, without the verdict. */
  scripts: Step[][]
}

// biome-ignore format: a list
const NAMES = [
  'X-One', 'X-One', 'X-One', 'x-one', 'X-Two', 'X-Two', 'Subject', 'From', 'To', 'Cc', 'Date', 'Message-Id', 'Message-ID',
  'Received', 'Return-Path', 'Resent-Date', 'Resent-From', 'Resent-Message-Id', 'Full-Name', 'Reply-To', 'Comments',
  'DKIM-Signature', 'Authentication-Results', 'MIME-Version', 'Content-Type', 'Sender', 'Errors-To', 'Precedence',
  'Bcc', 'Resent-To', 'Resent-Bcc', 'Apparently-To', 'Return-Receipt-To', 'Posted-Date', 'Via', 'Mail-From', 'X400-Received',
  'Content-Length', 'Content-Transfer-Encoding', 'Priority', 'Importance', 'Status', 'Message', 'Text', 'SUBJECT', 'from', 'date',
]
const ADDRESSES = ['b@example.net', 'c@example.net', 'd@example.com', 'New@Example.com', 'e.f+g@example.net']
const ADDRESS_LISTS =
  /^(to|cc|from|sender|reply-to|resent-from|errors-to|bcc|resent-to|resent-bcc|apparently-to|return-receipt-to)$/i
const RECIPIENT_PARAMETERS = ['NOTIFY=NEVER', 'NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;o@example.org']
const YEAR = 'Mon, 1 Jan 1990 00:00:00 +0000'

/** `leadingSpace`: of each milter, whether its values carry their leading space. */
export function editCase(chance: Chance, kind: Kind, leadingSpace: readonly boolean[]): EditCase {
  const mail = anyMail(chance)
  return { mail, scripts: leadingSpace.map(space => anyScript(chance, { mail, kind, space })) }
}

export const contentOf = ({ headers, body }: Mail): string =>
  `${headers.map(line => `${line}\r\n`).join('')}\r\n${body}`

export function anyMail(chance: Chance): Mail {
  const headers: string[] = []
  const proper = ['From: A <a@example.com>', 'To: b@example.net', `Date: ${YEAR}`, 'Message-Id: <m@example.com>']
  // Each of those that the MTA would add is missing now and then.
  for (const line of proper) if (!chance.oneIn(4)) headers.push(line)
  for (const line of chance.some(0, 6, () => anyHeader(chance)))
    headers.splice(chance.below(headers.length + 1), 0, line)
  return {
    from: chance.of('a@example.com', 'a@example.com', '', 'a@example.com BODY=8BITMIME'),
    to: chance.of(
      ['b@example.net'],
      ['b@example.net', 'c@example.net'],
      ['b@example.net', 'd@example.com', 'c@example.net'],
      ['b@example.net', 'c@example.net', 'b@example.net'],
    ),
    headers,
    body: chance.of(
      '',
      'One\r\n',
      'One\r\n\r\n.dot\r\n..dots\r\nlast\r\n',
      '\r\n\r\nTwo\r\n',
      'caf\xe9 \xff\r\n',
      `${'x'.repeat(900)}\r\n`,
    ),
  }
}

function anyHeader(chance: Chance): string {
  const name = chance.of(...NAMES)
  const value = chance.of(
    ' v',
    ' v',
    'no',
    '  two',
    '\ttab',
    '',
    ' ',
    ' trailing  ',
    ' a\r\n b\r\n\tc',
    '\r\n folded',
    ' \xc3\xa9\xff',
    ` ${'y'.repeat(300)}`,
    ` ${YEAR}`,
    ' <r@example.com>',
  )
  return `${name}:${fitting(name, value)}`
}

export const fitting = (name: string, value: string): string =>
  ADDRESS_LISTS.test(name) ? value.replaceAll(/(?<=\S)(?=\s+\S)/g, ',') : value

interface Situation {
  mail: Mail
  kind: Kind
  space: boolean
}

function anyScript(chance: Chance, situation: Situation): Step[] {
  const steps: Step[][] = chance.some(1, 7, () => anyEdit(chance, situation))
  if (chance.oneIn(3)) steps.splice(chance.below(steps.length + 1), 0, newBody(chance))
  return steps.flat()
}

function anyEdit(chance: Chance, { mail, kind, space }: Situation): Step[] {
  const present = mail.headers.map(line => line.slice(0, line.indexOf(':')))
  const name = chance.oneIn(2) && present.length > 0 ? chance.of(...present) : chance.of(...NAMES)
  const value = (): string => fitting(name, anyValue(chance, space))
  const occurrence = chance.of(0, 1, 1, 1, 2, 2, 3, 4, 9, 10_000)
  const index = chance.of(0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 20, 1000, 0x7fffffff)
  const address = (among: readonly string[] = ADDRESSES): string =>
    chance.oneIn(2) ? chance.of(...among) : `<${chance.of(...among)}>`
  switch (chance.below(14)) {
    case 0:
    case 1:
      return [['h', name, value()]]
    case 2:
    case 3:
    case 4:
      return [['i', index, name, value()]]
    case 5:
    case 6:
      return [['m', occurrence, name, value()]]
    case 7:
      return [['m', occurrence, name, '']]
    case 8: {
      // All of a name, in the ways milters go about it.
      const order = chance.of([1, 2, 3], [3, 2, 1], [1, 1, 1], [2, 1], [1, 2])
      return order.map((n): Step => ['m', n, name, ''])
    }
    case 9:
      return [
        ['m', occurrence, name, ''],
        ['m', occurrence, name, value()],
      ]
    case 10:
      return [['+', address()]]
    case 11:
      return [['-', address(kind === 'sendmail' ? ADDRESSES.slice(0, 3) : ADDRESSES)]]
    case 12:
      if (chance.oneIn(2)) return [['2', address()]]
      return [['2', address(kind === 'sendmail' ? ADDRESSES.slice(3) : ADDRESSES), chance.of(...RECIPIENT_PARAMETERS)]]
    default:
      return [
        chance.oneIn(2)
          ? ['e', chance.of('<>', '<s@example.org>', 's@example.org')]
          : ['e', '<s@example.org>', chance.of('RET=HDRS', 'ENVID=abc RET=FULL')],
      ]
  }
}

function anyValue(chance: Chance, leadingSpace: boolean): string {
  const value = chance.of(
    'w',
    'w',
    'two words',
    ' spaced',
    'd\n e',
    'd\n\te\n f',
    '\xc3\xa9\xff',
    '\ttab',
    'trailing ',
    '100%',
    `${'z'.repeat(200)}`,
    `${YEAR}`,
    '<w@example.com>',
    '',
  )
  return leadingSpace && !chance.oneIn(4) ? ` ${value}` : value || 'w'
}

function newBody(chance: Chance): Step[] {
  return chance
    .of<string[]>(
      ['new\r\n'],
      [''],
      ['bare\nline feeds\n'],
      ['no end'],
      ['cut \r', '\nhere\r\n'],
      ['one\r\n', '', 'two'],
      ['.dot\r\n..\r\n'],
      ['\r\n\r\n'],
      ['\xe9\xff\r\n'],
      ['x'.repeat(65_535), `${'y'.repeat(70)}\r\n`],
    )
    .map((chunk): Step => ['b', chunk])
}
