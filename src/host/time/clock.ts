/**
 * Time as a parameter.
 *
 * Nothing in the host reads a clock or starts a timer of its own: it is passed a `Clock`, so that a test can move
 * time by hand and a simulator can replay a session.
 */
export interface Clock {
  /** Wall clock, milliseconds since 1970. */
  now(): number
  /** Milliseconds from an arbitrary start, never going back. */
  monotonic(): number
  /** Calls once after so many milliseconds; the result cancels. Never keeps the process alive. */
  after(milliseconds: number, call: () => void): () => void
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(milliseconds, call) {
    const timer = setTimeout(call, milliseconds)
    timer.unref()
    return () => clearTimeout(timer)
  },
}
