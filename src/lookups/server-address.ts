/**
 * Where a table's server listens, as Postfix spells it: `inet:host:port`, `inet:[2001:db8::1]:port`, `unix:/path`. Pure.
 */
import type { NetConnectOpts } from 'node:net'

/** Throws an `Error` that says what is wrong with the spelling. */
export function serverAddress(text: string): NetConnectOpts {
  const path = /^unix:(\/.+)$/.exec(text)?.[1]
  if (path !== undefined) return { path }
  const [, bracketed, plain, port] = /^inet:(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? []
  const host = bracketed ?? plain
  if (host === undefined || Number(port) < 1 || Number(port) > 65_535) {
    throw new Error(`"${text}" is no address such as inet:127.0.0.1:2000 or unix:/path`)
  }
  return { host, port: Number(port) }
}
