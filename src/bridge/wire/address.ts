/**
 * Socket addresses as postmasters write them, in Sendmail's spelling (`inet:8891@localhost`, `inet6:8891@::1`, `local:/p`,
 * a bare path) and in Postfix's (`inet:localhost:8891`, `inet:[::1]:8891`, `unix:p`). Both mean the same everywhere in the
 * configuration. Nothing is resolved or opened here. An address that cannot be read is a WireError that quotes it, says
 * what is wrong, and gives the nearest form that would be right.
 */

import { quoted, WireError, type WireErrorCode } from './error.ts'

export type SocketAddress =
  | {
      readonly kind: 'inet'
      /** A name, or a numeric address without brackets. */
      readonly host: string
      readonly port: number
      /** Given for numeric addresses and by `inet6:`; else whatever the name resolves to. */
      readonly family?: 4 | 6
    }
  | { readonly kind: 'unix'; readonly path: string }

export type SocketSpelling = 'sendmail' | 'postfix'

/** sizeof sun_path on Linux less the final NUL. */
export const longestSocketPath = 107

const anyHost = { inet: '0.0.0.0', inet6: '::' } as const

/** `inet:PORT` alone, which means every interface, and port 0, which means a free one, are for listeners only. */
export function parseSocketAddress(text: string, role: 'connect' | 'listen' = 'connect'): SocketAddress {
  const colon = text.indexOf(':')
  const scheme = text.slice(0, Math.max(colon, 0)).toLowerCase()
  const rest = text.slice(colon + 1)
  if (text.startsWith('/') || text.startsWith('./')) return unixAddress(text, text)
  if (scheme === 'unix' || scheme === 'local' || colon === 0) return unixAddress(text, rest)
  if (scheme === 'inet' || scheme === 'inet6') return inetAddress(text, scheme, rest, role)
  throw schemeError(text)
}

/** Sendmail's MTA cannot connect to a bracketed numeric address, so none is written in its spelling. */
export function formatSocketAddress(address: SocketAddress, spelling: SocketSpelling): string {
  if (address.kind === 'unix') return `unix:${address.path}`
  const { host, port, family } = address
  if (spelling === 'sendmail') return `${family === 6 ? 'inet6' : 'inet'}:${port}@${host}`
  return `inet:${host.includes(':') ? `[${host}]` : host}:${port}`
}

function unixAddress(text: string, path: string): SocketAddress {
  const hint = 'write unix:/path/to/socket'
  if (path === '') throw new WireError('WIRE_ADDRESS_PATH', { text: quoted(text), why: 'the path is empty', hint })
  if (path.includes('\0')) {
    throw new WireError('WIRE_ADDRESS_PATH', { text: quoted(text), why: 'the path holds a NUL', hint })
  }
  const bytes = Buffer.byteLength(path)
  if (bytes > longestSocketPath) {
    const why = `the path has ${bytes} bytes, the system takes ${longestSocketPath}`
    throw new WireError('WIRE_ADDRESS_PATH', { text: quoted(text, 160), why, hint: 'choose a shorter path' })
  }
  return { kind: 'unix', path }
}

