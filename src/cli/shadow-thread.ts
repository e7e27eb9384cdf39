/**
 * The thread of a shadow configuration: plays each session that it is sent, and says what would have been different. It is the entry of a
 * worker thread and imported by nobody; `shadow.ts` starts it.
 *
 * A session comes when it is over and is played at once, without its pauses, at the time at which it began; nobody is made to wait. External milters answer as they answered
 * in the session.
 */
import { mkdirSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { createFilters } from '../daemon/generation.ts'
import type { ShadowAnswer } from '../daemon/shadow/shadow.ts'
import { Resolver } from '../dns/index.ts'
import type { ChainFilter } from '../host/chain/member.ts'
import { silent } from '../host/observe/logger.ts'
import { MetricsRegistry } from '../host/plugin/metrics.ts'
import { systemClock } from '../host/time/clock.ts'
import { fakeClock } from '../testing/clock.ts'
import type { RecordedSession } from '../testing/recording/recorded.ts'
import { compare } from '../testing/replay/compare.ts'
import { ReplayStage } from '../testing/replay/replay.ts'
import { standInFor } from '../testing/replay/stand-in.ts'
import { ConfigurationSource } from './configuration.ts'

const port = parentPort!
const say = (answer: ShadowAnswer): void => port.postMessage(answer)

mkdirSync(process.env.STATE_DIRECTORY!, { recursive: true, mode: 0o700 })
const { configuration } = await new ConfigurationSource(workerData as string).load()
const { settings } = configuration
const clock = fakeClock(Date.now())
let filters: readonly ChainFilter[] = []
const stage = new ReplayStage({ filters: () => filters, settings, clock, holds: false })
const dns = new Resolver({ clock: systemClock, log: silent, settings: settings.dns })
const entries = configuration.entries.map(configured =>
  configured.entry.kind === 'socket' ? { ...configured, entry: standInFor(configured.entry, stage) } : configured,
)
filters = await createFilters(
  { ...configuration, entries },
  { clock, log: silent, services: { dns, metrics: new MetricsRegistry() }, observe: () => {}, rehearsal: true },
)

const atOnce = (session: RecordedSession): RecordedSession => ({
  ...session,
  turns: session.turns.map(turn => ({ ...turn, at: 0 })),
})

/** One after the other. */
let last: Promise<void> = Promise.resolve()
port.on('message', (session: RecordedSession) => {
  last = last.then(() =>
    stage.play([atOnce(session)], (played, outcomes) => {
      say({ kind: 'played', ...compare(played, played.turns, outcomes) })
    }),
  )
})
say({ kind: 'ready' })
