/** What every test of a look-up needs: somewhere to open it, and real time. */

import type { Logger } from '../../src/host/observe/logger.ts'
import { MetricsRegistry } from '../../src/host/plugin/metrics.ts'
import type { Lookup, LookupEntry, LookupEnvironment } from '../../src/host/policy/lookup.ts'
import { systemClock } from '../../src/host/time/clock.ts'
import { onCleanup } from '../interop/harness/index.ts'

export const never: AbortSignal = new AbortController().signal

export interface Around extends LookupEnvironment {
  readonly said: string[]
}

export function around(): Around {
  const said: string[] = []
  const logger: Logger = {
    debug: () => {},
    info: (_, text) => said.push(`info ${text}`),
    warn: (_, text) => said.push(`warn ${text}`),
    error: (_, text) => said.push(`error ${text}`),
    child: () => logger,
  }
  return { clock: systemClock, log: logger, metrics: new MetricsRegistry(), said }
}

/** Opened now, closed at the end of the file. */
export async function opened<T>(entry: LookupEntry<T>, environment: LookupEnvironment = around()): Promise<Lookup<T>> {
  const lookup = await entry.open(environment)
  onCleanup(() => lookup.close())
  return lookup
}

/** The value, or the code of the error. */
export async function answerOf<T>(lookup: Lookup<T>, key: string): Promise<T | null | string> {
  try {
    return (await lookup.find(key, never)).value
  } catch (error) {
    return (error as { readonly code: string }).code
  }
}

export const codeOf = async (run: Promise<unknown>): Promise<string> => {
  try {
    await run
    return 'fine'
  } catch (error) {
    return (error as { readonly code: string }).code
  }
}
