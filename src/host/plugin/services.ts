/**
 * What the host offers to plugins beyond the events, and what a test replaces.
 *
 * One set of services stands behind all plugins of a generation; `Host` (`host.ts`) is a plugin's own view of it,
 * with its name on every log line and counter.
 */

/**
 * Looks up names without blocking. Answers are cached for as long as their owner says; names may hold any character
 * but controls, as SPF macros make them. A name without a dot is also looked for in the search domains.
 *
 * A look-up rejects with an error that has a `code`:
 *
 * - `ENOTFOUND` no such name; `ENODATA` no record of that type: both are facts about the name;
 * - `ESERVFAIL`, `EREFUSED`, `ETIMEOUT`, `ECONNREFUSED` nothing could be learnt: it may go better later;
 * - `EBADNAME` this cannot be a name; `EMSGSIZE` a TXT record is longer than 8 KiB;
 * - `EBUDGET` the message's share is used up (`forMessage`); `ECANCELLED` the signal was aborted.
 */
export interface Dns {
  /** IPv4 addresses as text. */
  a(name: string, signal?: AbortSignal): Promise<readonly string[]>
  /** IPv6 addresses as text. */
  aaaa(name: string, signal?: AbortSignal): Promise<readonly string[]>
  /** Mail exchangers, in the order of the answer. An empty `exchange` is the null MX: this domain takes no mail. */
  mx(name: string, signal?: AbortSignal): Promise<readonly { readonly exchange: string; readonly priority: number }[]>
  /** One string a record, its pieces joined; one character a byte. */
  txt(name: string, signal?: AbortSignal): Promise<readonly string[]>
  /** The names of an IPv4 or IPv6 address. */
  ptr(address: string, signal?: AbortSignal): Promise<readonly string[]>
  /**
   * The same, for one message: no more look-ups and no more time in them than `dns.messageLookups` and `dns.messageTime`
   * of the configuration allow. For whatever a sender can make as long as he likes.
   */
  forMessage(signal?: AbortSignal): Dns
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
