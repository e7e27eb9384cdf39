/**
 * `milterhost/plugin`: all that the author of a plugin imports, and the only module a plugin may import of this package.
 *
 * Verdicts, `definePlugin`, keys for results, and the types of everything a hook is given. What is exported here is the public
 * promise of the plugin API (`docs/writing-a-plugin.md`); type tests keep it.
 */
export { type AuthResult, authenticationResults } from './host/authentication/result.ts'
export { parseDuration } from './host/config/duration.ts'
export type { Duration, EntryOptions, FilterEntry, Size } from './host/config/entry.ts'
export { parseSize } from './host/config/size.ts'
export type { AbortReason, HoldOutcome, Outcome } from './host/filter.ts'
export type { Logger } from './host/observe/logger.ts'
export type { Address } from './host/plugin/address.ts'
export type { BodyContent } from './host/plugin/body-text.ts'
export type { CommandCall, ConfiguredPlugin, PluginCommand, PluginSubcommand } from './host/plugin/command.ts'
export { definePlugin, type NoOptions, type Plugin, type PluginDefinition } from './host/plugin/define.ts'
export type { Edits } from './host/plugin/edits.ts'
export type {
  Answer,
  Auth,
  BodyEvent,
  Client,
  ConnectEvent,
  DataEvent,
  EndEvent,
  HeadersEvent,
  HeloEvent,
  Hooks,
  MailEvent,
  RcptEvent,
  SettledEvent,
  Tls,
} from './host/plugin/events.ts'
export type { HeaderField } from './host/plugin/header.ts'
export type { Host } from './host/plugin/host.ts'
export type { Schema } from './host/plugin/schema.ts'
export type { Counter, Dns } from './host/plugin/services.ts'
export { type ServiceKey, serviceKey } from './host/plugin/shared.ts'
export {
  openStateFile,
  type StateFile,
  type StateFileOptions,
  setStateFileAside,
  stateFileFailure,
  stateFileInode,
  stateFilePath,
} from './host/plugin/state-file.ts'
export {
  accept,
  discard,
  type PermanentCode,
  quarantine,
  type ReplyOptions,
  reject,
  type TemporaryCode,
  tempfail,
} from './host/plugin/verdicts.ts'
export { type DnsblAnswer, type DnsblOptions, dnsblLookup, dnsblName } from './host/policy/dnsbl.ts'
export { type Networks, type NetworkTable, networks, networkTable, PRIVATE_NETWORKS } from './host/policy/networks.ts'
export {
  anyName,
  type NamePattern,
  type S25rClient,
  type S25rOptions,
  type S25rRule,
  s25rRules,
} from './host/policy/s25r.ts'
export { type ResultKey, resultKey } from './host/results.ts'
export type { SmtpReply, Verdict } from './host/verdict.ts'
