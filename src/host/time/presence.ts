/**
 * One SMTP client whom somebody may keep waiting: which TCP connection it is, since when it waits, whether it was ever seen.
 *
 * A session has one for its whole life, so that waiting costs no allocation; the shared watch (`watch.ts`) reads and writes it.
 * Which connection it is follows from what the MTA told at connect: the client from CONNECT itself, the MTA's own end from
 * macros or, where the postmaster named it, from `mta.addresses`. What cannot be told apart from others is not watched.
 */
import type { ByteString } from '../bytes.ts'
import type { Client } from '../events.ts'
import type { Macros } from '../macros.ts'
import { Entry } from '../roster.ts'
import type { Endpoint, SmtpConnection } from './liveness.ts'

export class Presence {
  /** Monotonic milliseconds of when the present wait began. */
  since = 0
  /** Looked at from now on, without waiting whether the answer comes soon. */
  urgent = false
  /** A look has asked for it since `since`. */
  asked = false
  /** See `LivenessQuestion`. */
  seen: string | null = null
  /** Some look found bytes of the client that the MTA had not read; `null` until a look could tell. */
  unread: boolean | null = null
  /** Among those that wait. */
  readonly entry: Entry<Presence> = new Entry(this)
  /** Called by the watch when the client is gone. */
  readonly left: () => void
  readonly #find: () => SmtpConnection | null
  #connection: SmtpConnection | null | undefined

  constructor(find: () => SmtpConnection | null, left: () => void) {
    this.#find = find
    this.left = left
  }

  /** `null` when nobody can tell which it is. */
  get connection(): SmtpConnection | null {
    if (this.#connection === undefined) this.#connection = this.#find()
    return this.#connection
  }
}

/** `addresses`: `mta.addresses`, which stand for what the MTA tells of itself. */
export function smtpConnection(
  client: Client | null,
  macros: Macros,
  addresses: readonly Endpoint[],
): SmtpConnection | null {
  // Postfix gives port 0 for mail that did not come by SMTP, and for a client that an XCLIENT named without its port.
  if (client === null || client.port === 0 || (client.family !== 'inet' && client.family !== 'inet6')) return null
  const servers = addresses.length > 0 ? addresses : ownEnd(macros)
  return servers.length === 0 ? null : { client: { address: client.address, port: client.port }, servers }
}

function ownEnd(macros: Macros): readonly Endpoint[] {
  const told = macros.at('connect')
  const port = Number(told.get('daemon_port') ?? 0)
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return []
  // Sendmail's {daemon_addr} is what it listens on, often every address; {if_addr} is where this connection came in.
  return [{ address: plain(told.get('if_addr')) || plain(told.get('daemon_addr')), port }]
}

function plain(address: ByteString = ''): string {
  const bare = address.replace(/^IPv6:/i, '').replace(/^\[(.*)\]$/, '$1')
  return /^(?:0\.0\.0\.0|[0:]+)$/.test(bare) ? '' : bare
}
