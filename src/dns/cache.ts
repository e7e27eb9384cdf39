/**
 * What is known, for as long as its owner said: positive and negative answers (RFC 2308) by their TTL, failures for a moment.
 *
 * A TTL of zero is not kept, nor a negative answer without SOA. Bounded by size, the least recently used goes first. Keys are
 * name and type, never the client's.
 */
import { LRUCache } from 'lru-cache'
import type { Clock } from '../host/time/clock.ts'
import type { AnyRecord, Outcome } from './answer.ts'
import type { DnsCode } from './error.ts'

export type Known = Outcome | { readonly kind: 'failure'; readonly code: DnsCode }

interface Entry {
  readonly known: Known
  /** On the monotonic clock. */
  readonly until: number
}

/** Seconds. RFC 2308 §5 asks for one to three hours, RFC 1035 gives a TTL up to 68 years. */
const LONGEST_NEGATIVE = 3 * 3600
const LONGEST_POSITIVE = 24 * 3600
/** RFC 9520 §3.2: at least one second, so that a dead zone is not asked for at every message; a retry of the client finds it gone. */
const FAILURE = 5
/** What an entry takes besides its text. */
const OVERHEAD = 200

export class Cache {
  readonly #clock: Clock
  readonly #entries: LRUCache<string, Entry>

  /** @param bytes about how much memory it may take */
  constructor(clock: Clock, bytes: number) {
    this.#clock = clock
    this.#entries = new LRUCache({
      maxSize: bytes,
      sizeCalculation: (entry, key) => OVERHEAD + key.length + sizeOf(entry.known),
    })
  }

  get(key: string): Known | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    if (entry.until > this.#clock.monotonic()) return entry.known
    this.#entries.delete(key)
    return undefined
  }

  put(key: string, known: Known): void {
    const seconds = lifetimeOf(known)
    if (seconds > 0) this.#entries.set(key, { known, until: this.#clock.monotonic() + seconds * 1000 })
  }

  clear(): void {
    this.#entries.clear()
  }
}

function lifetimeOf(known: Known): number {
  if (known.kind === 'failure') return FAILURE
  return Math.min(known.ttl, known.kind === 'none' ? LONGEST_NEGATIVE : LONGEST_POSITIVE)
}

const sizeOf = (known: Known): number =>
  known.kind === 'records' ? known.records.reduce((sum, record) => sum + sizeOfRecord(record), 0) : 0

const sizeOfRecord = (record: AnyRecord): number =>
  typeof record === 'string' ? 32 + record.length : 64 + record.exchange.length
