/** A source that a test answers by hand, behind the real engine and a clock that stands still. */

import type { Logger } from '../../../src/host/observe/logger.ts'
import { MetricsRegistry } from '../../../src/host/plugin/metrics.ts'
import { guardedEntry } from '../../../src/host/policy/guard.ts'
import type { Lookup, LookupEnvironment, Source } from '../../../src/host/policy/lookup.ts'
import { type LookupOptions, readLookupOptions } from '../../../src/host/policy/lookup-options.ts'
import { type FakeClock, fakeClock } from '../../../src/testing/clock.ts'

export const never: AbortSignal = new AbortController().signal

export interface Bench {
  readonly clock: FakeClock
  readonly around: LookupEnvironment
  /** `warn a look-up failed: onError serves`. */
  readonly said: string[]
  /** How often each way of answering was counted. */
  counts(): Readonly<Record<string, number>>
}

export function bench(): Bench {
  const clock = fakeClock()
  const metrics = new MetricsRegistry()
  const said: string[] = []
  const logger: Logger = {
    debug: (_, text) => said.push(`debug ${text}`),
    info: (_, text) => said.push(`info ${text}`),
    warn: (_, text) => said.push(`warn ${text}`),
    error: (_, text) => said.push(`error ${text}`),
    child: () => logger,
  }
  const counts = (): Record<string, number> =>
    Object.fromEntries(
      metrics.snapshot().flatMap(({ samples }) => samples.map(({ labels, value }) => [labels.result!, value])),
    )
  return { clock, around: { clock, log: logger, metrics }, said, counts }
}

/** The look-up over a function, with the options as a postmaster writes them. */
export async function guardedLookup<T = unknown>(
  around: LookupEnvironment,
  get: Source['get'],
  options: LookupOptions<T> = {},
  rest: Partial<Source> = {},
): Promise<Lookup<T>> {
  const { settings } = readLookupOptions<T, Record<never, never>>('test', {}, options, false)
  const source: Source = { get, probe: () => {}, close: () => {}, ...rest }
  return guardedEntry('a test', settings, () => source).open(around)
}
