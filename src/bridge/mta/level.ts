/**
 * Levels what Postfix and Sendmail say differently, so that a filter sees one spelling whichever MTA asks.
 *
 * Addresses of clients lose Sendmail's `IPv6:` and are written in canonical text (Sendmail sends `IPv6:0:0:0:0:0:0:0:1`,
 * Postfix `::1`). Paths always have angle brackets: Postfix's local submissions come without, the null sender as an empty
 * string. Nothing else is touched, and nothing is invented.
 */
import { isIPv6, SocketAddress } from 'node:net'
import type { ByteString } from '../../host/bytes.ts'
import type { Client, Path } from '../../host/events.ts'
import type { ConnectCommand, PathCommand } from '../wire/index.ts'

const prefix = /^IPv6:/i
const bracketed = /^\[(?:IPv6:)?([0-9a-f:.]+)\]$/i
const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i

export function levelClient({ family, address, port, host }: ConnectCommand): Client {
  const hostname = levelHostname(host)
  if (family === 'unknown' || family === 'unix') return { family, address, port, hostname }
  const text = levelAddress(address)
  return { family: text.includes(':') ? 'inet6' : 'inet', address: text, port, hostname }
}

/** Text that is no address stays as it came, less the prefix. */
export function levelAddress(address: ByteString): ByteString {
  const bare = address.replace(prefix, '')
  if (!isIPv6(bare)) return bare
  const text = new SocketAddress({ address: bare, family: 'ipv6' }).address
  return mapped.exec(text)?.[1] ?? text
}

export function levelPath({ path, parameters }: PathCommand): Path {
  return { raw: path.startsWith('<') ? path : `<${path}>`, args: parameters }
}

/** `[IPv6:0:0:…:1]`, which is how Sendmail names a client without a name, becomes `[::1]`. */
function levelHostname(host: ByteString): ByteString {
  const address = bracketed.exec(host)?.[1]
  return address === undefined ? host : `[${levelAddress(address)}]`
}
