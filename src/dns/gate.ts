/**
 * How many queries are out at once: each holds a socket, and a burst of mail must not take all file descriptors.
 *
 * Whoever waits leaves with its signal. First come, first served.
 */
export class Gate {
  readonly #most: number
  readonly #waiting = new Set<() => void>()
  #inside = 0

  constructor(most: number) {
    this.#most = most
  }

  /** Runs it when there is room. Rejects with the signal's reason when that comes first. */
  async run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    signal.throwIfAborted()
    if (this.#inside < this.#most) this.#inside++
    else await this.#turn(signal)
    try {
      return await work()
    } finally {
      const next = this.#waiting.values().next().value
      // The place is handed on, not given up: nobody may come in between.
      if (next === undefined) this.#inside--
      else next()
    }
  }

  async #turn(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const enter = (): void => {
      this.#waiting.delete(enter)
      signal.removeEventListener('abort', leave)
      resolve()
    }
    const leave = (): void => {
      this.#waiting.delete(enter)
      reject(signal.reason)
    }
    signal.addEventListener('abort', leave, { once: true })
    this.#waiting.add(enter)
    await promise
  }
}