function inetAddress(text: string, scheme: 'inet' | 'inet6', rest: string, role: string): SocketAddress {
  const fail = (code: WireErrorCode, why: string, hint: string): never => {
    throw new WireError(code, { text: quoted(text), why, hint })
  }
  const { host, port: portText } = split(rest)
  const shownHost = host === undefined || host === '' ? 'localhost' : host
  const shownPort = /^\d{1,5}$/.test(portText) ? portText : '8891'
  const hint = `${scheme}:${shownPort}@${shownHost}`
  if (host === undefined && portText.includes(':')) {
    fail('WIRE_ADDRESS_HOST', 'an IPv6 address needs brackets here', bracketHint(portText))
  }
  if (host === undefined && role === 'connect') {
    fail('WIRE_ADDRESS_HOST', 'there is no host (a port alone is for a listener)', hint)
  }
  if (portText === '') fail('WIRE_ADDRESS_PORT', 'there is no port', hint)
  if (!/^\d+$/.test(portText)) fail('WIRE_ADDRESS_PORT', `the port ${quoted(portText)} is not a number`, hint)
  const port = Number(portText)
  if (port > 65535 || (port === 0 && role === 'connect')) {
    fail('WIRE_ADDRESS_PORT', `the port ${portText} is not from 1 to 65535`, `${scheme}:8891@${shownHost}`)
  }
  if (host === undefined) return { kind: 'inet', host: anyHost[scheme], port, family: scheme === 'inet' ? 4 : 6 }
  const bare = withoutBrackets(host)
  if (bare === undefined) return fail('WIRE_ADDRESS_HOST', `the host ${quoted(host)} is no name or address`, hint)
  const family = numericFamily(bare)
  if (family === 4 && scheme === 'inet6') fail('WIRE_ADDRESS_HOST', 'this is an IPv4 address', `inet:${port}@${bare}`)
  const known = family ?? (scheme === 'inet6' ? 6 : undefined)
  return known === undefined ? { kind: 'inet', host: bare, port } : { kind: 'inet', host: bare, port, family: known }
}

/** `PORT@HOST`, `HOST:PORT`, `[ADDRESS]:PORT` or `PORT`. */
function split(rest: string): { host: string | undefined; port: string } {
  const at = rest.indexOf('@')
  if (at >= 0) return { host: rest.slice(at + 1), port: rest.slice(0, at) }
  const bracketed = /^(\[[^\]]*\])(?::(.*))?$/.exec(rest)
  if (bracketed !== null) return { host: bracketed[1]!, port: bracketed[2] ?? '' }
  const colon = rest.lastIndexOf(':')
  if (colon < 0) return /^\d*$/.test(rest) ? { host: undefined, port: rest } : { host: rest, port: '' }
  if (rest.indexOf(':') !== colon) return { host: undefined, port: rest }
  return { host: rest.slice(0, colon), port: rest.slice(colon + 1) }
}

/** The host without brackets and without Sendmail's `IPv6:`; undefined if it is neither a name nor an address. */
function withoutBrackets(host: string): string | undefined {
  const inner = /^\[(?:ipv6:)?([^[\]]*)\]$/i.exec(host)?.[1]
  if (inner !== undefined) return numericFamily(inner) === undefined ? undefined : inner
  const plain = host.replace(/^ipv6:/i, '')
  if (numericFamily(plain) !== undefined) return plain
  return /^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_.])?$/i.test(host) && !/^[\d.]+$/.test(host) ? host : undefined
}

function numericFamily(host: string): 4 | 6 | undefined {
  if (/^(25[0-5]|2[0-4]\d|1?\d?\d)(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}$/.test(host)) return 4
  const withoutZone = host.replace(/%[a-z0-9_.-]+$/i, '')
  return /^[0-9a-f:.]*:[0-9a-f:.]*$/i.test(withoutZone) && URL.canParse(`http://[${withoutZone}]/`) ? 6 : undefined
}

function bracketHint(text: string): string {
  const colon = text.lastIndexOf(':')
  const head = text.slice(0, colon)
  return numericFamily(head) === 6 ? `inet:[${head}]${text.slice(colon)}` : 'inet:[::1]:8891'
}

function schemeError(text: string): WireError {
  const fail = (why: string, hint: string): WireError =>
    new WireError('WIRE_ADDRESS_SCHEME', { text: quoted(text), why, hint })
  if (text === '') return fail('it is empty', 'inet:8891@localhost or unix:/path/to/socket')
  if (/^\d+@|^[^:/]+:\d+$|^\[.*\]:\d+$/.test(text)) return fail('the scheme is missing', `inet:${text}`)
  const url = /^(?:tcp|inet|milter):\/\/([^/]+)\/?$/i.exec(text)?.[1]
  if (url !== undefined) return fail('a URL is not a socket address', `inet:${url}`)
  if (text.includes('/')) return fail('a path without scheme must start with "/"', `unix:${text.replace(/^\w+:/, '')}`)
  return fail('the scheme is none of inet, inet6, unix and local', 'inet:8891@localhost or unix:/path/to/socket')
}
