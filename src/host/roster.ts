/**
 * A set for what comes and goes all day long: sessions, connections, waits.
 *
 * What a session leaves behind should be freed young. V8 (13.6, Node 24) moves to its old generation, and so copies twice and keeps until the
 * next full collection, whatever hangs on something old, even on something old that is garbage itself. Three things make a chain
 * of that kind, and code that runs for every session avoids them:
 *
 * - A `Set` or `Map` that is added to and deleted from gets a new table every few deletions, and the old table leads to the new one. One that
 *   lived through a quiet minute so keeps all later ones, with whatever was in them. Hence this list, whose members let go of each other.
 * - A function literal that is assigned to a property (and a getter of an object literal) is allocated old, and keeps what
 *   it captures. One that is given a name first, an argument, or the initial value of a class field is not.
 * - Node's `Writable` has such a literal, so every closed socket is kept. Whoever listens to one stops when it has closed.
 */

/** The standing of an item in a roster. Made once for an item and used again each time that it enters; in one roster at a time. */
export class Entry<T> {
  readonly item: T
  /** Of the roster it is in. */
  before: Entry<T> | null = null
  after: Entry<T> | null = null
  roster: Roster<T> | null = null

  constructor(item: T) {
    this.item = item
  }
}

export class Roster<T> implements Iterable<T> {
  #oldest: Entry<T> | null = null
  #newest: Entry<T> | null = null
  #size = 0

  get size(): number {
    return this.#size
  }

  has(entry: Entry<T>): boolean {
    return entry.roster === this
  }

  /** At the end; nothing happens to one that is in it. Throws for an entry that is in another roster. */
  enter(entry: Entry<T>): void {
    if (entry.roster === this) return
    if (entry.roster !== null) throw new Error('an entry can be in one roster only')
    entry.roster = this
    entry.before = this.#newest
    if (this.#newest === null) this.#oldest = entry
    else this.#newest.after = entry
    this.#newest = entry
    this.#size += 1
  }

  /** Whether it was there. */
  leave(entry: Entry<T>): boolean {
    if (entry.roster !== this) return false
    const { before, after } = entry
    if (before === null) this.#oldest = after
    else before.after = after
    if (after === null) this.#newest = before
    else after.before = before
    entry.roster = null
    entry.before = null
    entry.after = null
    this.#size -= 1
    return true
  }

  clear(): void {
    while (this.#oldest !== null) this.leave(this.#oldest)
  }

  /** Those that are in it now, the oldest first, whoever comes or leaves meanwhile. */
  [Symbol.iterator](): IterableIterator<T> {
    const items: T[] = []
    for (let entry = this.#oldest; entry !== null; entry = entry.after) items.push(entry.item)
    return items.values()
  }
}
