/**
 * What plugins of one configuration offer each other: a greylist its learned list, a resolver its cache.
 *
 * Not results (`results.ts`), which belong to one message: a service is an object with methods that lives as long as the
 * configuration's generation. Plugins never import one another; both make a key of the same name, and keys are compared by name,
 * so that two packages, or two copies of one, can talk. The first provider in the order of `filters` is the one that is
 * found. The composition root makes one for each generation; `host.provide` and `host.service` are a plugin's view of it.
 */

declare const type: unique symbol

/** Names a service and its type. Make one with `serviceKey`. */
export interface ServiceKey<T> {
  readonly name: string
  readonly [type]?: T
}

/** A key for a service, e.g. `serviceKey<Ladder>('greylist.ladder')`. Begin the name with that of your plugin. */
export const serviceKey = <T>(name: string): ServiceKey<T> => Object.freeze({ name })

export class SharedServices {
  readonly #provided = new Map<string, { readonly by: string; readonly value: unknown }>()

  /** `null`, or the name of the filter that had provided it before: then nothing has changed. */
  provide<T>(key: ServiceKey<T>, value: T, by: string): string | null {
    const before = this.#provided.get(key.name)
    if (before !== undefined) return before.by
    this.#provided.set(key.name, { by, value })
    return null
  }

  get<T>(key: ServiceKey<T>): T | undefined {
    // The cast is the contract of a key: only `provide` of the same name puts a value here.
    return this.#provided.get(key.name)?.value as T | undefined
  }
}
