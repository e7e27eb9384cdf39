/**
 * What outlives a reload: things that filters of one generation hand on to those of the next, by key.
 *
 * A filter leases a thing and gives it back when it is closed. The next generation is made before the one before it is closed, so a
 * thing that both lease goes on; it is closed when nobody leases it any more. One that is made while the one before it is still being closed is
 * told when that is over. The daemon has one, commands and tests one each.
 */

/** Something that can be handed on. */
export interface Keepable {
  close(): Promise<void>
}

export interface Lease<T> {
  readonly value: T
  /** Once. Resolves when the thing is closed, or at once when others still lease it. */
  release(): Promise<void>
}

export class Kept {
  readonly #things = new Map<string, { readonly value: Keepable; leases: number }>()
  readonly #closing = new Map<string, Promise<void>>()

  /**
   * The thing of that key, made if there is none. A key always means the same type.
   * @param make `former` resolves when the thing of that key before it is closed; `null` when none is being closed.
   */
  lease<T extends Keepable>(key: string, make: (former: Promise<void> | null) => T): Lease<T> {
    const thing = this.#things.get(key) ?? { value: make(this.#closing.get(key) ?? null), leases: 0 }
    this.#things.set(key, thing)
    thing.leases += 1
    return {
      value: thing.value as T,
      release: async () => {
        thing.leases -= 1
        if (thing.leases > 0) return
        this.#things.delete(key)
        const closed = thing.value.close()
        // An error is told to who releases; the next one only has to know that it is over.
        const over = Promise.allSettled([this.#closing.get(key), closed]).then(() => {
          if (this.#closing.get(key) === over) this.#closing.delete(key)
        })
        this.#closing.set(key, over)
        await closed
      },
    }
  }
}
