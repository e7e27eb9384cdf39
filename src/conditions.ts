/**
 * `milterhost/conditions`: which mail a filter is for.
 *
 * ```ts
 * import { all, authenticated, not, remoteNetwork } from 'milterhost/conditions'
 *
 * greylist({}, { when: all(remoteNetwork(), not(authenticated())) })
 * ```
 *
 * A plain function of `Facts`, sync or async, does wherever a condition does. `docs/conditions.md` has them all.
 */
export {
  all,
  any,
  type Condition,
  type ConditionLike,
  type ConditionOptions,
  condition,
  not,
  type Predicate,
} from './host/policy/condition.ts'
export {
  type ClientPattern,
  client,
  type DnsList,
  type DnsLists,
  dnsbl,
  dnswl,
  localNetwork,
  type NetworkOptions,
  remoteNetwork,
  s25r,
  verifiedPtr,
} from './host/policy/conditions/client.ts'
export { recipient, recipientDomain, sender, senderDomain } from './host/policy/conditions/envelope.ts'
export { result, setMacro, type TrustedOptions, trusted, verdict } from './host/policy/conditions/filters.ts'
export { header, messageSize, type SizeOptions } from './host/policy/conditions/message.ts'
export {
  type SampleOptions,
  type StressOptions,
  sample,
  stress,
  type TimeOptions,
  time,
} from './host/policy/conditions/moment.ts'
export { authenticated, helo, type MacroTime, macro, tls } from './host/policy/conditions/session.ts'
export type { FactStage, Facts, Load, Objection } from './host/policy/facts.ts'
export type { AddressPattern } from './host/policy/patterns.ts'
export type { NamePattern, S25rOptions } from './host/policy/s25r.ts'
export { type ResultKey, resultKey } from './host/results.ts'
