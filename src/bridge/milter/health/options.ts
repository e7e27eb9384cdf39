/**
 * `health` of a socket entry: what the postmaster may say about looking after an external milter.
 *
 * Only read here; `keeper.ts` does what is said. Called by `socket(…)` when the filter is made.
 */
import { parseDuration } from '../../../host/config/duration.ts'
import type { Duration } from '../../../host/config/entry.ts'
import { shown, suggestion } from '../../../host/config/problem.ts'

/** How one looks after a milter. */
export interface HealthOptions {
  /** How long a milter may take to answer a probe before it counts as wedged. @default `'4s'`, or `timeouts.connect` if that is less */
  readonly timeout?: Duration
  /** How often a milter is probed that nobody speaks to; otherwise a probe needs a cause. @default never */
  readonly interval?: Duration
}

/** What each takes, in words, for the documentation. */
export const HEALTH_OPTIONS: Readonly<Record<keyof HealthOptions, string>> = {
  timeout: 'duration',
  interval: 'duration, at least 1 s',
}

const KEYS = Object.keys(HEALTH_OPTIONS)
const PATIENCE = 4_000
/** More often would be a load, and find nothing that a session does not find. */
const LEAST_INTERVAL = 1_000

/** In milliseconds; `connect` are those of `timeouts.connect`. What is wrong goes into `problems`. */
export function healthOf(
  given: HealthOptions | undefined,
  connect: number,
  problems: string[],
): { readonly patience: number; readonly interval: number | null } {
  const usual = { patience: Math.min(PATIENCE, connect), interval: null }
  if (given === undefined) return usual
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    problems.push(`health must be an object such as { interval: '1m' }, not ${shown(given)}`)
    return usual
  }
  for (const key of Object.keys(given)) {
    if (!KEYS.includes(key)) problems.push(`health.${key} is not an option${suggestion(key, KEYS)}`)
  }
  return {
    patience: read(given, 'timeout', 1, problems) ?? usual.patience,
    interval: read(given, 'interval', LEAST_INTERVAL, problems),
  }
}

function read(given: HealthOptions, key: keyof HealthOptions, least: number, problems: string[]): number | null {
  const value = given[key]
  if (value === undefined) return null
  try {
    const milliseconds = parseDuration(value)
    if (milliseconds >= least) return milliseconds
    problems.push(`health.${key} must be at least ${least / 1000} s, not ${shown(value)}`)
  } catch (error) {
    problems.push(`health.${key} ${(error as Error).message}`)
  }
  return null
}
