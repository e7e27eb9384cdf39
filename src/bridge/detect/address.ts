/**
 * Sockets as milters' configurations write them, made into what `socket(…)` takes, and compared.
 *
 * A milter listens where an MTA connects: every interface and no host mean this machine, `fd:3` means the socket that systemd opened. What cannot
 * be read is `null`. Used by detection only; `wire/address.ts` is the one reader of addresses.
 */
import { formatSocketAddress, parseSocketAddress, type SocketAddress } from '../wire/index.ts'

const EVERYWHERE = new Map([
  ['0.0.0.0', '127.0.0.1'],
  ['*', '127.0.0.1'],
  ['::', '::1'],
])

/** `root`: the folder that the milter, or the MTA that names it, takes for `/`. */
export function milterAddress(text: string, root = ''): string | null {
  const address = parsed(text.trim())
  if (address === null) return null
  if (address.kind === 'inet') {
    const host = EVERYWHERE.get(address.host) ?? address.host
    return formatSocketAddress(
      host === address.host ? address : { kind: 'inet', host, port: address.port, ...family(host) },
      'sendmail',
    )
  }
  if (!address.path.startsWith('/')) return null
  return formatSocketAddress({ kind: 'unix', path: underRoot(address.path, root) }, 'sendmail')
}

const family = (host: string): { family?: 6 } => (host.includes(':') ? { family: 6 } : {})

export const underRoot = (path: string, root: string): string =>
  root === '' || root === '/' ? path : `${root.replace(/\/+$/, '')}${path}`

function parsed(text: string): SocketAddress | null {
  const mended = text
    .replace(/^(inet6?):\*:(\d+)$/, '$1:$2@*')
    .replace(/@\*$/, text.startsWith('inet6') ? '@::' : '@0.0.0.0')
    .replace(/@\[([^\]]*)\]$/, '@$1')
  try {
    // A port alone is what a listener says.
    return parseSocketAddress(mended, 'listen')
  } catch {
    return null
  }
}

/** The same for two addresses that reach the same socket on this machine, whichever way they are spelt. */
export function placeOf(text: string): string | null {
  const address = milterAddress(text)
  if (address === null) return null
  return address
    .replace(/^inet6:/, 'inet:')
    .replace(/@(?:localhost|127\.\d+\.\d+\.\d+|::1)$/i, '@loopback')
    .replace(/^unix:\/var\/run\//, 'unix:/run/')
}
