/**
 * Facts of the connection as a plugin sees them, read from what the MTA told: client, authentication, TLS, ESMTP
 * parameters.
 */
import { type ByteString, decodeText } from '../bytes.ts'
import type { Client as HostClient } from '../events.ts'
import type { Macros } from '../macros.ts'
import type { Auth, Client, Tls } from './events.ts'

/** Before or without a connect event. */
export const NO_CLIENT: Client = Object.freeze({ address: '', port: 0, hostname: null, verified: false })

export function clientOf(client: HostClient, macros: Macros): Client {
  const named = client.hostname !== '' && client.hostname !== 'unknown' && !client.hostname.startsWith('[')
  // Sendmail gives a name that does not lead back all the same, and says so only in its macros.
  const resolve = macros.get('client_resolve') ?? 'OK'
  const forged = resolve !== 'OK' || (macros.get('_') ?? '').endsWith('(may be forged)')
  return Object.freeze({
    address: decodeText(client.address),
    port: client.port,
    hostname: named ? decodeText(client.hostname) : null,
    verified: named && !forged,
  })
}

export function authOf(macros: Macros): Auth | null {
  const user = macros.get('auth_authen') ?? ''
  return user === '' ? null : { user: decodeText(user), mechanism: decodeText(macros.get('auth_type') ?? '') }
}

export function tlsOf(macros: Macros): Tls | null {
  const version = macros.get('tls_version') ?? ''
  return version === '' ? null : { version: decodeText(version), cipher: decodeText(macros.get('cipher') ?? '') }
}

export function argsOf(args: readonly ByteString[]): ReadonlyMap<string, string> {
  const map = new Map<string, string>()
  for (const arg of args) {
    const equals = arg.indexOf('=')
    const name = equals < 0 ? arg : arg.slice(0, equals)
    map.set(name.toUpperCase(), equals < 0 ? '' : decodeText(arg.slice(equals + 1)))
  }
  return map
}
