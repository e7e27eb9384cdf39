/**
 * What each setting of milter manager means here: taken over, or why not.
 *
 * One row a setting, for `interpret.ts`; `docs/migrating.md` has the same rows for people, and a test keeps the two equal. A row
 * either changes the model or gives the reason that is listed.
 */
import { parseSocketAddress } from '../wire/index.ts'
import type { Imported, ImportedMilter } from './model.ts'
import type { Value } from './parser.ts'
import { numberOf, textOf, textsOf } from './values.ts'

/** `null` when it was taken over; else why not, or with which difference. */
type Taken = string | null
type GlobalSetting = (model: Imported, value: Value) => Taken
type MilterSetting = (milter: ImportedMilter, value: Value) => Taken

const UNREADABLE = 'the value is not one that can be read'
const NEEDLESS = 'nothing here corresponds to it, and nothing has to'

/** `nil` and the default need no word. */
const dropped =
  (why: string, needless: (value: Value) => boolean = value => value.kind === 'nil'): GlobalSetting =>
  (_model, value) =>
    needless(value) ? null : why

const isZero = (value: Value): boolean => value.kind === 'nil' || (value.kind === 'number' && value.value === 0)
const isTrue = (value: Value): boolean => value.kind === 'boolean' && value.value
const isFalse = (value: Value): boolean => value.kind === 'nil' || (value.kind === 'boolean' && !value.value)

export function checkedAddress(text: string, role: 'connect' | 'listen'): boolean {
  try {
    parseSocketAddress(text, role)
    return true
  } catch {
    return false
  }
}

const LEVELS: readonly [RegExp, string][] = [
  [/debug|trace|all|profile/i, 'debug'],
  [/info|statistics|message|default/i, 'info'],
  [/warning/i, 'warn'],
  [/error|critical/i, 'error'],
]

const CLIENT_LEFT: Readonly<Record<string, string>> = {
  accept: 'accept',
  discard: 'discard',
  'temporary-failure': 'tempfail',
  reject: '421',
}

const status = (value: Value): string | null => textOf(value)?.toLowerCase().replaceAll('_', '-') ?? null

export const GLOBAL_SETTINGS: Readonly<Record<string, GlobalSetting>> = {
  'package.platform': dropped('milters are found by what is on the machine, not by its name: detected()'),
  'package.options': dropped('milters are found by what is on the machine: detected()'),
  'security.privilege_mode': dropped(
    'milterhost never runs as root: to start milters see launch and docs/launching.md',
    isFalse,
  ),
  'security.effective_user': dropped('the user is that of the service: User= in its unit'),
  'security.effective_group': dropped('the group is that of the service: Group= in its unit'),
  'log.level': (model, value) => {
    const text = textOf(value)
    if (text === null) return value.kind === 'nil' ? null : UNREADABLE
    model.logLevel = LEVELS.find(([pattern]) => pattern.test(text))?.[1] ?? null
    return model.logLevel === null ? UNREADABLE : null
  },
  'log.path': dropped('the log goes to standard output, and from there to the journal or a file'),
  'log.use_syslog': dropped('the log goes to standard output; under systemd the journal hands it on to syslog', isTrue),
  'log.syslog_facility': dropped('the log goes to standard output: SyslogFacility= in the unit'),
  'manager.connection_spec': (model, value) => {
    const text = textOf(value)
    if (value.kind === 'nil') return null
    if (text === null || !checkedAddress(text, 'listen')) return UNREADABLE
    model.listen = text
    return null
  },
  'manager.unix_socket_mode': (model, value) => {
    model.listenMode =
      numberOf(value) ?? (/^[0-7]+$/.test(textOf(value) ?? '') ? Number.parseInt(textOf(value)!, 8) : null)
    return model.listenMode === null ? UNREADABLE : null
  },
  'manager.unix_socket_group': (model, value) => {
    model.listenGroup = textOf(value)
    return model.listenGroup === null && value.kind !== 'nil' ? UNREADABLE : null
  },
  'manager.remove_unix_socket_on_create': dropped(
    'a socket that nobody serves is always cleared away, any other never',
    isTrue,
  ),
  'manager.remove_unix_socket_on_close': dropped('its own socket is always removed, any other never', isTrue),
  'manager.daemon': dropped(
    'milterhost stays in the foreground: systemd, or what else starts it, puts it into the background',
    isFalse,
  ),
  'manager.pid_file': dropped('no file is needed: systemd knows the process, and so does the control socket'),
  'manager.maintenance_interval': dropped(NEEDLESS, () => true),
  'manager.suspend_time_on_unacceptable': dropped(
    'beyond limits.sessions the MTA is told 451 at once; nothing is suspended',
    () => false,
  ),
  'manager.max_connections': (model, value) => {
    const number = numberOf(value)
    if (number === null) return value.kind === 'nil' ? null : UNREADABLE
    if (number > 0) model.sessions = number
    return null
  },
  'manager.max_file_descriptors': dropped('LimitNOFILE= in the unit', isZero),
  'manager.custom_configuration_directory': dropped('there is no web interface that writes a configuration'),
  'manager.connection_check_interval': dropped(NEEDLESS, () => true),
  'manager.event_loop_backend': dropped(NEEDLESS, () => true),
  'manager.n_workers': dropped('one process; it takes what Postfix can send it', isZero),
  'manager.packet_buffer_size': dropped(NEEDLESS, () => true),
  'manager.max_pending_finished_sessions': dropped(NEEDLESS, () => true),
  'manager.chunk_size': dropped(
    '65,535 bytes, as every MTA sends and every milter expects',
    value => numberOf(value) === 65535,
  ),
  'manager.fallback_status': dropped(
    'each filter has its own onFailure, and without filters mail passes',
    value => status(value) === 'accept',
  ),
  'manager.fallback_status_at_disconnect': (model, value) => {
    const text = status(value)
    const left = text === null ? undefined : CLIENT_LEFT[text]
    if (left === undefined) return UNREADABLE
    model.onClientLeft = left
    return text === 'reject' ? "a client that has gone cannot be refused: onClientLeft is '421'" : null
  },
  'controller.connection_spec': (model, value) => {
    const text = textOf(value)
    if (value.kind === 'nil') return null
    const [, path] = /^(?:unix|local):(\/.+)$/.exec(text ?? '') ?? []
    if (path === undefined) return 'the control socket is a UNIX socket that its owner alone may use: control.socket'
    model.controlSocket = path
    return null
  },
  'controller.unix_socket_mode': dropped('the control socket is always 0600', () => false),
  'controller.unix_socket_group': dropped('the control socket is always 0600'),
  'controller.remove_unix_socket_on_create': dropped(NEEDLESS, () => true),
  'controller.remove_unix_socket_on_close': dropped(NEEDLESS, () => true),
  'stress.threshold_n_connections': (model, value) => {
    const number = numberOf(value)
    if (number === null) return UNREADABLE
    if (number === 0) return 'stress() cannot be switched off; take the condition away'
    model.stressSessions = number
    return null
  },
  's25r.check_only_ipv4': (model, value) => {
    model.s25r.ipv6 = isFalse(value)
    return null
  },
  's25r.only_check_ipv4': (model, value) => {
    model.s25r.ipv6 = isFalse(value)
    return null
  },
  'dnsbl.name_server': dropped('dns.servers, for every look-up of every filter'),
  'dnsbl.name_servers': dropped('dns.servers, for every look-up of every filter'),
}

