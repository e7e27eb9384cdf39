// What the harness started and has to end. Everything that starts something registers its end here; whoever ends it earlier calls
// the function it got back. Knows nothing of vitest (index.ts ties it to the end of each test file), so that the bench can use it.

type End = () => void | Promise<void>

const pending = new Set<End>()

/** Registers an end. The returned function runs it once; further calls wait for that run. */
export function onCleanup(end: End): () => Promise<void> {
  let running: Promise<void> | undefined
  const once = (): Promise<void> => {
    pending.delete(once)
    running ??= Promise.resolve(end())
    return running
  }
  pending.add(once)
  return once
}

/** Ends all that is still there, the youngest first, one after the other. */
export async function cleanUp(): Promise<void> {
  const errors: unknown[] = []
  for (const end of [...pending].reverse()) {
    try {
      await end()
    } catch (error) {
      errors.push(error)
    }
  }
  if (errors.length > 0) throw new AggregateError(errors, 'the harness could not clean up')
}
