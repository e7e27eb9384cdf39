// Waiting with a deadline. Deadlines are generous (a loaded two-core machine) and only ever bound a failure: a test that passes
// waits for the event or the condition itself.

/** Seconds that anything here may take before it counts as never. */
export const PATIENCE = 30

/** The promise, or an error that says what was waited for. */
export async function within<T>(seconds: number, what: string | (() => string), promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`not within ${seconds} s: ${typeof what === 'string' ? what : what()}`)),
      seconds * 1000,
    )
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Asks every 20 ms until the answer is neither undefined nor false. */
export async function until<T>(
  what: string | (() => string),
  ask: () => T | undefined | false | Promise<T | undefined | false>,
  seconds: number = PATIENCE,
): Promise<T> {
  const deadline = performance.now() + seconds * 1000
  for (;;) {
    const answer = await ask()
    if (answer !== undefined && answer !== false) return answer
    if (performance.now() > deadline) {
      throw new Error(`not within ${seconds} s: ${typeof what === 'string' ? what : what()}`)
    }
    await sleep(0.02)
  }
}

export function sleep(seconds: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, seconds * 1000))
}
