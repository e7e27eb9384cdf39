/**
 * What the host offers to plugins beyond the events, and what a test replaces.
 *
 * One set of services stands behind all plugins of a generation; `Host` (`host.ts`) is a plugin's own view of it,
 * with its name on every log line and counter.
 */

/**
 * Looks up names without blocking. Errors carry Node's codes: `ENOTFOUND` (no such name), `ENODATA` (no record of that
 * type), `ESERVFAIL`, `ETIMEOUT`, `ECANCELLED` (the signal was aborted).
 */
export interface Dns {
  /** IPv4 addresses as text. */
  a(name: string, signal?: AbortSignal): Promise<readonly string[]>
  /** IPv6 addresses as text. */
  aaaa(name: string, signal?: AbortSignal): Promise<readonly string[]>
  /** Mail exchangers, in the order of the answer. */
  mx(name: string, signal?: AbortSignal): Promise<readonly { readonly exchange: string; readonly priority: number }[]>
  /** One string a record, its pieces joined. */
  txt(name: string, signal?: AbortSignal): Promise<readonly string[]>
  /** The names of an IPv4 or IPv6 address. */
  ptr(address: string, signal?: AbortSignal): Promise<readonly string[]>
}

/** A number that only grows. */
export interface Counter {
  /** `labels` must come from a small fixed set, never from mail. @param amount 1 by default */
  add(amount?: number, labels?: Readonly<Record<string, string>>): void
}

export interface Metrics {
  /** The same counter for the same name. */
  counter(name: string, help: string): Counter
}

export interface Services {
  readonly dns: Dns
  readonly metrics: Metrics
}
