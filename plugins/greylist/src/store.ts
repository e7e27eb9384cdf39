/**
 * What a greylist remembers, and the one interface that every store of it meets.
 *
 * Types only. A store holds marks under keyed hashes and knows no address; what is decided from the marks is `decide.ts`, which the
 * embedded store runs inside one transaction and a Redis store says again as one Lua script. What always holds: each
 * method but `entries` and `stats` is one round trip, and atomic for each origin; what has been acknowledged is not lost
 * when a process dies; several processes may use one store; a value that cannot be read counts as not there, is told to `problem`, and never throws.
 * The engine calls it, through `store-guard.ts`.
 */

/** A hash that stands for an origin: 12 bytes. All that belongs to an origin lies together (in Redis: its hash tag). */
export type OriginKey = Uint8Array
/** A hash that stands for a tuple or a sender domain, inside its origin: 8 bytes. */
export type ItemKey = Uint8Array

/**
 * - `tuple`: an attempt that has not passed yet. Goes when it passes: then its sender domain is known.
 * - `domain`: a sender domain that has passed from this origin.
 * - `origin`: counts the passes of an origin; with enough of them all its mail passes.
 * - `pending`: counts the tuples of an origin since `first`, until `expires`.
 * - `trap`: the origin is answered 4xx until `expires`.
 * - `pin`: the postmaster lets this origin pass until `expires`, whatever else is known.
 */
export const KINDS = ['tuple', 'domain', 'origin', 'pending', 'trap', 'pin'] as const
export type Kind = (typeof KINDS)[number]

/** What is remembered under one key. Times are milliseconds since 1970; a store may keep them as whole seconds. */
export interface Mark {
  /** First seen; for `origin` and `domain`: first passed. */
  readonly first: number
  /** Last seen; for `origin`: when a pass was last counted. */
  readonly last: number
  /** `tuple`: attempts that came late enough. `domain`, `origin`: passes. `pending`: tuples. Else 0. */
  readonly count: number
  /** From here on it is as if it were not there. */
  readonly expires: number
}

/** A mark with its key: what `entries` yields and `merge` takes, also between different stores with the same secret. */
export interface Entry extends Mark {
  readonly kind: Kind
  readonly origin: OriginKey
  /** `null` unless the kind is `tuple` or `domain`. */
  readonly item: ItemKey | null
}

/** The numbers a decision depends on. Times in milliseconds. */
export interface Policy {
  /** The least age of a tuple that passes. */
  readonly wait: number
  /** The greatest one: what comes later counts as new. */
  readonly window: number
  /** How long a known origin or domain is kept after its last message. */
  readonly life: number
  /** Attempts after `wait` that are needed; 1: the first one passes. */
  readonly retries: number
  /** Passes of an origin that are needed for all its mail to pass; 0: never. */
  readonly passes: number
  /** Two passes of one sender domain count as two only this far apart. */
  readonly spacing: number
  /** Most tuples an origin may have pending. */
  readonly pending: number
}

export interface Question {
  readonly origin: OriginKey
  readonly domain: ItemKey
  /** One for each recipient asked about; 1 to 20 of them. One that passes lets all pass. */
  readonly tuples: readonly ItemKey[]
  readonly policy: Policy
  /** The asking host's clock, milliseconds since 1970. A store that many hosts share uses its own instead. */
  readonly now: number
}

/**
 * Passes: `pinned`, `known` (the origin), `domain` (sender domain known from this origin), `passed` (a retry in time, now learned).
 * Waits: `new` (first seen, or later than the window), `early`, `again` (in time, but more retries are needed),
 * `trapped`, `overflow` (too many pending: nothing was stored), `full` (no room in the store: nothing was stored).
 */
export const STATES = [
  'pinned',
  'known',
  'domain',
  'passed',
  'new',
  'early',
  'again',
  'trapped',
  'overflow',
  'full',
] as const
export type State = (typeof STATES)[number]

export interface Decision {
  readonly state: State
  /** The mark that decided, as it was before; `null` for `new`, `overflow` and `full`. */
  readonly mark: Mark | null
  /** Milliseconds until a retry can pass; 0 when it passes. */
  readonly wait: number
  /** The clock that decided. */
  readonly now: number
}

/** Everything remembered about a question. */
export interface Seen {
  readonly pin: Mark | null
  readonly trap: Mark | null
  readonly origin: Mark | null
  readonly pending: Mark | null
  readonly domain: Mark | null
  /** In the order of the question's tuples. */
  readonly tuples: readonly (Mark | null)[]
}

/** How many marks of each kind, those counted too that have expired and are not yet cleared away. */
export interface Stats {
  readonly entries: Readonly<Record<Kind, number>>
  /** Bytes on disk or in memory, `null` when the store does not know. */
  readonly bytes: number | null
  /** Most entries it takes, `null` for no limit of its own. */
  readonly capacity: number | null
  /** For people: where it is. Never with a password. */
  readonly place: string
  /** Numbers kept over restarts, by name. */
  readonly counters: ReadonlyMap<string, number>
}

export interface Store {
  /** For logs, headers and decision records: `embedded`, `redis`. */
  readonly name: string
  /** The key of all hashes: 32 bytes, made at the first call by whoever comes first, the same for all that share the store. */
  secret(): Promise<Uint8Array>
  /** Decides and remembers, atomically. */
  check(question: Question, signal?: AbortSignal): Promise<Decision>
  /** Remembers the tuples of a transaction that is already put off, within the limits; those known are left as they are. */
  note(question: Question, signal?: AbortSignal): Promise<void>
  /** Counts a pass that was earned elsewhere (a tarpit that was waited out); the tuples are done with. */
  credit(question: Question, signal?: AbortSignal): Promise<void>
  /** Reads, changes nothing. */
  look(question: Pick<Question, 'origin' | 'domain' | 'tuples' | 'now'>, signal?: AbortSignal): Promise<Seen>
  /** Lets an origin pass until `expires`; ends a trap. */
  pass(origin: OriginKey, now: number, expires: number): Promise<void>
  /** Answers an origin 4xx until `expires`, and forgets all good that was known of it, a `pin` too. */
  trap(origin: OriginKey, now: number, expires: number): Promise<void>
  /** Forgets an origin, or one sender domain of it; how many marks that were. */
  forget(origin: OriginKey, domain?: ItemKey): Promise<number>
  /** Every mark that has not expired, in no order; what changes meanwhile may come or not. Never holds up decisions. */
  entries(now: number): AsyncIterable<Entry>
  /**
   * Takes marks from elsewhere, at most 500 a call. Where both know a key, the earlier `first`, later `last` and `expires` and
   * greater `count` win (`mergeMarks`). Expired ones are left out. How many were taken.
   */
  merge(entries: readonly Entry[], now: number): Promise<number>
  stats(): Promise<Stats>
  /** Adds to numbers that are kept over restarts. */
  count(amounts: ReadonlyMap<string, number>): Promise<void>
  /** Throws when the store could not decide now. */
  probe(signal?: AbortSignal): Promise<void>
  close(): Promise<void>
}

/** What a store says besides its answers: a value it could not read, a file it set aside. The engine logs it. */
export type Problem = (fields: object, message: string) => void
