/**
 * `milterhost replay DIR --config FILE`: plays recorded sessions against a proposed configuration and prints what would have been different:
 * by filter, and message by message.
 *
 * Compared is with what was recorded, or with what another configuration does with the same sessions. Nothing that is running is asked or changed: see
 * `rehearsal.ts`.
 */
import { Command } from 'commander'
import { Resolver } from '../dns/index.ts'
import type { Configuration } from '../host/config/validate.ts'
import { hostError } from '../host/errors.ts'
import { silent } from '../host/observe/logger.ts'
import type { Dns } from '../host/plugin/services.ts'
import { systemClock } from '../host/time/clock.ts'
import { fakeDns } from '../testing/dns.ts'
import type { Outcomes } from '../testing/replay/outcome.ts'
import { ReplayReport } from '../testing/replay/report.ts'
import { ConfigurationSource } from './configuration.ts'
import { EXIT, type ExitCode, print, printJson, printProgress } from './console.ts'
import { Progress } from './progress.ts'
import { Recordings } from './recordings.ts'
import { rehearse } from './rehearsal.ts'
import { replayText } from './replay-text.ts'
import { zoneOf } from './try.ts'

interface ReplayOptions {
  readonly config?: string
  readonly against?: string
  readonly dns?: string
  readonly live?: true
  readonly json?: true
}

export const replayCommand = (done: (code: ExitCode) => void): Command =>
  new Command('replay')
    .description('play recorded sessions against a configuration and show what would have been different')
    .argument('<folder>', 'recordings, as record.directory has them')
    .option('-c, --config <file>', 'the proposed configuration, or the folder it lies in')
    .option('--against <file>', 'compare with what this configuration does, not with what was recorded')
    .option(
      '--dns <zone>',
      'answer look-ups from this zone file, or "live" from the network; without it no name is known',
    )
    .option('--live', 'ask external milters really; without it they answer as recorded')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Examples:
  milterhost replay /var/lib/milterhost/recordings --config ./new.config.ts
  milterhost replay recordings --config ./new.config.ts --against /etc/milterhost --dns answers.zone

Exit codes:
  0  nothing would have been different
  1  something would
  2  the command line or a configuration is wrong, or there is nothing to play`,
    )
    .action(async (folder: string, options: ReplayOptions) => done(await replay(folder, options)))

async function replay(folder: string, options: ReplayOptions): Promise<ExitCode> {
  const recordings = new Recordings(folder)
  const source = new ConfigurationSource(options.config)
  const { configuration } = await source.load()
  const { against, live = false } = options
  const progress = new Progress(process.stderr.isTTY ? printProgress : null, () => performance.now())
  const total = recordings.count * (against === undefined ? 1 : 2)
  let count = 0
  const before = new Map<string, Outcomes>()
  const play = async (
    played: Configuration,
    done: Parameters<typeof rehearse>[2],
  ): Promise<ReadonlyMap<string, number>> => {
    const dns = dnsOf(options.dns, played)
    return rehearse({ configuration: played, dns, live }, recordings.sessions(), (session, outcomes) => {
      progress.show(++count, total)
      done(session, outcomes)
    })
  }
  if (against !== undefined) {
    const other = (await source.another(against)).configuration
    await play(other, (session, outcomes) => before.set(recordings.fileOf(session), outcomes))
  }
  const report = new ReplayReport()
  const unknowns = await play(configuration, (session, outcomes) => {
    const file = recordings.fileOf(session)
    report.add(file, session, before.get(file) ?? session.turns, outcomes)
  })
  progress.clear()
  const { unreadable } = recordings
  if (report.sessions === 0)
    throw hostError('REPLAY_EMPTY', folder, `none of its ${recordings.count} files can be read; ${unreadable[0]!.why}`)
  const { sessions, messages, changed, counts } = report
  const result = { sessions, messages, counts, changed, unreadable, unknowns }
  if (options.json) printJson(result)
  else print(replayText(result))
  return changed.length > 0 ? EXIT.failed : EXIT.ok
}

function dnsOf(named: string | undefined, { settings }: Configuration): Dns {
  if (named === undefined) return fakeDns()
  if (named !== 'live') return zoneOf(named)
  return new Resolver({ clock: systemClock, log: silent, settings: settings.dns })
}
