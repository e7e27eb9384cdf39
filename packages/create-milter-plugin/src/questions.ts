/**
 * Asks at a terminal for what the command line left open; an answer that cannot be used is told and asked for again.
 *
 * Reads and writes only the streams it is given. Called by the command line, never when standard input is no terminal.
 */
import { createInterface } from 'node:readline/promises'
import { CreateError, HOOKS, type Hook, type Names, type Option, readHooks, readName, readOptions } from './choice.ts'

export interface Asked {
  readonly names: Names
  readonly hooks: readonly Hook[] | null
  readonly options: readonly Option[] | null
}

/** What is `null` in `given` is asked for. Rejects with a `CreateError` when the terminal goes away. */
export async function ask(
  given: { readonly [K in keyof Asked]: Asked[K] | null },
  input: NodeJS.ReadableStream,
  output: NodeJS.WritableStream,
): Promise<Asked> {
  const terminal = createInterface({ input, output })
  const gone = new Promise<never>((_, reject) =>
    terminal.once('close', () => reject(new CreateError('nothing was written'))),
  )
  gone.catch(() => {})
  const answer = async <T>(question: string, read: (text: string) => T): Promise<T> => {
    for (;;) {
      const text = await Promise.race([terminal.question(question), gone])
      try {
        return read(text)
      } catch (error) {
        if (!(error instanceof CreateError)) throw error
        output.write(`${error.message}\n`)
      }
    }
  }
  try {
    const names = given.names ?? (await answer('Name of the plugin: ', readName))
    const hooks =
      given.hooks ??
      (await answer(`Hooks, of ${HOOKS.join(' ')}\n(none: an example that tags large messages): `, text =>
        readHooks(text),
      ))
    if (hooks.length === 0 && given.options === null) return { names, hooks: null, options: null }
    const options =
      given.options ??
      (await answer('Options, such as limit:number=10 word:string (none: no options): ', text => readOptions(text)))
    return { names, hooks, options }
  } finally {
    terminal.close()
  }
}
