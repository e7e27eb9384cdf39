/**
 * Conditions on sender and recipients. Sender: decided at mail. Recipient: decided at rcpt, for each recipient by itself.
 */
import { type Condition, testCondition } from '../condition.ts'
import { type AddressPattern, addressMatcher, call } from '../patterns.ts'
import { anyName, type NamePattern } from '../s25r.ts'

/**
 * The envelope sender is one of these; anyone can forge it. Decided at mail.
 * @param patterns addresses, local parts, domains; `'<>'` is the null sender
 * @example sender('<>', 'news@example.org', /^bounce-/)
 */
export function sender(...patterns: readonly AddressPattern[]): Condition {
  const matches = addressMatcher(patterns)
  return testCondition(facts => matches(facts.sender), { describe: call('sender', patterns), at: 'mail' })
}

/**
 * The sender's domain is one of these, or below it. Decided at mail.
 * @param domains domains, or regular expressions on the whole name
 * @example senderDomain('example.org')
 */
export function senderDomain(...domains: readonly NamePattern[]): Condition {
  const matches = domainMatcher('senderDomain', domains)
  return testCondition(facts => matches(facts.sender.domain), { describe: call('senderDomain', domains), at: 'mail' })
}

/**
 * This recipient is one of these; the filter is told of those alone. Decided at rcpt.
 * @param patterns addresses, local parts, domains
 * @example recipient('postmaster@', 'sales@example.org')
 */
export function recipient(...patterns: readonly AddressPattern[]): Condition {
  const matches = addressMatcher(patterns)
  return testCondition(facts => matches(facts.recipient), { describe: call('recipient', patterns), at: 'rcpt' })
}

/**
 * This recipient's domain is one of these, or below it. Decided at rcpt.
 * @param domains domains, or regular expressions on the whole name
 * @example recipientDomain('example.org')
 */
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
