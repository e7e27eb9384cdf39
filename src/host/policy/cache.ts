/**
 * Answers that were given before, each until it expires, the least recently used leaving first when there are too many.
 *
 * An expired answer stays for a while longer: it is what there is when the source cannot be asked. No clock of its own; one
 * cache a look-up.
 */

export interface Cached<T> {
  readonly value: T | null
  /** On the monotonic clock, milliseconds. */
  readonly at: number
}

export interface CacheSettings {
  /** Milliseconds an answer is good for. */
  readonly ttl: number
  /** The same for "nothing under this key". */
  readonly negative: number
  /** Milliseconds an answer may still be used when the source fails. */
  readonly stale: number
  /** Most keys. */
  readonly size: number
}

export class LookupCache<T> {
  readonly #settings: CacheSettings
  /** In the order of use, the oldest first: a `Map` keeps the order of insertion. */
  readonly #kept = new Map<string, Cached<T>>()

  constructor(settings: CacheSettings) {
    this.#settings = settings
  }

  get size(): number {
    return this.#kept.size
  }

  /** An answer that still holds. */
  fresh(key: string, now: number): Cached<T> | undefined {
    const cached = this.#kept.get(key)
    if (cached === undefined || now - cached.at >= this.#life(cached)) return undefined
    this.#kept.delete(key)
    this.#kept.set(key, cached)
    return cached
  }

  /** An answer for want of a better one. */
  stale(key: string, now: number): Cached<T> | undefined {
    const cached = this.#kept.get(key)
    return cached !== undefined && now - cached.at < this.#settings.stale ? cached : undefined
  }

  put(key: string, cached: Cached<T>): void {
    this.#kept.delete(key)
    this.#kept.set(key, cached)
    if (this.#kept.size <= this.#settings.size) return
    for (const oldest of this.#kept.keys()) {
      this.#kept.delete(oldest)
      return
    }
  }

  clear(): void {
    this.#kept.clear()
  }

  #life({ value }: Cached<T>): number {
    return value === null ? this.#settings.negative : this.#settings.ttl
  }
}
