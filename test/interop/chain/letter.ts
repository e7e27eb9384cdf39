// Messages for the tests, and what of a delivered one must be as it was sent.

import { strings } from '../harness/frames.ts'
import { type Delivery, type Milter, mtaClient } from '../harness/index.ts'

/** A message that OpenDKIM signs, with nothing that an MTA would have to add or repair. */
export function letter(subject: string, body = 'Hello\r\n', further: readonly string[] = []): string {
  return [
    'From: Alice <alice@example.com>',
    'To: Bob <bob@example.net>',
    `Subject: ${subject}`,
    'Date: Tue, 24 Nov 1998 01:00:00 +0000',
    `Message-ID: <${Buffer.from(subject, 'latin1').toString('hex')}@example.com>`,
    ...further,
    '',
    body,
  ].join('\r\n')
}

export interface Arrived {
  /** Fields as 'Name: value', folds kept. */
  headers: string[]
  body: string
  /** Values of the fields of that name. */
  all(name: string): string[]
}

export function arrived({ raw }: Pick<Delivery, 'raw'>): Arrived {
  const text = raw.toString('latin1')
  const end = text.indexOf('\r\n\r\n')
  const headers = text.slice(0, end).split(/\r\n(?![ \t])/)
  return {
    headers,
    body: text.slice(end + 4),
    all: name =>
      headers
        .filter(field => field.toLowerCase().startsWith(`${name.toLowerCase()}:`))
        .map(field => field.slice(name.length + 1).trim()),
  }
}

/** The delivery of the message with this subject. */
export function bySubject(deliveries: readonly Delivery[], subject: string): Delivery {
  const found = deliveries.filter(delivery => arrived(delivery).all('Subject')[0] === subject)
  if (found.length !== 1) throw new Error(`"${subject}" was delivered ${found.length} times`)
  return found[0]!
}

/** What OpenDKIM's verifier says of a message as it was delivered: 'pass', 'fail', …; one word for each signature. */
export async function dkimOf(verifier: Milter, { raw }: Pick<Delivery, 'raw'>): Promise<string[]> {
  const client = await mtaClient(verifier.address)
  await client.negotiate()
  await client.connect()
  const { edits } = await client.message({ from: '<alice@example.com>', to: ['<bob@example.net>'], raw })
  await client.quit()
  return edits
    .flatMap(({ data }) => strings(data.subarray(4)))
    .flatMap(text => [...text.matchAll(/\bdkim=(\w+)/g)].map(match => match[1]!))
}
