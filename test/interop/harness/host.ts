// The product itself, in the test's process: a daemon with the given filters on a socket of its own. For a test of what milterhost
// does between an MTA and milters; what the command line adds is tested where the commands are.

import { formatSocketAddress, parseSocketAddress } from '../../../src/bridge/wire/index.ts'
import { type Daemon, startDaemon } from '../../../src/daemon.ts'
import { Resolver } from '../../../src/dns/index.ts'
import type { Config } from '../../../src/host/config/config.ts'
import { validateConfig } from '../../../src/host/config/validate.ts'
import type { HostEvent } from '../../../src/host/observe/event.ts'
import { createLog } from '../../../src/host/observe/output.ts'
import { MetricsRegistry } from '../../../src/host/plugin/metrics.ts'
import type { Dns } from '../../../src/host/plugin/services.ts'
import { systemClock } from '../../../src/host/time/clock.ts'
import { onCleanup } from './cleanup.ts'
import { tempDir } from './places.ts'
import { PATIENCE, until } from './wait.ts'

export interface HostOptions extends Omit<Config, 'listen' | 'log' | 'dns'> {
  /** 'unix' (a socket in a temporary folder) and 'inet' (a free port) choose a place; or any spelling of an address. */
  listen?: string
  /** The machine's own unless given. */
  dns?: Dns
}

export interface RunningHost {
  /** As Postfix and the harness spell it: 'unix:/path' or 'inet:HOST:PORT'. */
  address: string
  /** As Sendmail spells it: 'unix:/path' or 'inet:PORT@HOST'. */
  sendmailAddress: string
  /** All that happened so far, in order. */
  events: readonly HostEvent[]
  eventsOf<T extends HostEvent['type']>(type: T): Extract<HostEvent, { type: T }>[]
  /** Waits until the events make it true. */
  waitFor(what: string, condition: (events: readonly HostEvent[]) => boolean, seconds?: number): Promise<void>
  /** Waits until all external milters that were met are up: one that was away is not used before it has been found again. */
  waitForMilters(): Promise<void>
  /** JSON log lines at warn and above. */
  complaints: readonly string[]
  daemon: Daemon
  /** Path of its control socket. */
  control: string
  stop(): Promise<void>
}

export async function startHost({ listen = 'unix', dns, ...config }: HostOptions = {}): Promise<RunningHost> {
  const dir = tempDir('host')
  const events: HostEvent[] = []
  const complaints: string[] = []
  const configuration = validateConfig(
    {
      spool: { directory: `${dir}/spool` },
      ...config,
      listen:
        listen === 'unix'
          ? { address: `unix:${dir}/socket`, mode: 0o666 }
          : listen === 'inet'
            ? 'inet:0@127.0.0.1'
            : listen,
    },
    'the test',
    address => void parseSocketAddress(address, 'listen'),
  )
  const clock = systemClock
  const log = createLog({ clock, level: 'warn', format: 'json', write: line => complaints.push(line) })
  const resolver = dns ?? new Resolver({ clock, log, settings: configuration.settings.dns })
  const daemon = await startDaemon({
    clock,
    log,
    services: { dns: resolver, metrics: new MetricsRegistry() },
    observe: event => events.push(event),
    load: async () => configuration,
    control: {
      place: `${dir}/control.sock`,
      overrides: `${dir}/filters.json`,
      version: 'test',
      pid: process.pid,
      end() {},
    },
  })
  const [address] = daemon.addresses
  if (address === undefined) throw new Error('the host listens nowhere')
  return {
    address: formatSocketAddress(address, 'postfix'),
    sendmailAddress: formatSocketAddress(address, 'sendmail'),
    events,
    complaints,
    eventsOf: <T extends HostEvent['type']>(type: T) =>
      events.filter((event): event is Extract<HostEvent, { type: T }> => event.type === type),
    waitFor: async (what, condition, seconds = PATIENCE) => {
      await until(what, () => condition(events), seconds)
    },
    waitForMilters: async () => {
      await until('all milters are up', () => {
        const states = new Map(
          events.flatMap(event => (event.type === 'health-changed' ? [[event.filter, event.state]] : [])),
        )
        return [...states.values()].every(state => state === 'up')
      })
    },
    daemon,
    control: `${dir}/control.sock`,
    stop: onCleanup(() => daemon.close()),
  }
}
