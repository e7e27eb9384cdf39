/**
 * `socket(…)`: an external milter as an entry of the configuration.
 *
 * Only a description; nothing is opened before `create`, and `create` opens nothing either. It checks the options that
 * sockets have beside the common ones and finds all mistakes at once.
 */
import { type EntryOptions, type FilterEntry, filterEntry } from '../../host/config/entry.ts'
import { shown, suggestion } from '../../host/config/problem.ts'
import { DEFAULT_LIMITS } from '../../host/config/settings.ts'
import { hostError } from '../../host/errors.ts'
import { Kept } from '../../host/kept.ts'
import { MACRO_STAGES } from '../../host/macros.ts'
import {
  LauncherClient,
  type LaunchOptions,
  type LaunchSurroundings,
  launchProblems,
  processControl,
} from '../launch/index.ts'
import { formatSocketAddress, parseSocketAddress, type SocketAddress } from '../wire/index.ts'
import { Keeper, type Launch } from './health/keeper.ts'
import { HEALTH_OPTIONS, type HealthOptions, healthOf } from './health/options.ts'
import { MacroChoice, type MacroOption, type MacroOptions } from './macro-choice.ts'
import { SocketFilter } from './socket-filter.ts'

/** What a socket entry takes. */
export interface SocketOptions extends EntryOptions {
  /**
   * The milter protocol version to offer. Lower it for a milter that closes the connection over a newer one.
   * @default 6
   */
  readonly version?: 2 | 3 | 4 | 6
  /**
   * Macros beyond those the milter asks for, by stage.
   * @remarks For each stage names, which the MTA is asked for, or an object of name and value, where `true` sends the MTA's own value. A value that is given
   * here wins over the MTA's.
   * @default none
   * @example { mail: ['auth_ssf'], connect: { if_addr: '192.0.2.1', client_port: true } }
   */
  readonly macros?: MacroOptions
  /**
   * How the milter counts headers when it changes, removes or inserts them.
   * @remarks Milters written for Sendmail, nearly all, remove the first, second and third; `'postfix'` is for one that removes the first three times.
   * @default 'sendmail'
   */
  readonly headerIndex?: 'sendmail' | 'postfix'
  /**
   * Connections at once that mail may have with the milter (docs/health.md).
   * @remarks Who comes later waits for one, as long as its command may take. An SMTP session that is between two messages gives its connection up when
   * somebody waits. Probes come beside them.
   * @default no limit of its own: one for each SMTP session, so `limits.sessions` in all
   */
  readonly concurrency?: number
  /**
   * The content of a message (header fields and body) is sent without waiting for the milter's answer to each packet.
   * @remarks That takes less time and less of the processor, most of all over a network. Milters written with libmilter bear it; one with a protocol of its
   * own might not. The end of the message waits for all answers, and a milter that refuses or accepts a message in its middle is
   * met anew for the next one.
   * @default false
   */
  readonly pipelining?: boolean
  /** How it is found out whether the milter works (docs/health.md). */
  readonly health?: HealthOptions
  /**
   * How its process is started when it cannot be reached (docs/launching.md).
   * @remarks As a unit of systemd, `{ systemd: 'opendkim.service' }`; by an init script, `{ service: 'opendkim' }`; by a command that milterhost runs itself,
   * `{ command: ['/usr/sbin/opendkim', '-f'], user: 'opendkim' }`; or by an entry of the launcher's file, `{ launcher: 'opendkim' }`.
   * @default it is not started
   * @example { systemd: 'opendkim.service' }
   * @example { command: ['/usr/sbin/opendkim', '-f', '-x', '/etc/opendkim.conf'], user: 'opendkim' }
   */
  readonly launch?: LaunchOptions
}

/** What each of its options takes beside those of every entry, in words, for the documentation. */
export const SOCKET_OPTIONS: Readonly<Record<Exclude<keyof SocketOptions, keyof EntryOptions>, unknown>> = {
  version: '`2`, `3`, `4`, `6`',
  macros: 'object, by stage',
  headerIndex: "`'sendmail'`, `'postfix'`",
  concurrency: 'whole number, at least 1',
  pipelining: 'boolean',
  health: HEALTH_OPTIONS,
  launch: '`{ systemd }`, `{ service }`, `{ command, … }`, or `{ launcher }`',
}

const VERSIONS = [2, 3, 4, 6]
const HEADER_RULES = ['sendmail', 'postfix']

/**
 * An external milter, reached at `inet:PORT@HOST`, `inet:HOST:PORT` or `unix:/path`.
 * @example socket('opendkim', 'unix:/run/opendkim/opendkim.sock', { onFailure: 'tempfail', timeouts: { end: '2m' } })
 */
