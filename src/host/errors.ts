/**
 * Every error that a user can meet: code and message, one table.
 *
 * A message says what is wrong, where, and what to do. `docs/errors.md` has a paragraph for each code; a test keeps the
 * two equal. Wire errors have their own table beside the codec (`bridge/wire/error.ts`), documented on the same page.
 */

const table = {
  // Filters at work
  FILTER_THREW: (filter: string, stage: string, what: string): string => `filter ${filter} failed at ${stage}: ${what}`,
  FILTER_TIMEOUT: (filter: string, stage: string, seconds: number): string =>
    `filter ${filter} did not answer at ${stage} within ${seconds} s`,
  FILTER_BAD_ANSWER: (filter: string, stage: string, what: string): string =>
    `filter ${filter} gave an answer at ${stage} that cannot be used: ${what}`,
  BUDGET_SPENT: (filter: string, stage: string, seconds: number): string =>
    `the chain's ${seconds} s for ${stage} were spent before filter ${filter} had answered`,
  HOLD_TOO_LONG: (filter: string, seconds: number, stage: string, most: number): string =>
    `filter ${filter} was refused a hold of ${seconds} s at ${stage}: ${most} s is the most an answer may take there`,
  HOLD_IMPATIENT: (filter: string, seconds: number, stage: string, most: number, unknown: boolean): string =>
    `filter ${filter} was refused a hold of ${seconds} s at ${stage}: this MTA waits ${most} s for the whole chain and takes no sign of life before the end of the message; give it more in Sendmail, T=R:${Math.ceil(seconds) + 20}s in INPUT_MAIL_FILTER, and set budget.command to '${Math.ceil(seconds) + 10}s'${unknown ? "; if it is Postfix, say so with mta: 'postfix'" : ''}`,
  CONDITION_FAILED: (filter: string, what: string): string =>
    `whether filter ${filter} takes part cannot be decided: ${what}`,
  INTERRUPTED: (filter: string, stage: string, why: string): string =>
    `filter ${filter} was interrupted at ${stage}: ${why}`,

  // External milters
  MILTER_CONNECT: (filter: string, address: string, why: string): string =>
    `filter ${filter} cannot be reached at ${address}: ${why}; is it running, and is this its socket?`,
  MILTER_CONNECT_TIMEOUT: (filter: string, address: string, seconds: number): string =>
    `filter ${filter} at ${address} was not connected and negotiated within ${seconds} s`,
  MILTER_NEGOTIATION: (filter: string, what: string): string => `no agreement with filter ${filter}: ${what}`,
  MILTER_WANTS_MORE: (filter: string, events: string): string =>
    `filter ${filter} now wants ${events}, which it did not want when this SMTP connection began; the next connection has it`,
  MILTER_CLOSED: (filter: string, stage: string, why?: string): string =>
    `filter ${filter} closed its connection at ${stage}${why === undefined ? '' : `: ${why}`}`,
  MILTER_PROTOCOL: (filter: string, stage: string, what: string): string =>
    `filter ${filter} broke the milter protocol at ${stage}: ${what}`,
  MILTER_DOWN: (filter: string, state: string, seconds: number, why: string): string =>
    `filter ${filter} is not asked now: it has been ${state} for ${seconds} s: ${why}`,
  MILTER_POISON: (filter: string, minutes: number): string =>
    `filter ${filter} is not given this message: it went away twice while it had it; in ${minutes} minutes it may have it again`,
  MILTER_NOT_STARTED: (filter: string, what: string): string =>
    `filter ${filter} was started and does not work: ${what}`,
  MILTER_NO_LAUNCH: (filter: string): string =>
    `filter ${filter} cannot be started from here: its entry has no option launch that says how`,
  SOCKET_OPTION: (filter: string, what: string): string => `socket filter ${filter}: ${what}`,

  // Processes of external milters
  LAUNCH_FAILED: (filter: string, done: string, by: string, why: string): string =>
    `the milter of filter ${filter} could not be ${done} by ${by}: ${why}`,
  LAUNCH_THROTTLED: (filter: string, by: string, seconds: number): string =>
    `the milter of filter ${filter} is not started by ${by} for another ${seconds} s: it was started too often within a minute`,
  LAUNCH_UNKNOWN: (filter: string, id: string, entry: string): string =>
    `the milter of filter ${filter} is not started: the launcher's file has no entry ${id}; if it is to be started, add ${entry}`,
  LAUNCH_NO_LAUNCHER: (filter: string): string =>
    `the milter of filter ${filter} is not started: that takes another user, and so the launcher, but milterhost was not started by it`,
  LAUNCHER_GONE: (): string => 'the launcher is gone; nothing more is started until milterhost is started by it anew',
  LAUNCHER_SOCKET: (given: string, what: string): string =>
    `the connection to the launcher cannot be used, ${given}: ${what}; the launcher sets this variable itself`,

  // Clients that leave
  LIVENESS_FAILED: (source: string, what: string): string =>
    `liveness by ${source} does not work now, clients that leave are not noticed: ${what}`,
  AGENT_OPTIONS: (what: string): string => `the liveness agent cannot start: ${what}`,

  // Limits
  LIMIT_BODY: (limit: number): string => `a message body is larger than limits.body (${limit} bytes)`,
  LIMIT_HEADERS: (limit: number): string => `a message has more header fields than limits.headers (${limit})`,
  LIMIT_HEADER_BYTES: (limit: number): string =>
    `the headers of a message are larger than limits.headerBytes (${limit} bytes)`,
  LIMIT_RECIPIENTS: (limit: number): string => `a message has more recipients than limits.recipients (${limit})`,
  LIMIT_SESSIONS: (limit: number): string =>
    `limits.sessions (${limit}) SMTP connections are open: new mail is put off`,
  LIMIT_FILES: (sessions: number, files: number): string =>
    `the ${files} files that this process may have open are enough for ${sessions} SMTP connections at once, each with one to every external milter: raise the limit (LimitNOFILE= of the unit, ulimit -n) or lower limits.sessions`,
  LIMIT_HOLDS: (why: string): string => `a client was not made to wait: ${why}`,
  LIMIT_EDITS: (filter: string, limit: number): string =>
    `filter ${filter} sent more edits than limits.edits (${limit})`,

  // Spool
  SPOOL_FOLDER: (path: string, what: string): string => `the spool folder ${path} cannot be used: ${what}`,
  SPOOL_FULL: (path: string): string =>
    `no space is left for message bodies in ${path}: free some, or set spool.directory to a larger disk`,
  SPOOL_FAILED: (path: string, what: string): string => `a message body could not be kept in ${path}: ${what}`,
  SPOOL_GONE: (): string => 'a message body was used after its message had ended',

  // Recording
  RECORD_STOPPED: (directory: string, why: string): string =>
    `sessions are not recorded now in ${directory}: ${why}; mail goes on`,
  SHADOW_STOPPED: (file: string, why: string): string =>
    `the shadow configuration ${file} is not played any more: ${why}; mail goes on, and a reload tries it again`,

  // Configuration
  CONFIG_NOT_FOUND: (path: string): string => `no configuration at ${path}; name an existing file with --config`,
  CONFIG_SYNTAX: (where: string, what: string): string => `${where}: ${what}`,
  CONFIG_IMPORT: (file: string, what: string): string => `${file}: ${what}`,
  CONFIG_THREW: (file: string, what: string): string => `${file} failed while it was executed: ${what}`,
  CONFIG_INVALID: (file: string, problems: readonly string[]): string =>
    `${file} is not a valid configuration:\n${problems.map(problem => `  ${problem}`).join('\n')}`,
  FILTER_NOT_CREATED: (filter: string, what: string): string => `filter ${filter} could not be set up: ${what}`,
  DETECT_OPTIONS: (what: string): string => `detected(): ${what}`,

  // Commands of plugins
  COMMAND_UNKNOWN: (name: string, plugin: string, folder: string): string =>
    `unknown command '${name}': milterhost has none of that name, and no package ${plugin} with a command is installed for ${folder}`,
  COMMAND_INVALID: (module: string, what: string): string =>
    `${module} does not give a command that can be used: ${what}`,

  // The daemon
  DEV_NOTHING: (place: string, what: string): string =>
    `there is no plugin to try at ${place}: ${what}; name the file that exports it, or go into its folder`,
  DEV_EXPORT: (file: string, what: string): string =>
    `${file} exports ${what} as default, which is no plugin, no entry, no list of entries and no configuration`,
  DEV_STUCK: (seconds: number): string =>
    `the round did not end within ${seconds} s and was ended: a hook or setup never comes to an end`,
  SCENARIO_INVALID: (where: string, what: string): string => `${where}: ${what}`,
  SCENARIO_UNREADABLE: (file: string, what: string): string => `the scenario file ${file} cannot be read: ${what}`,
  SCENARIO_FAILED: (title: string, failures: readonly string[]): string =>
    `scenario ${title} failed:\n${failures.map(line => `  ${line}`).join('\n')}`,
  REPLAY_UNREADABLE: (folder: string, what: string): string => `the recordings in ${folder} cannot be read: ${what}`,
  REPLAY_EMPTY: (folder: string, what: string): string => `there is no recorded session to play in ${folder}: ${what}`,
  MESSAGE_UNREADABLE: (file: string, what: string): string => `the message ${file} cannot be read: ${what}`,
  IMPORT_UNREADABLE: (file: string, what: string): string => `the configuration ${file} cannot be read: ${what}`,
  IMPORT_SYNTAX: (where: string, what: string): string => `${where}: ${what}`,
  OUTPUT_EXISTS: (file: string): string => `${file} is there and was left as it is: --force replaces it`,
  OUTPUT_FAILED: (file: string, what: string): string => `${file} cannot be written: ${what}`,
  DOCTOR_POSTFIX: (directory: string, what: string): string =>
    `the Postfix configuration in ${directory} cannot be read: ${what}`,
  DOCTOR_SENDMAIL: (file: string, what: string): string => `the Sendmail configuration ${file} cannot be read: ${what}`,
  ZONE_UNREADABLE: (file: string, what: string): string => `the zone file ${file} cannot be read: ${what}`,
  UNCAUGHT: (what: string): string => `an error escaped from a plugin or a library; serving goes on: ${what}`,

  // Control
  CONTROL_REQUEST: (what: string): string => `a request on the control socket cannot be used: ${what}`,
  CONTROL_VERSION: (theirs: string, ours: number): string =>
    `the command speaks version ${theirs} of the control protocol and this daemon ${ours}: use the command of the same release`,
  CONTROL_BUSY: (most: number): string => `${most} commands are connected to the control socket already`,
  CONTROL_FILTER: (name: string, hint: string, known: readonly string[]): string =>
    `the configuration has no filter "${name}"${hint}${hint === '' && known.length > 0 ? `; there are ${known.join(', ')}` : ''}`,
  CONTROL_SESSION: (id: string): string => `there is no session ${JSON.stringify(id)} now`,
  CONTROL_RESTART: (filter: string, why: string): string => `filter ${filter} cannot be restarted: ${why}`,
  CONTROL_STATE: (path: string, what: string): string => `what was enabled and disabled by command, ${path}: ${what}`,
  CONTROL_UNREACHABLE: (path: string, what: string): string =>
    `no daemon answers at ${path}: ${what}; is it running, and is this its control socket?`,
  CONTROL_ENDING: (): string => 'milterhost is ending: nothing can be changed any more',
  CONTROL_FAULT: (what: string): string => `a fault in milterhost itself; please report it: ${what}`,

  // Look-ups
  LOOKUP_OPTIONS: (lookup: string, problems: string): string => `look-up ${lookup}: ${problems}`,
  LOOKUP_DRIVER: (lookup: string, name: string): string =>
    `look-up ${lookup} needs the package ${name}, which is not installed: npm install ${name}`,
  LOOKUP_FILE: (path: string, what: string): string => `the look-up file ${path} cannot be used: ${what}`,
  LOOKUP_FAILED: (lookup: string, what: string): string => `look-up ${lookup} failed: ${what}`,
  LOOKUP_TIMEOUT: (lookup: string, seconds: number): string =>
    `look-up ${lookup} did not answer within ${seconds} s (its option timeout)`,
  LOOKUP_PAUSED: (lookup: string, failures: number, why: string): string =>
    `look-up ${lookup} is not asked for a while: it failed ${failures} times in a row; the last time: ${why}`,
  LOOKUP_VALUE: (lookup: string, key: string, what: string): string =>
    `look-up ${lookup} has a value for ${JSON.stringify(key)} that cannot be used: ${what}`,

  POLICY_COMMAND: (what: string): string => `policy: ${what}`,

  // Plugins
  PLUGIN_DEFINITION: (plugin: string, what: string): string => `definePlugin of ${plugin}: ${what}`,
  PLUGIN_API: (plugin: string, api: string, ours: number, remedy: string): string =>
    `plugin ${plugin} was built for plugin API ${api}, this milterhost has ${ours}: ${remedy}`,
  PLUGIN_OPTIONS: (plugin: string, problems: string): string =>
    `plugin ${plugin} cannot be used with these options: ${problems}`,
  PLUGIN_SETUP: (plugin: string, what: string): string => `setup of plugin ${plugin} failed: ${what}`,
  PLUGIN_HOOK: (plugin: string, what: string): string => `plugin ${plugin} has hooks that cannot be used: ${what}`,
  PLUGIN_UNHEALTHY: (plugin: string, probe: string, what: string): string =>
    `plugin ${plugin} cannot work now, its health probe ${probe} failed: ${what}`,
  PLUGIN_UNINFORMED: (plugin: string, events: string): string =>
    `plugin ${plugin} needs ${events}, which this MTA does not send in this connection`,
  PLUGIN_ARGUMENT: (plugin: string, call: string, what: string): string => `plugin ${plugin} called ${call}: ${what}`,
  REPLY_INVALID: (call: string, what: string): string => `${call}: ${what}`,

  // The MTA side: listening
  LISTEN_IN_USE: (address: string): string =>
    `cannot listen on ${address}: another program listens there; stop it or choose another address`,
  LISTEN_DENIED: (address: string): string =>
    `cannot listen on ${address}: permission denied; ports below 1024 and foreign directories need a privileged user`,
  LISTEN_ADDRESS: (address: string, what: string): string =>
    `cannot listen on ${address}: ${what}; choose an address of this machine`,
  LISTEN_DIRECTORY: (address: string): string =>
    `cannot listen on ${address}: its directory does not exist; create it, owned by the user that runs milterhost`,
  LISTEN_FOREIGN: (path: string, what: string): string =>
    `cannot listen on ${path}: ${what} is there and is left alone; remove it or choose another path`,
  LISTEN_GROUP: (path: string, group: string): string =>
    `cannot give the socket ${path} to the group ${group}: there is no such group, or the user that runs milterhost is not in it`,
  LISTEN_INHERITED: (what: string, why: string): string =>
    `a socket that systemd handed over cannot be used, ${what}: ${why}; see the .socket unit`,
  LISTEN_FAILED: (address: string, what: string): string => `cannot listen on ${address}: ${what}`,

  // The MTA side: connections
  MTA_JUNK: (what: string): string => `a client that does not speak the milter protocol was disconnected: ${what}`,
  MTA_HANDSHAKE: (seconds: number): string =>
    `a client was disconnected that had not negotiated within ${seconds} s of connecting`,
  MTA_IDLE: (seconds: number): string => `an MTA was disconnected that had sent nothing for ${seconds} s`,
  MTA_STALLED: (seconds: number): string => `an MTA was disconnected that took none of an answer for ${seconds} s`,
  MTA_PROTOCOL: (what: string): string => `an MTA broke the milter protocol: ${what}`,
  MTA_INTERNAL: (stage: string, what: string): string =>
    `a fault in milterhost itself at ${stage}, answered with a temporary failure; please report it: ${what}`,
}

export type ErrorCode = keyof typeof table

export class HostError extends Error {
  readonly code: ErrorCode
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'HostError'
    this.code = code
  }
}

/** Makes the error of that code, e.g. `hostError('FILTER_TIMEOUT', 'spf', 'rcpt', 30)`. */
export const hostError = <C extends ErrorCode>(code: C, ...values: Parameters<(typeof table)[C]>): HostError =>
  new HostError(code, (table[code] as (...values: unknown[]) => string)(...values))

/** Code and message of what is reported without being thrown. */
export const described = <C extends ErrorCode>(
  code: C,
  ...values: Parameters<(typeof table)[C]>
): { readonly code: C; readonly detail: string } => ({
  code,
  detail: (table[code] as (...values: unknown[]) => string)(...values),
})

/** All codes, for the test that compares them with the documentation. */
export const errorCodes = (): ErrorCode[] => Object.keys(table) as ErrorCode[]
