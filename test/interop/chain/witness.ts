// A plugin for tests of real mail: writes down what it is told of each message, stamps every message, and refuses whom it is told to.

import { createHash } from 'node:crypto'
import {
  type Auth,
  type Client,
  definePlugin,
  type FilterEntry,
  type Outcome,
  reject,
  type Tls,
} from 'milterhost/plugin'

export interface Seen {
  /** The host's id of the message, which is also its stamp. */
  id: string
  client: Client
  auth: Auth | null
  tls: Tls | null
  /** Paths as given, one character a byte. */
  sender: string
  recipients: string[]
  /** Each as 'Name:value', all bytes of the value. */
  headers: string[]
  /** SHA-256 of the body. */
  body: string
  outcome: Outcome | null
}

export interface Witness {
  entry: FilterEntry
  /** Messages in the order of their MAIL. */
  seen: Seen[]
  /** The message whose Subject this is. */
  find(subject: string): Seen | undefined
  of(subject: string): Seen
}

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')

export const sha256 = (bytes: Buffer | string): string =>
  createHash('sha256')
    .update(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
    .digest('hex')

/** Stamps with 'HEADER: message id, SHA-256 of the body as it saw it'. Refuses recipients of that local part. */
export function witness(header: string, refuses = 'nobody'): Witness {
  const seen: Seen[] = []
  const plugin = definePlugin({
    name: header.toLowerCase(),
    message: (): { notes: Seen | null } => ({ notes: null }),
    setup: () => ({
      mail(event) {
        event.message.notes = {
          id: event.id,
          client: { ...pick(event.client) },
          auth: event.auth,
          tls: event.tls,
          sender: latin1(event.sender.raw),
          recipients: [],
          headers: [],
          body: '',
          outcome: null,
        }
        seen.push(event.message.notes)
      },
      rcpt(event) {
        if (event.recipient.local === refuses) return reject('Not here', { enhanced: '5.1.1' })
        event.message.notes?.recipients.push(latin1(event.recipient.raw))
      },
      async end(event) {
        const hash = createHash('sha256')
        for await (const chunk of event.body()) hash.update(chunk)
        const body = hash.digest('hex')
        const headers = event.headers.map(({ name, raw }) => `${name}:${latin1(raw)}`)
        if (event.message.notes !== null) Object.assign(event.message.notes, { body, headers })
        event.edit.prependHeader(header, `${event.id} ${body}`)
      },
      settled(event) {
        if (event.message.notes !== null) event.message.notes.outcome = event.outcome
      },
    }),
  })
  const find = (subject: string): Seen | undefined =>
    seen.find(({ headers }) => headers.includes(`Subject: ${subject}`))
  return {
    entry: plugin(),
    seen,
    find,
    of(subject) {
      const found = find(subject)
      if (found === undefined) throw new Error(`${header} did not see "${subject}"`)
      return found
    },
  }
}

const pick = ({ address, port, hostname, verified }: Client): Client => ({ address, port, hostname, verified })
