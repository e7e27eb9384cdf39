/**
 * The options of the plugin as a postmaster writes them. Types only; `read-options.ts` has the defaults and the checks.
 */
import type { Client, Duration, NamePattern } from 'milterhost/plugin'

/** What a predicate of the configuration is given. */
export interface Attempt {
  readonly client: Client
  /** `null` at connect. */
  readonly helo: string | null
  /** Without angle brackets; empty for the null sender and before MAIL. */
  readonly sender: string
  /** `null` before RCPT. */
  readonly recipient: string | null
}

export type MaybePromise<T> = T | Promise<T>

export type Stage = 'connect' | 'helo' | 'mail' | 'rcpt' | 'data' | 'eom'

export interface TarpitOptions {
  /**
   * `targrey`: suspicious clients wait, and those that did not are greylisted when they come again. `starpit`: they wait, and
   * are never greylisted. `rgrey`: they are greylisted, and never wait. `both`: they wait at each attempt and are greylisted too.
   * @default 'targrey'
   */
  readonly mode?: 'targrey' | 'starpit' | 'rgrey' | 'both'
  /** How long; `light` is 65 s. At most 240 s, 90 s at data: SMTP clients wait no longer. @default 125s, at data 90s */
  readonly hold?: Duration | 'light'
  /** When. A client waits once in a connection. @default 'rcpt' */
  readonly at?: Stage
  /**
   * Whether a client speaks before its turn while it waits: needs `at: 'connect'` and `liveness`. Who does has not waited: it is
   * greylisted, with starpit it goes on, and earns nothing. Later filters find `true` under the key `early-talker`. Not for a port
   * with TLS from the start, where the client speaks first. @default false
   */
  readonly earlyTalkers?: boolean
  /** What proves that a client waited: DATA alone may have been sent in advance (pipelining). @default 'eom' */
  readonly proof?: 'data' | 'eoh' | 'eom'
  /** When too many wait, the MTA cannot be kept waiting or is short of processes. @default 'greylist', 'accept' with starpit */
  readonly overLimit?: 'greylist' | 'accept'
  /** Shortens the time to what made nearly all go that went, once that is known. @default false */
  readonly adaptive?: boolean | { readonly least?: Duration; readonly keep?: number }
  readonly suspect?: {
    /** A name in the shape of an end user's line. @default true */
    readonly s25r?:
      | boolean
      | { readonly whitelist?: readonly NamePattern[]; readonly blacklist?: readonly NamePattern[] }
    /** No name that leads back to the address. @default true */
    readonly unnamed?: boolean
    /** DNS block lists. @default none */
    readonly dnsbl?: readonly string[]
    /** True or a reason makes the client suspicious. */
    readonly when?: (attempt: Attempt) => MaybePromise<boolean | string>
  }
  readonly bypass?: {
    /** @default true */
    readonly authenticated?: boolean
    /** A client certificate that the MTA trusts. @default true */
    readonly tls?: boolean
    /** Loopback and private addresses. @default true */
    readonly local?: boolean
    /** Your own networks, and those of relays that take mail for you. */
    readonly networks?: readonly string[]
    /** Verified client names. */
    readonly names?: readonly NamePattern[]
    /** Recipients for whom nobody waits, addresses or domains. */
    readonly recipients?: readonly string[]
    readonly when?: (attempt: Attempt) => MaybePromise<boolean>
  }
  /** How long a client that did not wait is greylisted instead. @default '2d' */
  readonly failedFor?: Duration
  /** How long one that did is remembered after its last mail, where no greylist runs. @default '36d' */
  readonly life?: Duration
  /** The greylisting of its own, where no greylist runs. @default 5m, 24h */
  readonly greylist?: { readonly wait?: Duration; readonly window?: Duration }
  readonly reply?: {
    readonly code?: 421 | 450 | 451
    readonly enhanced?: `4.${number}.${number}`
    readonly text?: string
  }
  /** The SQLite file of what is remembered, or `'memory'`. @default tarpit.sqlite in the daemon's state folder */
  readonly store?: 'memory' | { readonly path: string }
  /** Most entries in it; above it what would expire first makes room. @default 200_000 */
  readonly entries?: number
}
