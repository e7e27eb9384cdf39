/**
 * Which users a filter is for: `users:` of an entry, and the central `policy:` of the whole configuration, as conditions on the recipient.
 *
 * Both must agree: a filter that either switches off for a recipient is off for it. Keys are looked up in the order of `recipient-keys.ts`:
 * address, address without extension, domain, parent domains, `*`.
 */
import { shown } from '../config/problem.ts'
import type { MaybePromise } from '../filter.ts'
import type { Address } from '../plugin/address.ts'
import { map } from '../plugin/maybe.ts'
import { type Condition, testCondition } from './condition.ts'
import type { Facts } from './facts.ts'
import { isLookupEntry, type LookupEntry } from './lookup.ts'
import { type AddressPattern, addressMatcher, call } from './patterns.ts'
import { recipientKeys } from './recipient-keys.ts'
import { readSwitch, readSwitches, type Switch, type Switches } from './switches.ts'

/**
 * A list of users and domains; a function of the recipient; or a look-up from recipient to yes, no, or options for this filter. A
 * recipient that nothing is said of is none of the users.
 */
export type Users =
  | readonly AddressPattern[]
  | ((recipient: Address, facts: Facts) => MaybePromise<Switch | null | undefined>)
  | LookupEntry

/**
 * Which filters are on and off for a recipient: by address or domain, from a function, or from a look-up. A filter that nothing is said of is
 * on.
 */
export type CentralPolicy =
  | Readonly<Record<string, Switches>>
  | ((recipient: Address) => MaybePromise<Switches | null | undefined>)
  | LookupEntry

/** `CentralPolicy` as it is written: switches may also be words, `'greylist=off spf=on'`. */
export type CentralPolicyInput =
  | Exclude<CentralPolicy, Readonly<Record<string, Switches>>>
  | Readonly<Record<string, Switches | string>>

export type RecipientOptions = WeakMap<Address, Readonly<Record<string, unknown>>>

/** Throws a `RangeError` whose message completes "users …". */
export function checkUsers(value: unknown): Users {
  if (typeof value === 'function' || isLookupEntry(value)) return value as Users
  if (!Array.isArray(value))
    throw new RangeError(`must be a list of users, a function, or a look-up of milterhost/lookups, not ${shown(value)}`)
  addressMatcher(value as readonly AddressPattern[])
  return value as Users
}

/** Throws a `RangeError` whose message completes "policy …". */
export function checkPolicy(value: unknown): CentralPolicy {
  if (typeof value === 'function' || isLookupEntry(value)) return value as CentralPolicy
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new RangeError(`must be an object of recipients, a function, or a look-up, not ${shown(value)}`)
  const read = new Map<string, Switches>()
  for (const [key, switches] of Object.entries(value)) {
    try {
      read.set(key.toLowerCase(), readSwitches(switches))
    } catch (error) {
      throw new RangeError(`for ${shown(key)} ${(error as Error).message}`)
    }
  }
  return Object.fromEntries(read)
}

/** For people. */
export const usersText = (users: Users): string =>
  isLookupEntry(users) ? `users: ${users.name}` : call('users', typeof users === 'function' ? [users] : users)

export function usersCondition(users: Users, options: RecipientOptions): Condition {
  const decided = keep(options)
  if (isLookupEntry(users))
    return testCondition(
      facts =>
        map(facts.lookup(users, recipientKeys(facts.recipient)), ({ value }) =>
          decided(facts.recipient, value === null ? false : readSwitch(value)),
        ),
      { describe: usersText(users), at: 'rcpt' },
      { lookups: [users] },
    )
  if (typeof users === 'function')
    return testCondition(
      facts => map(users(facts.recipient, facts), value => decided(facts.recipient, readSwitch(value ?? false))),
      { describe: usersText(users), at: 'rcpt' },
    )
  const matches = addressMatcher(users as readonly AddressPattern[])
  return testCondition(({ recipient }) => matches(recipient), {
    describe: usersText(users),
    at: 'rcpt',
  })
}

/** The central policy, asked once a recipient for all filters. */
export class PolicySource {
  readonly #policy: CentralPolicy
  readonly #asked = new WeakMap<Address, MaybePromise<Switches>>()

  constructor(policy: CentralPolicy) {
    this.#policy = policy
  }

  condition(filter: string, options: RecipientOptions): Condition {
    const decided = keep(options)
    const policy = this.#policy
    return testCondition(
      facts => map(this.#switches(facts), switches => decided(facts.recipient, switches[filter] ?? true)),
      { describe: isLookupEntry(policy) ? `policy: ${policy.name}` : 'policy', at: 'rcpt' },
      isLookupEntry(policy) ? { lookups: [policy] } : {},
    )
  }

  #switches(facts: Facts): MaybePromise<Switches> {
    const { recipient } = facts
    const policy = this.#policy
    // A look-up has a cache of its own, and each filter's view is to note the answer.
    if (isLookupEntry(policy))
      return map(facts.lookup(policy, recipientKeys(recipient)), ({ value }) => readSwitches(value ?? {}))
    let switches = this.#asked.get(recipient)
    if (switches === undefined) {
      switches =
        typeof policy === 'function'
          ? map(policy(recipient), value => readSwitches(value ?? {}))
          : inline(policy, recipient)
      this.#asked.set(recipient, switches)
    }
    return switches
  }
}

function inline(policy: Readonly<Record<string, Switches>>, recipient: Address): Switches {
  const key = recipientKeys(recipient).find(one => Object.hasOwn(policy, one))
  return key === undefined ? {} : policy[key]!
}

/** Keeps the options that came with a yes. */
const keep =
  (options: RecipientOptions) =>
  (recipient: Address, value: Switch): boolean => {
    if (typeof value === 'object') options.set(recipient, { ...options.get(recipient), ...value })
    return value !== false
  }
