/**
 * The options of the plugin as a postmaster writes them. Types only; `read-options.ts` has the defaults and the checks.
 */
import type { ConnectionOptions } from 'node:tls'
import type { Client, Duration, NamePattern } from 'milterhost/plugin'
import type { SenderKey } from './sender.ts'

/** What a predicate of the configuration is given. */
export interface Attempt {
  readonly client: Client
  readonly helo: string | null
  /** Without angle brackets; empty for the null sender. */
  readonly sender: string
  /** All recipients of the transaction so far. */
  readonly recipients: readonly string[]
}

export type MaybePromise<T> = T | Promise<T>

export interface GreylistOptions {
  /** `suspicious`: only clients with at least one suspicion wait; `all`: every one that no bypass lets through. @default 'suspicious' */
  readonly mode?: 'suspicious' | 'all'
  /** When to answer. @default 'rcpt', and 'data' for the null sender */
  readonly at?: 'rcpt' | 'data' | 'eom'
  /** `embedded`, `{ path }` for a file of your own, or the URL (`redis://`, `rediss://`) or options of a Redis. @default 'embedded' */
  readonly store?: 'embedded' | `redis://${string}` | `rediss://${string}` | EmbeddedChoice | RedisChoice
  /** When the store cannot be asked: go on without, use the embedded store meanwhile (for Redis), or 451. @default 'accept' */
  readonly onStoreError?: 'accept' | 'local' | 'tempfail'
  /** Where the embedded store lies that answers with `onStoreError: 'local'`. @default in the daemon's state folder */
  readonly localStore?: { readonly path: string }
  /** When the store has no room for a newcomer. @default 'accept' */
  readonly onFull?: 'accept' | 'tempfail'
  /** Keeps addresses unreadable in the store; give one when hosts share a Redis. @default one the store makes and keeps */
  readonly secret?: string
  /** How long to wait: without a suspicion, with one, and on a DNS block list. @default 60s, 300s, 900s */
  readonly wait?: { readonly ordinary?: Duration; readonly suspicious?: Duration; readonly listed?: Duration }
  /** Up to so much is added to each wait, always the same for one origin and domain. @default 0.2 */
  readonly jitter?: number
  /** A retry later than this counts as new; longer than the wait. @default '24h' */
  readonly window?: Duration
  /** How long a known client stays known after its last mail. @default '36d' */
  readonly life?: Duration
  /** Retries in time that are needed. @default 1 */
  readonly retries?: number
  /** Passes after which all mail of an origin passes: of one without suspicion, and of a suspicious one. 0: never. @default 2, 5 */
  readonly known?: { readonly after?: number; readonly suspicious?: number; readonly apart?: Duration }
  /** How much of the sender counts. @default 'normalised' */
  readonly sender?: SenderKey
  /** @default 450 4.7.1 "Greylisted, try again later" */
  readonly reply?: {
    readonly code?: 421 | 450 | 451
    readonly enhanced?: `4.${number}.${number}`
    readonly text?: string | readonly string[]
    /** Added to the last line. */
    readonly url?: string
  }
  /** `false`: the reply says how many seconds are left. @default true */
  readonly quiet?: boolean
  /** A header on mail that passed, `true` for `X-Greylist`; none that mail has anyway. @default false */
  readonly header?: boolean | string
  readonly bypass?: BypassOptions
  readonly suspect?: SuspectOptions
  /** Addresses that get no good mail: who writes to one is trapped. */
  readonly traps?: { readonly recipients?: readonly string[]; readonly for?: Duration }
  /** Domains that authenticated users and local clients write to are known, when SPF passes. @default true */
  readonly learnOutbound?: boolean
  /** Forgets an origin whose message another filter rejected after it had passed here. @default true */
  readonly demote?: boolean
  readonly limits?: {
    /** Pending attempts of one origin. @default 50 */
    readonly perOrigin?: number
    /** Recipients remembered of one transaction. @default 20 */
    readonly perTransaction?: number
    /** Entries in the embedded store. @default 1_000_000 */
    readonly entries?: number
    /** For one call of the store, at most 60 s. @default '400ms' */
    readonly storeTime?: Duration
    /** For all DNS look-ups of one message, at most 60 s. @default '5s' */
    readonly dnsTime?: Duration
  }
}

