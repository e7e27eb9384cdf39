/**
 * What filters are given in commands that make them once and end: real DNS, the system's clock, a log of warnings.
 */
import { createFilters, type Surroundings } from '../daemon/generation.ts'
import { Resolver } from '../dns/index.ts'
import type { ChainFilter } from '../host/chain/member.ts'
import type { Settings } from '../host/config/settings.ts'
import type { Configuration } from '../host/config/validate.ts'
import { createLog } from '../host/observe/output.ts'
import { MetricsRegistry } from '../host/plugin/metrics.ts'
import { systemClock } from '../host/time/clock.ts'
import { complain } from './console.ts'

export function surroundings({ dns }: Settings): Surroundings {
  const clock = systemClock
  const log = createLog({ clock, level: 'warn', format: 'text', write: line => complain(line.trimEnd()) })
  return {
    clock,
    log,
    services: { dns: new Resolver({ clock, log, settings: dns }), metrics: new MetricsRegistry() },
    observe: () => {},
  }
}

/** Each enabled entry's filter, or the error that kept it from being made: the others are made all the same. */
export async function tryFilters(
  { entries, settings, policy }: Configuration,
  around: Surroundings,
): Promise<Map<string, ChainFilter | Error>> {
  const made = new Map<string, ChainFilter | Error>()
  for (const configured of entries) {
    if (!configured.policy.enabled) continue
    try {
      const [filter] = await createFilters({ entries: [configured], settings, policy }, around)
      made.set(configured.policy.name, filter!)
    } catch (error) {
      made.set(configured.policy.name, error as Error)
    }
  }
  return made
}
