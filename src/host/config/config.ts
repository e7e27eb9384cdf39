/**
 * What a configuration file exports: the types the postmaster writes against, and `defineConfig`.
 *
 * The comments of the options are also what docs/configuration.md says of them (`npm run docs:reference`). `defineConfig` only lends its types; everything is validated when the file is loaded (`validate.ts`), so that a file that
 * exports a plain object meets the same checks.
 */
import type { CentralPolicyInput } from '../policy/users.ts'
import type { LivenessSource } from '../time/liveness.ts'
import type { Duration, FilterEntry, Size } from './entry.ts'

/** A socket to listen on. */
export interface ListenOptions {
  /** Of the socket: `inet:PORT@HOST` (Sendmail) or `inet:HOST:PORT` (Postfix), `inet6:…`, `unix:/path`, `local:/path` or a bare path. */
  readonly address: string
  /** Permission bits of a UNIX socket, as `0o660` or `'660'`. @default 0o660 */
  readonly mode?: number | string
  /** Group of a UNIX socket, a name or a number, so that the MTA may connect. @default the daemon's own */
  readonly group?: string | number
}

/** Facts about the MTA, where it should not be asked. */
export interface MtaOptions {
  /** Which MTA it is. @default recognised from what it says */
  readonly kind?: 'postfix' | 'sendmail'
  /** Where it takes SMTP connections: addresses with port, or the port alone. For finding its clients. @default as it says in its macros */
  readonly addresses?: readonly (string | number)[]
}