/** `database.*` as a whole: look-ups name their own. */
export const DATABASE = 'look-ups open their own connection: sql(…), docs/lookups.md'

const seconds =
  (key: 'connect' | 'reading' | 'writing' | 'end'): MilterSetting =>
  (milter, value) => {
    const number = numberOf(value)
    if (number === null || number <= 0) return UNREADABLE
    milter[key] = number
    return null
  }

export const MILTER_SETTINGS: Readonly<Record<string, MilterSetting>> = {
  connection_spec: (milter, value) => {
    const text = textOf(value)
    if (value.kind === 'nil') return null
    if (text === null || !checkedAddress(text, 'connect')) return UNREADABLE
    milter.address = text
    return null
  },
  description: (milter, value) => {
    milter.description = textOf(value)
    return null
  },
  enabled: (milter, value) => {
    milter.enabled = isTrue(value)
    return value.kind === 'boolean' || value.kind === 'nil' ? null : UNREADABLE
  },
  fallback_status: (milter, value) => {
    const given = status(value)
    if (given === 'accept' || given === 'reject') milter.onFailure = given
    else if (given === 'temporary-failure') milter.onFailure = 'tempfail'
    else if (given === 'discard') {
      milter.onFailure = 'tempfail'
      return "no failure throws mail away: onFailure is 'tempfail'"
    } else return UNREADABLE
    return null
  },
  evaluation_mode: (milter, value) => {
    milter.observe = isTrue(value)
    return null
  },
  applicable_conditions: (milter, value) => {
    const names = textsOf(value)
    if (names === null) return value.kind === 'nil' ? null : UNREADABLE
    milter.conditions = names
    return null
  },
  connection_timeout: seconds('connect'),
  reading_timeout: seconds('reading'),
  writing_timeout: seconds('writing'),
  end_of_message_timeout: seconds('end'),
  command: (milter, value) => {
    const text = textOf(value)
    if (text === null) return value.kind === 'nil' ? null : UNREADABLE
    milter.command = [text, ...milter.command.slice(1)]
    return null
  },
  command_options: (milter, value) => {
    const options = value.kind === 'array' ? textsOf(value) : textOf(value)?.split(/\s+/)
    if (!options) return value.kind === 'nil' ? null : UNREADABLE
    milter.command = [milter.command[0] ?? '', ...options]
    return null
  },
  user_name: (milter, value) => {
    milter.user = textOf(value)
    return null
  },
}
