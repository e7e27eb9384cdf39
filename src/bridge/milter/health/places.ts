/**
 * The places of an external milter that bears only so many connections at once (`concurrency`), and who waits for one.
 *
 * First come, first served. Who waits is bounded by its own signal: the command's deadline, a client that leaves. A session that
 * rests between two messages gives its connection up when somebody waits, and is met anew with its next message; one that is
 * within a message keeps it. A place is given back once for each that was taken.
 */

/** A session that has a connection and does not need it now. */
export interface Resting {
  /** Closes its connection; called within `take` or `rest`. */
  letGo(): void
}

interface Waiting {
  readonly admit: () => void
  readonly refuse: (error: Error) => void
}

export class Places {
  /** May be changed; who has a place keeps it. */
  most: number
  readonly #waiting = new Set<Waiting>()
  readonly #resting = new Set<Resting>()
  #taken = 0

  constructor(most: number) {
    this.most = most
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /** Takes a place, or waits for one. Rejects with `error()` when the signal is aborted before. */
  take(signal: AbortSignal, error: () => Error): void | Promise<void> {
    if (this.#taken < this.most && this.#waiting.size === 0) {
      this.#taken += 1
      return
    }
    return new Promise<void>((resolve, reject) => {
      const over = (): void => {
        this.#waiting.delete(waiting)
        signal.removeEventListener('abort', onAbort)
      }
      const waiting: Waiting = {
        admit: () => {
          over()
          resolve()
        },
        refuse: why => {
          over()
          reject(why)
        },
      }
      const onAbort = (): void => waiting.refuse(error())
      this.#waiting.add(waiting)
      signal.addEventListener('abort', onAbort, { once: true })
      if (signal.aborted) return onAbort()
      const [resting] = this.#resting
      if (resting !== undefined) this.#reclaim(resting)
    })
  }

  /** A connection is closed, or came to nothing. */
  free(): void {
    this.#taken -= 1
    if (this.#taken >= this.most) return
    const [next] = this.#waiting
    if (next === undefined) return
    this.#taken += 1
    next.admit()
  }

  /** The session has no use for its connection until it wakes. */
  rest(resting: Resting): void {
    if (this.#waiting.size > 0) this.#reclaim(resting)
    else this.#resting.add(resting)
  }

  wake(resting: Resting): void {
    this.#resting.delete(resting)
  }

  /** Nobody is to wait any more: the milter is not there. */
  refuse(error: Error): void {
    for (const waiting of [...this.#waiting]) waiting.refuse(error)
  }

  #reclaim(resting: Resting): void {
    this.#resting.delete(resting)
    resting.letGo()
  }
}
