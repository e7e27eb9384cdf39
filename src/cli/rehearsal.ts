/**
 * A configuration that is only tried out, against recorded sessions: its filters with the recording's clock, look-ups from a zone file or the
 * network, and a state of their own that is thrown away.
 *
 * External milters answer from the recording unless they are to be asked really.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { closeFilters, createFilters } from '../daemon/generation.ts'
import type { ChainFilter } from '../host/chain/member.ts'
import type { Configuration } from '../host/config/validate.ts'
import { silent } from '../host/observe/logger.ts'
import { MetricsRegistry } from '../host/plugin/metrics.ts'
import type { Dns } from '../host/plugin/services.ts'
import { fakeClock } from '../testing/clock.ts'
import type { RecordedSession } from '../testing/recording/recorded.ts'
import type { Outcomes } from '../testing/replay/outcome.ts'
import { ReplayStage } from '../testing/replay/replay.ts'
import { standInFor } from '../testing/replay/stand-in.ts'

export interface RehearsalOptions {
  readonly configuration: Configuration
  readonly dns: Dns
  /** External milters are asked. */
  readonly live: boolean
}

/** Plays them all; `done` is told of each when it is over. Gives by filter how many sessions it was asked anew in. */
export async function rehearse(
  { configuration, dns, live }: RehearsalOptions,
  sessions: Iterable<RecordedSession>,
  done: (session: RecordedSession, outcomes: Outcomes) => void,
): Promise<ReadonlyMap<string, number>> {
  const all = sessions[Symbol.iterator]()
  const first = all.next()
  const clock = fakeClock(first.value?.began)
  const state = mkdtempSync(join(tmpdir(), 'milterhost-replay-'))
  const { STATE_DIRECTORY: before } = process.env
  let filters: readonly ChainFilter[] = []
  const around = {
    clock,
    log: silent,
    services: { dns, metrics: new MetricsRegistry() },
    observe: () => {},
    rehearsal: true,
  }
  try {
    const { settings } = configuration
    const stage = new ReplayStage({ filters: () => filters, settings, clock })
    const entries = configuration.entries.map(configured =>
      configured.entry.kind === 'socket' && !live
        ? { ...configured, entry: standInFor(configured.entry, stage) }
        : configured,
    )
    process.env.STATE_DIRECTORY = state
    filters = await createFilters({ ...configuration, entries }, around)
    await stage.play(from(first, all), done)
    return stage.unknowns
  } finally {
    await closeFilters(filters, around)
    if (before === undefined) delete process.env.STATE_DIRECTORY
    else process.env.STATE_DIRECTORY = before
    rmSync(state, { recursive: true, force: true })
  }
}

function* from<T>(first: IteratorResult<T>, rest: Iterator<T>): Generator<T> {
  for (let next = first; next.done !== true; next = rest.next()) yield next.value
}
