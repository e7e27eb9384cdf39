/**
 * Conditions on sender and recipients. Sender: decided at mail. Recipient: decided at rcpt, for each recipient by itself.
 */
import { type Condition, testCondition } from '../condition.ts'
import { type AddressPattern, addressMatcher, call } from '../patterns.ts'
import { anyName, type NamePattern } from '../s25r.ts'

/** The envelope sender. It can be forged by anyone. @example sender('<>', 'news@example.org', /^bounce-/) */
export function sender(...patterns: readonly AddressPattern[]): Condition {
  const matches = addressMatcher(patterns)
  return testCondition(facts => matches(facts.sender), { describe: call('sender', patterns), at: 'mail' })
}

/** The sender's domain: that domain and all below it. @example senderDomain('example.org') */
export function senderDomain(...domains: readonly NamePattern[]): Condition {
  const matches = domainMatcher('senderDomain', domains)
  return testCondition(facts => matches(facts.sender.domain), { describe: call('senderDomain', domains), at: 'mail' })
}

/** A recipient; the filter is told of those alone. @example recipient('postmaster@', 'sales@example.org') */
export function recipient(...patterns: readonly AddressPattern[]): Condition {
  const matches = addressMatcher(patterns)
  return testCondition(facts => matches(facts.recipient), { describe: call('recipient', patterns), at: 'rcpt' })
}

/** A recipient's domain: that domain and all below it. @example recipientDomain('example.org') */
export function recipientDomain(...domains: readonly NamePattern[]): Condition {
  const matches = domainMatcher('recipientDomain', domains)
  return testCondition(facts => matches(facts.recipient.domain), {
    describe: call('recipientDomain', domains),
    at: 'rcpt',
  })
}

function domainMatcher(name: string, domains: readonly NamePattern[]): (domain: string) => boolean {
  if (domains.length === 0) throw new RangeError(`${name}() needs a domain or a regular expression`)
  const matches = anyName(domains)
  return domain => domain !== '' && matches(domain)
}