/** The configuration of milterhost. Every key has a default that is right for one MX on one machine. */
export interface Config {
  /** Where the MTA connects. @default 'inet:10025@127.0.0.1' */
  readonly listen?: string | ListenOptions | readonly (string | ListenOptions)[]
  /** The chain, in order. A falsy entry is skipped, so that `condition && plugin()` works. @default [] */
  readonly filters?: readonly (FilterEntry | false | null | undefined | 0 | '')[]
  /** Longest time for one answer of the whole chain. */
  readonly budget?: {
    /** An answer before the end of the message. @default what the MTA bears: `'25s'` with Postfix, `'8s'` with Sendmail */
    readonly command?: Duration
    /** The answer to the whole message. @default '4m' */
    readonly end?: Duration
  }
  /** The most that is taken. A message that goes beyond a limit is refused with a reply that says so; nothing is cut. */
  readonly limits?: {
    /** Header fields of one message. @default 10000 */
    readonly headers?: number
    /** All header fields of one message together. @default '4MiB' */
    readonly headerBytes?: Size
    /** Recipients of one message. @default 10000 */
    readonly recipients?: number
    /** One body, as received or as a filter replaces it. @default '512MiB' */
    readonly body?: Size
    /** Edits of one filter on one message. @default 10000 */
    readonly edits?: number
    /**
     * SMTP connections at once; one more is told 451. Each takes a file descriptor, and one for each external milter
     * (docs/errors.md#limit_files).
     * @default 2000
     */
    readonly sessions?: number
  }
  /** The `Authentication-Results` field (RFC 8601) that is written when a filter contributes results. */
  readonly authentication?: {
    /** The name it is written under; fields of this name that came with a message are removed. @default the MTA's own, macro `j` */
    readonly authservId?: string
    /** Remove fields of that name that came with a message even when no filter contributes results. @default false */
    readonly removeForged?: boolean
    /** Other names whose fields are removed with them, such as those of other hosts of this site. @default [] */
    readonly removeAlso?: readonly string[]
  }
  /** How many clients filters may make wait at once. Over a limit a hold is refused and the filter goes on. */
  readonly holds?: {
    /** Of all clients. @default half of Postfix's processes; `50` where their number is not known */
    readonly max?: number
    /** Of one client: an IPv4 address or an IPv6 /64. @default 2 */
    readonly perClient?: number
    /** Of one network: an IPv4 /24 or an IPv6 /48. @default 5 */
    readonly perNetwork?: number
    /**
     * From this many SMTP connections on nobody is made to wait, and the oldest holds end. Up to 1: a share of
     * `limits.sessions`, or of Postfix's processes where those are fewer. @default 0.75
     */
    readonly stress?: number
  }
  /** Where bodies are kept while filters look at them. */
  readonly spool?: {
    /** A folder for this alone, made with mode 0700 when it is missing; nothing in it outlives the daemon. @default '/var/tmp/milterhost-UID' */
    readonly directory?: string
    /** A body up to this size stays in memory. @default '256KiB' */
    readonly memory?: Size
    /** Memory that larger bodies of all messages share before they go to files; `0`: they go at once. @default '64MiB' */
    readonly shared?: Size
  }
  /** What is to be believed of the MTA instead of what it says itself; `'postfix'` is short for `{ kind: 'postfix' }`. @default what it says itself */
  readonly mta?: 'postfix' | 'sendmail' | MtaOptions
  /**
   * Who tells whether a client that is kept waiting is still there.
   * @remarks
   * - `'proc'`: the table of TCP connections of this machine (`/proc/net/tcp`, `tcp6`). The MTA must run in the same network namespace and see the
   *   client's real address: behind a proxy, or in another container, clients are never found, and nothing happens.
   * - `agent(address, { token, ca, servername })`: a `milterhost liveness-agent` beside an MTA on another machine or in another container. It answers over
   *   TLS (`inet:`) or through a UNIX socket to whoever knows the token; while it cannot be reached, is slow or answers nonsense nobody is gone for that
   *   (`LIVENESS_FAILED`), and it is asked again, ever more seldom up to once in half a minute. `ca` are the certificates to trust, `servername` the
   *   name in its certificate.
   * - `'off'`: nobody.
   * - An object `{ name, open }`: a source of one's own. With `unread` beside `present` it says whether bytes of the client wait to be read
   *   (`event.spokeEarly` of plugins).
   * @default 'proc'
   */
  readonly liveness?: 'proc' | 'off' | LivenessSource
  /**
   * What the MTA is told when a client left while an answer was awaited.
   * @remarks
   * - `'421'`: `421 4.4.2`; Postfix and Sendmail drop the SMTP session at once.
   * - `'tempfail'`: `451 4.4.2`; Postfix first goes on with the commands that it holds already; each of them gets the same answer.
   * - `'accept'`: continue, and no edits. A message whose client left when all of it was there is delivered, as far as the filters have not seen it
   *   **unfiltered**; it may come again.
   * - `'discard'`: discard. Such a message is dropped; a client that did not get the answer will send it again.
   * @default '421'
   */
  readonly onClientLeft?: '421' | 'tempfail' | 'accept' | 'discard'
  /** How plugins' look-ups of names are done. */
  readonly dns?: {
    /** The name servers that are asked, each with `:port` unless that is 53. @default those of `/etc/resolv.conf`, read again when it changes */
    readonly servers?: string | readonly string[]
    /** Domains in which a name without a dot is looked for. @default those of `/etc/resolv.conf`; none if `servers` is set */
    readonly search?: readonly string[]
    /** What one server may take for one try. @default '2s' */
    readonly timeout?: Duration
    /** How often each server is asked. @default 2 */
    readonly tries?: number
    /** What one look-up may take, over all servers and tries. @default '6s' */
    readonly total?: Duration
    /** Memory for answers. @default '8MiB' */
    readonly cache?: Size
    /** Look-ups that one message may cause in one filter; beyond it they fail. @default 200 */
    readonly messageLookups?: number
    /** Time that one message may spend in look-ups of one filter. @default '20s' */
    readonly messageTime?: Duration
  }
  /**
   * Which filters are on and off for which recipients, for all filters in one place (docs/conditions.md#the-central-policy).
   * @remarks By address or domain, a function of the recipient, or a look-up of `milterhost/lookups`. Asked for the address, the address without extension,
   * the domain, those above it, `*`; the first that there is counts. A filter of which nothing is said is on.
   * @default every filter is on
   * @example { 'example.org': { greylist: false }, 'boss@example.org': 'spf=off' }
   */
  readonly policy?: CentralPolicyInput
  /** The socket by which commands such as `milterhost status` and `reload` find the daemon, with mode 0600; `false`: none. @default a socket */
  readonly control?:
    | false
    | {
        /**
         * Where it lies. One that is named must be had; where the default is taken, the daemon says so and runs without
         * (docs/operating.md#which-daemon).
         * @default `/run/milterhost/control.sock` for root, else below `$XDG_RUNTIME_DIR`
         */
        readonly socket?: string
      }
  /** Milters that are found on this machine, where `filters` has `...detected()`. */
  readonly detect?: {
    /** Reloads when one is installed, removed, enabled, disabled or configured anew (docs/detection.md). @default true */
    readonly watch?: boolean
  }
  /**
   * Records sessions as scenario files, for `milterhost replay` and `milterhost test` (docs/replay.md).
   * @default nothing is recorded
   * @example { sample: 0.1 }
   */
  readonly record?: {
    /** A folder for the recordings, made with mode 0700 when it is missing. @default `recordings` where milterhost keeps its state */
    readonly directory?: string
    /** The share of SMTP connections that is recorded. @default 1 */
    readonly sample?: number
    /** What is taken out; `true` or `false` is for both. @default true */
    readonly redact?:
      | boolean
      | {
          /** Addresses become pseudonyms. @default true */
          readonly addresses?: boolean
          /** Bodies, subjects and names of files are left out. @default true */
          readonly content?: boolean
        }
    /** All recordings in the folder together; then recording stops until there is room. @default '1GiB' */
    readonly maxBytes?: Size
    /** Recordings in the folder. @default 100000 */
    readonly maxFiles?: number
    /** What recording leaves free on the disk. @default '1GiB' */
    readonly minFree?: Size
  }
  /**
   * Another configuration, against which every session is played when it is over, and whose decisions are only counted and logged
   * (docs/replay.md#shadow).
   * @default none
   * @example `${import.meta.dirname}/new.config.ts`
   */
  readonly shadow?: string
  /** What the daemon writes of what it does. */
  readonly log?: {
    /** The least level that is written. @default 'info' */
    readonly level?: 'debug' | 'info' | 'warn' | 'error'
    /** `auto`: text on a terminal, text with journald's `<N>` prefixes under systemd, else JSON lines. A change needs a restart. @default 'auto' */
    readonly format?: 'auto' | 'text' | 'json' | 'journald'
  }
}

/**
 * Gives a configuration file its types.
 *
 * @example
 * ```ts
 * import { defineConfig, socket } from 'milterhost'
 *
 * export default defineConfig({
 *   listen: 'unix:/run/milterhost/milter.sock',
 *   filters: [socket('opendkim', 'unix:/run/opendkim/opendkim.sock')],
 * })
 * ```
 */
export const defineConfig = (config: Config): Config => config
