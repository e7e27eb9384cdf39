/**
 * An entry of the `filters` list: what `socket(…)` and a plugin's factory return.
 *
 * An entry is a description that can make a `Filter`; nothing is opened or loaded before `create`. Every kind of entry takes
 * the same second half, `EntryOptions`. Entries are known by a mark and not by class, because a plugin may bring its own
 * copy of the package.
 */
import type { Filter } from '../filter.ts'
import type { Kept } from '../kept.ts'
import type { Observer, OnFailure } from '../observe/event.ts'
import type { Logger } from '../observe/logger.ts'
import type { Services } from '../plugin/services.ts'
import type { SharedServices } from '../plugin/shared.ts'
import type { ConditionLike } from '../policy/condition.ts'
import type { MixedMode, RecipientMode, Selection } from '../policy/gate.ts'
import type { Users } from '../policy/users.ts'
import type { Clock } from '../time/clock.ts'

/** A length of time: `'30s'`, `'5m'`, `'1h'`, or a number of seconds. Never milliseconds. */
export type Duration = string | number

/** A size: `'256KiB'`, `'1MiB'`, or a number of bytes. */
export type Size = string | number

/** What every entry of `filters` takes, plugin or socket. */
export interface EntryOptions {
  /** Name in logs, commands and answers, unique in the list. @default the plugin's name; a socket is always named */
  readonly name?: string
  /**
   * What happens when the filter cannot do its work. `accept` means "go on without this filter", and is logged and counted.
   * @default 'tempfail'
   */
  readonly onFailure?: OnFailure
  /**
   * `observe`: verdict and edits are computed, logged and dropped.
   * @default 'enforce'
   */
  readonly mode?: 'enforce' | 'observe'
  /** Longest time for one answer; always also bounded by what is left of the budget of the chain. */
  readonly timeouts?: {
    /** Connecting and negotiating, external milters only. @default '10s' */
    readonly connect?: Duration
    /** An answer before the end of the message. @default '30s' */
    readonly command?: Duration
    /** The whole content and the end of the message. @default '5m' */
    readonly end?: Duration
  }
  /** `false`: checked and listed, never run. @default true */
  readonly enabled?: boolean
  /**
   * For which mail (docs/conditions.md). The filter is not contacted before it is decided.
   * @remarks A condition of `milterhost/conditions`, or a function of the facts. One that cannot be decided is a failure of this filter.
   * @default all mail
   */
  readonly when?: ConditionLike
  /**
   * For which users (docs/conditions.md#users).
   * @remarks A list of addresses and domains, a function of the recipient, or a look-up of `milterhost/lookups` from recipient to yes, no or options.
   * @default all recipients
   */
  readonly users?: Users
  /**
   * What happens when recipients of one message differ in wanting the filter (docs/conditions.md#several-recipients).
   * @remarks
   * - `'any'`: it takes part for those who do.
   * - `'all'`: it takes part only if every one does.
   * - `'split'`: those who differ from the first are told 451, so that the client sends them apart.
   * @default 'any'
   */
  readonly recipients?: RecipientMode
  /**
   * What a refusal, discarding or quarantine of the whole message means when only some of its recipients want the filter.
   * @remarks
   * - `'apply'`: it holds for all, as a temporary failure always does.
   * - `'drop-recipients'`: those recipients are taken off without a word to the sender, the others get the mail.
   * - `'quarantine'`: the whole message is quarantined.
   * @default 'apply'
   */
  readonly mixed?: MixedMode
}

/** `EntryOptions` with every default filled in; times in milliseconds. */
export interface EntryPolicy {
  readonly name: string
  readonly onFailure: OnFailure
  readonly mode: 'enforce' | 'observe'
  readonly timeouts: { readonly connect: number; readonly command: number; readonly end: number }
  readonly enabled: boolean
  /** Only where the entry says for which mail it is. */
  readonly selection?: Selection
}

/** What an entry is given to make its filter. */
export interface FilterEnvironment {
  readonly policy: EntryPolicy
  readonly clock: Clock
  readonly log: Logger
  readonly services: Services
  /** What the plugins of this generation offer each other. Default: one of its own, so that it finds nobody. */
  readonly shared?: SharedServices
  /** Bytes of a replacement body, and edits, of one filter on one message. Default: those of `DEFAULT_LIMITS`. */
  readonly limits?: { readonly body: number; readonly edits: number }
  /**
   * The configuration is only tried out, in `milterhost replay` or as a shadow: nothing that others use may be written. @default false
   */
  readonly rehearsal?: boolean
  /** What outlives a reload. Default: nothing does. */
  readonly kept?: Kept
  /** The connection to the launcher, where milterhost was started by it; only the bridge knows what it is. */
  readonly launcher?: unknown
  /** Told what happens to the filter outside of sessions. */
  readonly observe?: Observer
}

const MARK: unique symbol = Symbol.for('milterhost.entry') as never

/** What an entry says of itself that was found on this machine and not written by hand (`found.ts`). */
export interface FoundEntry {
  /** Its address; `null`: the mark of a look that found nothing, which makes no filter. */
  readonly address: string | null
  /** Names of entries that it has to stand behind, and in front of. */
  readonly after: readonly string[]
  readonly before: readonly string[]
}

export interface FilterEntry {
  readonly [MARK]: 1
  readonly kind: 'plugin' | 'socket'
  /** Used when the options give no name. */
  readonly defaultName: string
  readonly options: EntryOptions
  /** Names of options in `options` that this kind of entry takes beside the common ones and checks itself. */
  readonly ownOptions?: readonly string[]
  /** What a plugin's factory was given; for commands of that plugin, which have to know where it keeps its things. */
  readonly plugin?: {
    readonly name: string
    readonly options: unknown
    /** The plugin API that the factory was made with: the plugin may bring another copy of this package. */
    readonly api?: unknown
  }
  /** Set when it was found on this machine: it gives way to what is written by hand. */
  readonly found?: FoundEntry
  /** Package and version, or the address. For people. */
  readonly describe: string
  /** Throws a coded error that says what is wrong with the options. */
  create(environment: FilterEnvironment): Filter | Promise<Filter>
}

/** Marks an entry; the only way to make one. */
export const filterEntry = (entry: Omit<FilterEntry, typeof MARK>): FilterEntry => ({ [MARK]: 1, ...entry })

export const isFilterEntry = (value: unknown): value is FilterEntry =>
  typeof value === 'object' && value !== null && MARK in value
