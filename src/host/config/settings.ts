/**
 * The configuration after validation: every default filled in, times in milliseconds, sizes in bytes.
 *
 * A session keeps the settings it began with. Only `config/schema.ts` makes one from what the postmaster wrote.
 */
import type { Endpoint, LivenessSource } from '../time/liveness.ts'

export interface ListenAddress {
  /** As written; parsed and checked. */
  readonly address: string
  /** Permission bits of a UNIX socket. */
  readonly mode: number
  /** Group of a UNIX socket, a name or a number; `null` leaves it. */
  readonly group: string | number | null
}

/** Longest time for one answer of the whole chain, in milliseconds; `null` chooses by MTA (`chain/budget.ts`). */
export interface BudgetSettings {
  readonly command: number | null
  readonly end: number | null
}

export interface Limits {
  /** Header fields of one message. */
  readonly headers: number
  /** Bytes of all header fields of one message. */
  readonly headerBytes: number
  readonly recipients: number
  /** Bytes of one body, as received or as a filter replaces it. */
  readonly body: number
  /** Edits of one filter on one message. */
  readonly edits: number
  /** SMTP connections at once. */
  readonly sessions: number
}

/** How the chain's Authentication-Results field is written (RFC 8601). */
export interface AuthenticationSettings {
  /** The name under which results are written; `null` takes what the MTA calls itself. */
  readonly authservId: string | null
  /** Fields that claim this name are removed even when no filter of the chain contributes results. */
  readonly removeForged: boolean
  /** Other names whose fields are removed too. */
  readonly removeAlso: readonly string[]
}

/** How many clients may be made to wait (`time/holds.ts`). */
export interface HoldSettings {
  /** At once; `null` takes half of the processes that the MTA may have. */
  readonly max: number | null
  /** Of one client: an IPv4 address, an IPv6 /64. */
  readonly perClient: number
  /** Of one network: an IPv4 /24, an IPv6 /48. */
  readonly perNetwork: number
  /** Nobody is held while that many SMTP connections are open; up to 1, that share of those the MTA may have. */
  readonly stress: number
}

/** How names are looked up. Times in milliseconds. */
export interface DnsSettings {
  /** `null`: those of resolv.conf. */
  readonly servers: readonly { readonly address: string; readonly port: number }[] | null
  /** Domains for names without a dot; `null`: those of resolv.conf. */
  readonly search: readonly string[] | null
  /** What one server may take for one try. */
  readonly timeout: number
  /** How often each server is asked. */
  readonly tries: number
  /** What one look-up may take over all servers and tries. */
  readonly total: number
  /** Bytes of memory for answers. */
  readonly cache: number
  /** Look-ups for one message, of each filter that asks for its share. */
  readonly messageLookups: number
  /** Time in look-ups for one message. */
  readonly messageTime: number
}

/** Which sessions are recorded, and what of them. */
export interface RecordSettings {
  /** `null`: `recordings` where this program keeps its state. */
  readonly directory: string | null
  /** Share of the sessions, 0 to 1. */
  readonly sample: number
  readonly redact: { readonly addresses: boolean; readonly content: boolean }
  /** Bytes of all recordings in the folder. */
  readonly maxBytes: number
  readonly maxFiles: number
  /** Bytes that stay free on the disk. */
  readonly minFree: number
}

/** What the MTA is told when the client left while an answer was awaited. */
export type OnClientLeft = '421' | 'tempfail' | 'accept' | 'discard'

export interface Settings {
  readonly listen: readonly ListenAddress[]
  readonly budget: BudgetSettings
  readonly limits: Limits
  readonly authentication: AuthenticationSettings
  readonly holds: HoldSettings
  readonly spool: { readonly directory: string; readonly memory: number; readonly shared: number }
  /** Set when the postmaster says which MTA it is; `null` recognises it. */
  readonly mta: 'postfix' | 'sendmail' | null
  readonly dns: DnsSettings
  /** Where the MTA takes SMTP connections, instead of what it says itself; empty believes it. */
  readonly mtaAddresses: readonly Endpoint[]
  /** Who tells whether a client is still there. */
  readonly liveness: 'proc' | 'off' | LivenessSource
  readonly onClientLeft: OnClientLeft
  /** Where commands find the daemon; `socket: null` is the default place, `null`: none. */
  readonly control: { readonly socket: string | null } | null
  /** Whether a change of the milters on this machine makes the configuration be read again. */
  readonly detect: { readonly watch: boolean }
  /** `null`: no session is recorded. */
  readonly record: RecordSettings | null
  /** A configuration file that is played beside this one; `null`: none. */
  readonly shadow: string | null
  readonly log: {
    readonly level: 'debug' | 'info' | 'warn' | 'error'
    readonly format: 'auto' | 'text' | 'json' | 'journald'
  }
}

export const DEFAULT_HOLDS: HoldSettings = { max: null, perClient: 2, perNetwork: 5, stress: 0.75 }

export const DEFAULT_LIMITS: Limits = {
  headers: 10_000,
  headerBytes: 4 * 1024 * 1024,
  recipients: 10_000,
  body: 512 * 1024 * 1024,
  edits: 10_000,
  sessions: 2_000,
}

export const DEFAULT_AUTHENTICATION: AuthenticationSettings = { authservId: null, removeForged: false, removeAlso: [] }

export const DEFAULT_RECORD: RecordSettings = {
  directory: null,
  sample: 1,
  redact: { addresses: true, content: true },
  maxBytes: 1024 * 1024 * 1024,
  maxFiles: 100_000,
  minFree: 1024 * 1024 * 1024,
}

export const DEFAULT_DNS: DnsSettings = {
  servers: null,
  search: null,
  timeout: 2_000,
  tries: 2,
  total: 6_000,
  cache: 8 * 1024 * 1024,
  messageLookups: 200,
  messageTime: 20_000,
}
