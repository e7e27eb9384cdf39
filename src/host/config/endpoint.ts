/**
 * Where an MTA takes SMTP connections, as the postmaster writes it in `mta.addresses`: `'192.0.2.1:25'`, `'[2001:db8::1]:25'`,
 * `'*:25'` for any address, or the port alone as a number.
 *
 * Numeric addresses only: what is compared with them comes from a kernel's table.
 */
import type { Endpoint } from '../time/liveness.ts'
import { shown } from './problem.ts'

const SHAPE = /^(?:\[([0-9a-f:.]+)\]|([\d.]+)|\*):(\d{1,5})$/i
const IPV4 = /^(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}$/

/** Throws a `RangeError` whose message completes "‹option› …". */
export function parseEndpoint(value: unknown): Endpoint {
  const match = SHAPE.exec(typeof value === 'number' ? `*:${value}` : typeof value === 'string' ? value.trim() : '')
  const [, six = '', four = '', digits = '0'] = match ?? []
  const port = Number(digits)
  const numeric = (four === '' || IPV4.test(four)) && (six === '' || URL.canParse(`http://[${six}]/`))
  if (match === null || !numeric || port < 1 || port > 65_535)
    throw new RangeError(
      `must be an address and port such as "192.0.2.1:25", "[2001:db8::1]:25", "*:25" or 25, not ${shown(value)}`,
    )
  return { address: six || four, port }
}
