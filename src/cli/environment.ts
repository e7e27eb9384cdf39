/**
 * What filters are given in commands that make them once and end: real DNS, the system's clock, a log of warnings.
 */
import { createFilters, type Surroundings } from '../daemon/generation.ts'
import type { ChainFilter } from '../host/chain/member.ts'
import type { Configuration } from '../host/config/validate.ts'
import type { Observer } from '../host/observe/event.ts'
import { createLog } from '../host/observe/output.ts'
import { systemDns } from '../host/plugin/dns.ts'
import { MetricsRegistry } from '../host/plugin/metrics.ts'
import { systemClock } from '../host/time/clock.ts'
import { complain } from './console.ts'

export function surroundings(observe: Observer = () => {}): Surroundings {
  return {
    clock: systemClock,
    log: createLog({ clock: systemClock, level: 'warn', format: 'text', write: line => complain(line.trimEnd()) }),
    services: { dns: systemDns(), metrics: new MetricsRegistry() },
    observe,
  }
}

/** Each enabled entry's filter, or the error that kept it from being made: the others are made all the same. */
export async function tryFilters(
  { entries, settings }: Configuration,
  around: Surroundings,
): Promise<Map<string, ChainFilter | Error>> {
  const made = new Map<string, ChainFilter | Error>()
  for (const configured of entries) {
    if (!configured.policy.enabled) continue
    try {
      const [filter] = await createFilters({ entries: [configured], settings }, around)
      made.set(configured.policy.name, filter!)
    } catch (error) {
      made.set(configured.policy.name, error as Error)
    }
  }
  return made
}
