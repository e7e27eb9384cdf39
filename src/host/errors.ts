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

  INTERRUPTED: (filter: string, stage: string, why: string): string =>
    `filter ${filter} was interrupted at ${stage}: ${why}`,

  // Limits
  LIMIT_BODY: (limit: number): string => `a message body is larger than limits.body (${limit} bytes)`,
  LIMIT_HEADERS: (limit: number): string => `a message has more header fields than limits.headers (${limit})`,
  LIMIT_HEADER_BYTES: (limit: number): string =>
    `the headers of a message are larger than limits.headerBytes (${limit} bytes)`,
  LIMIT_RECIPIENTS: (limit: number): string => `a message has more recipients than limits.recipients (${limit})`,
  LIMIT_EDITS: (filter: string, limit: number): string =>
    `filter ${filter} sent more edits than limits.edits (${limit})`,

  // Spool
  SPOOL_FOLDER: (path: string, what: string): string => `the spool folder ${path} cannot be used: ${what}`,
  SPOOL_FULL: (path: string): string =>
    `no space is left for message bodies in ${path}: free some, or set spool.directory to a larger disk`,
  SPOOL_FAILED: (path: string, what: string): string => `a message body could not be kept in ${path}: ${what}`,
  SPOOL_GONE: (): string => 'a message body was used after its message had ended',

  // Configuration
  CONFIG_NOT_FOUND: (path: string): string => `no configuration at ${path}; name an existing file with --config`,
  CONFIG_SYNTAX: (where: string, what: string): string => `${where}: ${what}`,
  CONFIG_IMPORT: (file: string, what: string): string => `${file}: ${what}`,
  CONFIG_THREW: (file: string, what: string): string => `${file} failed while it was executed: ${what}`,
  CONFIG_INVALID: (file: string, problems: readonly string[]): string =>
    `${file} is not a valid configuration:\n${problems.map(problem => `  ${problem}`).join('\n')}`,
  FILTER_NOT_CREATED: (filter: string, what: string): string => `filter ${filter} could not be set up: ${what}`,

  // The daemon
  LISTEN_FAILED: (address: string, what: string): string => `cannot listen on ${address}: ${what}`,
  UNCAUGHT: (what: string): string => `an error escaped from a plugin or a library; serving goes on: ${what}`,

  // Plugins
  PLUGIN_DEFINITION: (plugin: string, what: string): string => `definePlugin of ${plugin}: ${what}`,
  PLUGIN_API: (plugin: string, api: string, ours: number): string =>
    `plugin ${plugin} was written for plugin API ${api}, this milterhost speaks ${ours}: install a version of the plugin that fits`,
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

/** All codes, for the test that compares them with the documentation. */
export const errorCodes = (): ErrorCode[] => Object.keys(table) as ErrorCode[]
