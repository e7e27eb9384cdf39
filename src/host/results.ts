/**
 * Typed results that one filter publishes and later ones read, instead of parsing each other's headers.
 *
 * A key is an object that carries its type. What is published before MAIL lives as long as the connection, what is published
 * from MAIL on as long as the message. Two packages that make a key of the same name mean the same thing: keys are
 * compared by name, so that two copies of a package can talk.
 */

declare const type: unique symbol

/** Names a result and its type. Make one with `resultKey`. */
export interface ResultKey<T> {
  readonly name: string
  readonly [type]?: T
}

/** A key for a typed result, e.g. `resultKey<SpfResult>('spf')`. */
export const resultKey = <T>(name: string): ResultKey<T> => Object.freeze({ name })

export class ResultStore {
  /** Made when there is something to keep: most sessions have nothing. */
  #connection: Map<string, unknown> | null = null
  #message: Map<string, unknown> | null = null
  #inMessage = false

  publish<T>(key: ResultKey<T>, value: T): void {
    if (this.#inMessage) {
      this.#message ??= new Map()
      this.#message.set(key.name, value)
    } else {
      this.#connection ??= new Map()
      this.#connection.set(key.name, value)
    }
  }

  get<T>(key: ResultKey<T>): T | undefined {
    // The cast is the contract of a key: only `publish` of the same key puts a value here.
    return (this.#message?.get(key.name) ?? this.#connection?.get(key.name)) as T | undefined
  }

  beginMessage(): void {
    this.#message = null
    this.#inMessage = true
  }

  endMessage(): void {
    this.#message = null
    this.#inMessage = false
  }
}
