/**
 * `milterhost/serve`: one plugin, or a few in a chain, as an ordinary milter for any MTA, in a program of the author's own.
 *
 * What `milterhost run` does, without a configuration file, a control socket and reloads: the same validation, the same daemon, the log on
 * standard error. It is a composition root like `cli/run.ts`, so it may know everything and nothing imports it.
 *
 * ```ts
 * const milter = await serve(subjectTag({ tag: '[list]' }), 'inet:9999@127.0.0.1')
 * ```
 */
import { readPostfix } from './bridge/mta/index.ts'
import { formatSocketAddress, parseSocketAddress } from './bridge/wire/index.ts'
import { keepServing, untilEnded } from './daemon/process.ts'
import { startDaemon } from './daemon.ts'
import { Resolver } from './dns/index.ts'
import type { Config } from './host/config/config.ts'
import type { FilterEntry } from './host/config/entry.ts'
import { validateConfig } from './host/config/validate.ts'
import { logEvents } from './host/observe/log.ts'
import { chooseFormat, createLog } from './host/observe/output.ts'
import { MetricsRegistry } from './host/plugin/metrics.ts'
import { systemClock } from './host/time/clock.ts'

/** What a configuration has beside filters, address and control socket, and whether the process is served too. */
export interface ServeOptions extends Omit<Config, 'filters' | 'listen' | 'control'> {
  /**
   * `true`: SIGTERM and SIGINT let running messages finish within 25 s and then end the milter, a second one ends it at once; an error that
   * escapes from a plugin is logged, and serving goes on. `false`: the program sees to both itself.
   * @default true
   */
  readonly signals?: boolean
  /** Where the lines of the log go, each with its line end. @default standard error */
  readonly write?: (line: string) => void
}

export interface Serving {
  /** As bound, in Sendmail's spelling: a port 0 is replaced by the one that was free. The first one, where it listens on several. */
  readonly address: string
  readonly addresses: readonly string[]
  /** Resolves when it has ended, by a signal or by `close`. */
  readonly ended: Promise<void>
  /** Takes nothing new, gives running messages `seconds`, answers the rest with 451, and ends. @param seconds default 25 */
  close(seconds?: number): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

const PATIENCE = 25

/**
 * Resolves when it listens. Rejects, with nothing left open, with the coded error that `milterhost run` would print: options that do not
 * fit, an address that is taken.
 * @param listen `'inet:9999@127.0.0.1'`, `'unix:/path'`; `'inet:9999'` alone is every interface of the machine
 */
export async function serve(
  entries: FilterEntry | readonly FilterEntry[],
  listen: Exclude<Config['listen'], undefined>,
  { signals = true, write = line => void process.stderr.write(line), ...config }: ServeOptions = {},
): Promise<Serving> {
  const configuration = validateConfig(
    { ...config, listen, control: false, filters: [entries].flat() },
    'serve(…)',
    address => void parseSocketAddress(address, 'listen'),
  )
  const { settings } = configuration
  const log = createLog({
    clock: systemClock,
    level: settings.log.level,
    format: chooseFormat(settings.log.format, process.stderr.isTTY ?? false, process.env),
    write,
  })
  const dns = new Resolver({ clock: systemClock, log, settings: settings.dns })
  const daemon = await startDaemon({
    clock: systemClock,
    log,
    services: { dns, metrics: new MetricsRegistry() },
    observe: logEvents(log, systemClock, () => log.writes('debug')),
    load: async () => configuration,
    postfix: () => readPostfix(),
  })
  const addresses = daemon.addresses.map(address => formatSocketAddress(address, 'sendmail'))
  const closing = Promise.withResolvers<number>()
  const release = signals ? keepServing(log) : () => {}
  const ended = untilEnded(daemon, log, { asked: closing.promise, patience: PATIENCE * 1000, signals }).finally(release)
  log.info({ pid: process.pid, listen: addresses }, 'ready')
  const close = (seconds = PATIENCE): Promise<void> => {
    closing.resolve(seconds * 1000)
    return ended
  }
  return { address: addresses[0]!, addresses, ended, close, [Symbol.asyncDispose]: close }
}
