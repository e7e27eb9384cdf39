/**
 * What outlives a reload: things that filters of one generation hand on to those of the next, by key.
 *
 * A filter leases a thing and gives it back when it is closed. The next generation is made before the one before it is closed, so a
 * thing that both lease goes on; it is closed when nobody leases it any more. The daemon has one, commands and tests one each.
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

  /** The thing of that key, made if there is none. A key always means the same type. */
  lease<T extends Keepable>(key: string, make: () => T): Lease<T> {
    const thing = this.#things.get(key) ?? { value: make(), leases: 0 }
    this.#things.set(key, thing)
    thing.leases += 1
    return {
      value: thing.value as T,
      release: async () => {
        thing.leases -= 1
        if (thing.leases > 0) return
        this.#things.delete(key)
        await thing.value.close()
      },
    }
  }
}