export function socket(name: string, address: string, options: SocketOptions = {}): FilterEntry {
  return filterEntry({
    kind: 'socket',
    defaultName: name,
    options,
    ownOptions: Object.keys(SOCKET_OPTIONS),
    describe: String(address),
    create({ policy, clock, log, limits = DEFAULT_LIMITS, kept = new Kept(), observe = () => {}, launcher }) {
      const problems: string[] = []
      const where = addressOf(address, problems)
      checkOptions(options, problems)
      const health = healthOf(options.health, policy.timeouts.connect, problems)
      if (where === null || problems.length > 0) throw hostError('SOCKET_OPTION', policy.name, problems.join('; '))
      return new SocketFilter({
        name: policy.name,
        address: where,
        version: options.version ?? 6,
        headerRules: options.headerIndex ?? 'sendmail',
        choice: new MacroChoice(options.macros),
        pipelining: options.pipelining ?? false,
        connectTimeout: policy.timeouts.connect,
        limits,
        clock,
        log,
        observe,
        ...health,
        concurrency: options.concurrency ?? null,
        launch: launchOf(options.launch, { filter: policy.name, clock, log, launcher }),
        keeper: kept.lease(
          `milter ${formatSocketAddress(where, 'sendmail')}`,
          former => new Keeper(clock, Math.random, former),
        ),
      })
    },
  })
}

function launchOf(
  options: LaunchOptions | undefined,
  { launcher, ...around }: Omit<LaunchSurroundings, 'launcher'> & { readonly launcher: unknown },
): Launch | null {
  if (options === undefined) return null
  const client = launcher instanceof LauncherClient ? launcher : null
  return { key: JSON.stringify(options), control: () => processControl(options, { ...around, launcher: client }) }
}

function addressOf(address: unknown, problems: string[]): SocketAddress | null {
  try {
    if (typeof address === 'string') return parseSocketAddress(address)
    problems.push(`the address must be a string such as "unix:/run/milter.sock", not ${shown(address)}`)
  } catch (error) {
    problems.push((error as Error).message)
  }
  return null
}

function checkOptions(options: SocketOptions, problems: string[]): void {
  const { version, headerIndex, macros, concurrency, pipelining, launch } = options
  if (pipelining !== undefined && typeof pipelining !== 'boolean') {
    problems.push(`pipelining must be true or false, not ${shown(pipelining)}`)
  }
  if (concurrency !== undefined && (!Number.isSafeInteger(concurrency) || concurrency < 1)) {
    problems.push(`concurrency must be a whole number of at least 1, not ${shown(concurrency)}`)
  }
  if (launch !== undefined) problems.push(...launchProblems(launch))
  if (version !== undefined && !VERSIONS.includes(version)) {
    problems.push(`version must be one of ${VERSIONS.join(', ')}, not ${shown(version)}`)
  }
  if (headerIndex !== undefined && !HEADER_RULES.includes(headerIndex)) {
    const hint = suggestion(String(headerIndex), HEADER_RULES)
    problems.push(`headerIndex must be "sendmail" or "postfix", not ${shown(headerIndex)}${hint}`)
  }
  if (macros === undefined) return
  if (typeof macros !== 'object' || macros === null || Array.isArray(macros)) {
    problems.push(`macros must be an object with a stage for each key, not ${shown(macros)}`)
    return
  }
  for (const [stage, option] of Object.entries(macros as Record<string, MacroOption | undefined>)) {
    if (!(MACRO_STAGES as readonly string[]).includes(stage)) {
      const hint = suggestion(stage, MACRO_STAGES) || `; stages are ${MACRO_STAGES.join(', ')}`
      problems.push(`macros.${stage} is not a stage${hint}`)
    } else problems.push(...macroProblems(`macros.${stage}`, option))
  }
}

function macroProblems(at: string, option: unknown): string[] {
  if (Array.isArray(option)) return option.flatMap(name => nameProblems(at, name))
  if (typeof option !== 'object' || option === null) {
    return [`${at} must be a list of names or an object of names and values, not ${shown(option)}`]
  }
  return Object.entries(option).flatMap(([name, value]) => {
    const problems = nameProblems(at, name)
    if (value !== true && typeof value !== 'string') {
      problems.push(`${at}.${name} must be a string or true, not ${shown(value)}`)
    } else if (typeof value === 'string' && value.includes('\0')) problems.push(`${at}.${name} holds a NUL`)
    return problems
  })
}

const nameProblems = (at: string, name: unknown): string[] =>
  typeof name === 'string' && /^(\{[\w.]+\}|[\w.]+)$/.test(name)
    ? []
    : [`${at}: ${shown(name)} is not a macro name such as "auth_type" or "i"`]
