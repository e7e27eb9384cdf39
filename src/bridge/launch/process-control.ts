/**
 * Decides who starts the process of an external milter: the system's init, the launcher, or milterhost itself.
 *
 * Units and init scripts go through the launcher where there is one, because the init lets root ask and milterhost is not root; a
 * command does when it is for another user. Nothing is asked or started here, and nothing throws: a way that is not open says so when
 * it is used, so that `milterhost check` works wherever it runs. Called once for each socket entry with `launch`.
 */
import { realpathSync } from 'node:fs'
import { userInfo } from 'node:os'
import { hostError } from '../../host/errors.ts'
import type { Logger } from '../../host/observe/logger.ts'
import type { Clock } from '../../host/time/clock.ts'
import { CommandControl } from './command.ts'
import type { ProcessControl } from './control.ts'
import { initCommand } from './init-command.ts'
import type { Tools } from './launcher/plan.ts'
import type { LauncherClient } from './launcher-client.ts'
import { LauncherControl } from './launcher-control.ts'
import type { LaunchOptions } from './options.ts'
import { ServiceControl } from './service.ts'
import { SystemdControl, systemdStatus } from './systemd.ts'

interface Self {
  readonly uid: number
  readonly user: string
  /** What a command of the same user finds in its environment. */
  readonly env?: Readonly<Record<string, string>>
}

export interface LaunchSurroundings {
  /** Name of the filter: in errors, and its id in the launcher's file. */
  readonly filter: string
  readonly clock: Clock
  readonly log: Logger
  /** `null` where milterhost was not started by the launcher. */
  readonly launcher: LauncherClient | null
  /** Default: this process and this machine. */
  readonly self?: Self
  readonly tools?: Tools | null
  readonly init?: typeof initCommand
}

export function processControl(options: LaunchOptions, around: LaunchSurroundings): ProcessControl {
  const { filter, clock, log, launcher } = around
  const { uid, user, env: account } = around.self ?? ourselves()
  const init = around.init ?? initCommand
  if ('command' in options) {
    const other =
      options.group !== undefined ||
      options.groups !== undefined ||
      (options.user !== undefined && options.user !== user)
    if (other && uid !== 0) return throughLauncher(filter, options, around)
    const drop = uid === 0 && options.user !== undefined
    const entry = drop ? options : { ...options, env: { ...account, ...options.env } }
    return new CommandControl({
      filter,
      entry,
      drop,
      tools: around.tools === undefined ? findTools() : around.tools,
      clock,
      log,
    })
  }
  if ('launcher' in options || launcher !== null) return throughLauncher(filter, options, around)
  return 'systemd' in options
    ? new SystemdControl(filter, options.systemd, clock, init)
    : new ServiceControl(filter, options.service, clock, init)
}

function throughLauncher(
  filter: string,
  options: LaunchOptions,
  { launcher, clock, init }: LaunchSurroundings,
): ProcessControl {
  const id = 'launcher' in options ? options.launcher : filter
  if (launcher === null) return new NoLauncher(filter, id)
  const wanted = `${JSON.stringify(id)}: ${'launcher' in options ? '{ … }' : JSON.stringify(options)}`
  const status =
    'systemd' in options
      ? { status: (signal: AbortSignal) => systemdStatus(options.systemd, clock, init ?? initCommand, signal) }
      : {}
  return new LauncherControl({ filter, id, wanted, client: launcher, ...status })
}

/** Stands where a launcher would be needed and is none. */
class NoLauncher implements ProcessControl {
  readonly description: string
  readonly #filter: string

  constructor(filter: string, id: string) {
    this.description = `launcher ${id}, which is not there`
    this.#filter = filter
  }

  async start(): Promise<void> {
    throw hostError('LAUNCH_NO_LAUNCHER', this.#filter)
  }

  stop = this.start
  restart = this.start

  async status(): ReturnType<ProcessControl['status']> {
    return { state: 'unknown', pid: null, detail: 'milterhost was not started by the launcher' }
  }

  async close(): Promise<void> {}
}

function ourselves(): Self {
  try {
    const { uid, username, homedir } = userInfo()
    return { uid, user: username, env: { HOME: homedir, USER: username, LOGNAME: username } }
  } catch {
    // A uid without a line in /etc/passwd, as containers give.
    return { uid: process.getuid?.() ?? -1, user: '' }
  }
}

/** Of util-linux only: where these are links, they are those of busybox, which know less. */
function findTools(): Tools | null {
  const tools = { prlimit: '/usr/bin/prlimit', setpriv: '/usr/bin/setpriv', env: '/usr/bin/env' }
  try {
    return [tools.prlimit, tools.setpriv].every(path => realpathSync(path) === path) ? tools : null
  } catch {
    return null
  }
}
