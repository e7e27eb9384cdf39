/**
 * Single flight: whoever asks what is being asked already waits for the same answer.
 *
 * Each waits with its own signal and leaves alone; when the last has left, the work itself is cancelled.
 */
import { DnsError } from './error.ts'

interface Flight<T> {
  readonly result: Promise<T>
  readonly controller: AbortController
  waiting: number
}

export class Flights<T> {
  readonly #flights = new Map<string, Flight<T>>()

  async join(key: string, signal: AbortSignal | undefined, start: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const flight = this.#flights.get(key) ?? this.#begin(key, start)
    flight.waiting++
    try {
      return await settledOrAborted(flight.result, signal)
    } finally {
      if (--flight.waiting === 0) {
        // Whoever comes now must not join what is being cancelled.
        if (this.#flights.get(key) === flight) this.#flights.delete(key)
        flight.controller.abort()
      }
    }
  }

  #begin(key: string, start: (signal: AbortSignal) => Promise<T>): Flight<T> {
    const controller = new AbortController()
    const flight: Flight<T> = { result: start(controller.signal), controller, waiting: 0 }
    this.#flights.set(key, flight)
    // Those who wait are told; when nobody does any more, nobody needs to be.
    flight.result.catch(() => {})
    return flight
  }
}

async function settledOrAborted<T>(result: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return result
  const { promise, reject } = Promise.withResolvers<never>()
  const leave = (): void => reject(new DnsError('ECANCELLED', 'look-up', ''))
  signal.addEventListener('abort', leave, { once: true })
  try {
    return await Promise.race([result, promise])
  } finally {
    signal.removeEventListener('abort', leave)
  }
}
