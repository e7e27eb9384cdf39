/**
 * The address of a milter as each MTA reads it, which is less than what milterhost takes.
 *
 * Postfix knows `inet:HOST:PORT` with brackets around IPv6, and paths relative to its queue directory; Sendmail knows
 * `inet:PORT@HOST`, `inet6:`, paths, and cannot connect to a bracketed number. Pure; a name of a port is not resolved.
 */
import { formatSocketAddress, parseSocketAddress, type SocketAddress } from '../wire/index.ts'

/** `null` when Postfix cannot use it. `base` is where relative paths begin; `chroot` where absolute ones do. */
export function readAsPostfix(written: string, base: string, chroot: boolean): SocketAddress | null {
  const [, path] = /^(?:unix|local):(.+)$/.exec(written) ?? []
  if (path !== undefined) {
    const outside = path.startsWith('/') ? (chroot ? `${base}${path}` : path) : `${base}/${path}`
    return { kind: 'unix', path: outside }
  }
  const [, bracketed, name, port] = /^inet:(?:\[([0-9a-fA-F:.]+)\]|([^:@[\]]+)):(\d+)$/.exec(written) ?? []
  return port === undefined ? null : understood(`inet:${bracketed === undefined ? name : `[${bracketed}]`}:${port}`)
}

/** `null` when Sendmail cannot use it. */
export function readAsSendmail(written: string): SocketAddress | null {
  const [, path] = /^(?:(?:unix|local)?:)?(\/.+)$/i.exec(written) ?? []
  if (path !== undefined) return { kind: 'unix', path }
  return /^inet6?:\d+@[^[\]]+$/i.test(written) ? understood(written) : null
}

/** What was meant, in the spelling of that MTA; `null` when nobody could know. */
export function respelt(written: string, mta: 'postfix' | 'sendmail'): string | null {
  const meant = understood(written) ?? understood(`inet:${written}`) ?? swapped(written)
  return meant === null ? null : formatSocketAddress(meant, mta)
}

/** `inet:::1:10025`: an IPv6 address without brackets. */
function swapped(written: string): SocketAddress | null {
  const [, host, port] = /^inet6?:(.*:.*):(\d+)$/.exec(written) ?? []
  return host === undefined ? null : understood(`inet:[${host}]:${port}`)
}

function understood(text: string): SocketAddress | null {
  try {
    return parseSocketAddress(text)
  } catch {
    return null
  }
}
