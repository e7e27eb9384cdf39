/**
 * What the host offers to plugins beyond the events, and what a test replaces.
 *
 * One set of services stands behind all plugins of a generation; `Host` (`host.ts`) is a plugin's own view of it,
 * with its name on every log line and counter.
 */

/** Looks up names without blocking. Errors carry Node's codes (`ENOTFOUND`, `ENODATA`, `ESERVFAIL`, `ETIMEOUT`). */
export interface Dns {
  /** IPv4 and IPv6 addresses as text; MX as `{ exchange, priority }`; TXT as one string a record. */
  a(name: string, signal?: AbortSignal): Promise<readonly string[]>
  aaaa(name: string, signal?: AbortSignal): Promise<readonly string[]>
  mx(name: string, signal?: AbortSignal): Promise<readonly { readonly exchange: string; readonly priority: number }[]>
  txt(name: string, signal?: AbortSignal): Promise<readonly string[]>
  ptr(address: string, signal?: AbortSignal): Promise<readonly string[]>
}

/** A number that only grows. */
export interface Counter {
  add(amount?: number, labels?: Readonly<Record<string, string>>): void
}

export interface Metrics {
  counter(name: string, help: string): Counter
}

export interface Services {
  readonly dns: Dns
  readonly metrics: Metrics
}
