/**
 * `milterhost run`: the daemon in the foreground, its log on standard error, its signals.
 *
 * SIGHUP reloads, SIGTERM and SIGINT drain and end within 30 seconds, a second one ends at once, SIGUSR1 does nothing. An error that escapes from a
 * plugin is logged and serving goes on: ending would cut every message in work, of the other filters too.
 */
import { Command, Option } from 'commander'
import { inheritedLauncher } from '../bridge/launch/index.ts'
import { readPostfix } from '../bridge/mta/index.ts'
import { formatSocketAddress } from '../bridge/wire/index.ts'
import { inheritedSockets } from '../daemon/activation.ts'
import { SWITCHES } from '../daemon/control/overrides.ts'
import { controlPlace } from '../daemon/control/place.ts'
import { fileLimit } from '../daemon/files.ts'
import { keepServing, untilEnded } from '../daemon/process.ts'
import { type Daemon, startDaemon } from '../daemon.ts'
import { Resolver } from '../dns/index.ts'
import { installation } from '../host/config/installation.ts'
import { LogLines } from '../host/observe/lines.ts'
import { logEvents } from '../host/observe/log.ts'
import { chooseFormat, createLog, type LevelledLogger, type LogFormat } from '../host/observe/output.ts'
import { MetricsRegistry } from '../host/plugin/metrics.ts'
import { stateFilePath } from '../host/plugin/state-file.ts'
import { systemClock } from '../host/time/clock.ts'
import { ConfigurationSource } from './configuration.ts'
import { complain, EXIT, EXIT_HELP, type ExitCode, print, printJson } from './console.ts'
import { firstLook, followDetected } from './detection.ts'
import { mtaLines, mtaText } from './mta-lines.ts'
import { ServiceManager } from './service-manager.ts'
import { startShadow } from './shadow.ts'

const DRAIN = 25_000

interface RunOptions {
  readonly config?: string
  readonly logFormat?: LogFormat
  readonly json?: true
}

export const runCommand = (done: (code: ExitCode) => void): Command =>
  new Command('run')
    .description('run the filters for an MTA, in the foreground')
    .option('-c, --config <file>', 'configuration file, or the folder it lies in')
    .addOption(new Option('--log-format <format>', 'instead of log.format').choices(['text', 'json', 'journald']))
    .option('--json', 'print where it listens as JSON')
    .addHelpText(
      'after',
      `
Signals: SIGHUP reads the configuration again; SIGTERM and SIGINT finish running messages and end within 30 s,
a second one ends at once.

Examples:
  milterhost run
  milterhost run --config /etc/milterhost/milterhost.config.ts
${EXIT_HELP}`,
    )
    .action(async (options: RunOptions) => done(await run(options)))

async function run(options: RunOptions): Promise<ExitCode> {
  const hangups = new Hangups()
  const inherited = inheritedSockets(process.env, process.pid)
  // They are for this process alone.
  for (const name of ['LISTEN_FDS', 'LISTEN_PID', 'LISTEN_FDNAMES']) delete process.env[name]
  const source = new ConfigurationSource(
    options.config,
    inherited.flatMap(({ address }) => address ?? []),
  )
  const before = firstLook()
  const first = await source.load()
  const { settings } = first.configuration
  const { level, format } = settings.log
  const lines = new LogLines(systemClock, text => complain(text.slice(0, -1)))
  process.on('exit', () => lines.flush())
  const log = createLog({
    clock: systemClock,
    level,
    format: options.logFormat ?? chooseFormat(format, process.stderr.isTTY ?? false, process.env),
    write: lines.add,
  })
  keepServing(log)
  if (first.file === null) log.info({}, 'no milterhost.config file found: using the default configuration')
  else log.info({ file: first.file }, 'configuration read')
  const dns = new Resolver({ clock: systemClock, log, settings: settings.dns })
  let loaded: typeof first | null = first
  const asked = Promise.withResolvers<void>()
  const manager = new ServiceManager({ environment: { ...process.env }, pid: process.pid, clock: systemClock, log })
  let daemon: Daemon | null = null
  const tell = (phase: 'begins' | 'ended'): void => {
    if (daemon !== null) void (phase === 'begins' ? manager.reloading() : manager.ready(servingText(daemon)))
  }
  daemon = await startDaemon({
    clock: systemClock,
    log,
    launcher: inheritedLauncher(process.env),
    services: { dns, metrics: new MetricsRegistry() },
    observe: logEvents(log, systemClock, () => log.writes('debug')),
    load: async () => {
      const { configuration } = loaded ?? (await source.load())
      loaded = null
      return configuration
    },
    postfix: () => readPostfix(),
    files: fileLimit(),
    onConfigured: ({ settings }) => {
      log.setLevel(settings.log.level)
      dns.configure(settings.dns)
    },
    inherited,
    shadow: startShadow,
    onReload: tell,
    control: {
      place: controlPlace(process.env),
      overrides: stateFilePath(SWITCHES, process.env),
      version: installation().version,
      pid: process.pid,
      end: asked.resolve,
    },
  })
  announce(daemon, log, options.json === true)
  if (inherited.length > 0)
    log.info({ sockets: inherited.length }, 'listening on the sockets of systemd, not on those of the configuration')
  await manager.ready(servingText(daemon))
  const running = daemon
  hangups.listen(() => reload(running, log))
  const following = followDetected({
    log,
    before,
    configuration: () => running.configuration,
    listens: () => running.addresses.map(at => formatSocketAddress(at, 'sendmail')),
    reload: () => reload(running, log),
  })
  let farewell: Promise<void> = Promise.resolve()
  await untilEnded(running, log, {
    asked: asked.promise.then(() => DRAIN),
    patience: DRAIN,
    begins: () => {
      farewell = manager.ending()
    },
  })
  await farewell
  const unfollow = await following
  await unfollow()
  return EXIT.ok
}

function servingText({ addresses, configuration }: Daemon): string {
  const filters = configuration.entries.filter(({ policy }) => policy.enabled)
  return `${filters.length} filters, listening on ${addresses.map(at => formatSocketAddress(at, 'sendmail')).join(', ')}`
}

function announce(daemon: Daemon, log: LevelledLogger, json: boolean): void {
  const addresses = daemon.addresses.map(address => formatSocketAddress(address, 'sendmail'))
  const filters = daemon.configuration.entries.filter(({ policy }) => policy.enabled).map(({ policy }) => policy.name)
  if (json) {
    printJson({
      pid: process.pid,
      listen: daemon.addresses.map((at, i) => ({ address: addresses[i], ...mtaLines(at) })),
    })
  } else {
    for (const address of daemon.addresses) print(`${mtaText(address)}\n`)
    print(`milterhost ${process.pid} listens on ${addresses.join(', ')}`)
  }
  log.info({ pid: process.pid, listen: addresses, filters }, 'ready')
}

function reload(daemon: Daemon, log: LevelledLogger): void {
  daemon.reload().then(
    () => log.info({ listen: daemon.addresses.map(at => formatSocketAddress(at, 'sendmail')) }, 'reloaded'),
    error => {
      const { code, message } = error as { readonly code?: string; readonly message: string }
      log.error({ code }, `configuration not reloaded, the old one goes on serving: ${message}`)
    },
  )
}

/** SIGHUP would end a process that is still starting; one that comes then is done when it serves. */
class Hangups {
  #pending = false
  #act = (): void => {
    this.#pending = true
  }

  constructor() {
    process.on('SIGHUP', () => this.#act())
  }

  listen(act: () => void): void {
    this.#act = act
    if (this.#pending) act()
  }
}