export interface EmbeddedChoice {
  /** Of the SQLite file. @default in the daemon's state folder */
  readonly path?: string
}

/** Of a Redis or Valkey; exactly one of `url`, `socket`, `host`, `sentinels` and `cluster`. */
export interface RedisChoice {
  /** `redis://user:password@host:port/db`; `rediss://` for TLS. */
  readonly url?: string
  /** The path of a UNIX socket. */
  readonly socket?: string
  readonly host?: string
  /** @default 6379 */
  readonly port?: number
  /** @default 0 */
  readonly db?: number
  /** Of an ACL. */
  readonly username?: string
  readonly password?: string
  /** Node's options for TLS, as `ca`; `true` for none of your own. */
  readonly tls?: boolean | ConnectionOptions
  /** Sentinels, as `host:port`. @default port 26379 */
  readonly sentinels?: readonly RedisNode[]
  /** Of the master, as the Sentinels call it. @default 'mymaster' */
  readonly name?: string
  readonly sentinelUsername?: string
  readonly sentinelPassword?: string
  readonly sentinelTls?: boolean | ConnectionOptions
  /** Some nodes of a Cluster, as `host:port`; the others are learned from them. */
  readonly cluster?: readonly RedisNode[]
  /** Addresses that Sentinel or Cluster tell, and where they are seen from here: `{ '10.0.0.1:6379': { host, port } }`. */
  readonly natMap?: Readonly<Record<string, { readonly host: string; readonly port: number }>>
  /** In front of each key. @default 'gl:' */
  readonly prefix?: string
  /** For one command; `limits.storeTime` may not be shorter. @default '300ms' */
  readonly timeout?: Duration
}

export type RedisNode = string | { readonly host: string; readonly port?: number }

export interface BypassOptions {
  /** @default true */
  readonly authenticated?: boolean
  /** A client certificate that the MTA trusts. @default true */
  readonly tls?: boolean
  /** Loopback and private addresses. @default true */
  readonly local?: boolean
  /** Your own networks. */
  readonly networks?: readonly string[]
  /** Relays that take mail for you; they would wait in the place of the real sender. */
  readonly backupMx?: readonly string[]
  /** Verified client names. */
  readonly names?: readonly NamePattern[]
  /** Sender addresses, or domains; anybody can write one, so they count only when SPF passes. */
  readonly senders?: readonly string[]
  /** Recipients who want no delay, addresses or domains. At 'data' and 'eom' all recipients of a message have to be. */
  readonly recipients?: readonly string[]
  /** A DNS white list, and the least trust level (0 to 3) that counts. @default off */
  readonly dnswl?: { readonly zone?: string; readonly score?: number }
  /** Domains of large providers, let through when SPF passes. @default a list of them */
  readonly providers?: readonly string[]
  readonly when?: (attempt: Attempt) => MaybePromise<boolean>
}

export interface SuspectOptions {
  /** No verified name, or one in the shape of an end user's line (S25R). @default true */
  readonly s25r?: boolean | { readonly whitelist?: readonly NamePattern[]; readonly blacklist?: readonly NamePattern[] }
  /** DNS block lists. @default none */
  readonly dnsbl?: readonly string[]
  /** SPF results of an spf plugin before this one. @default ['fail', 'softfail'] */
  readonly spf?: readonly ('fail' | 'softfail' | 'neutral' | 'none' | 'permerror' | 'temperror')[]
  /** A HELO that no mail server says. @default true */
  readonly helo?: boolean
  /** True or a reason makes the client suspicious. */
  readonly when?: (attempt: Attempt) => MaybePromise<boolean | string>
}
