/**
 * Conditions on the SMTP client: its network, its name, what DNS lists say of it. All are decided at connect.
 */
import { type Condition, type ConditionOptions, testCondition } from '../condition.ts'
import { type DnsblAnswer, dnsblLookup } from '../dnsbl.ts'
import type { Facts } from '../facts.ts'
import { parseIp } from '../ip.ts'
import { type Networks, networks, PRIVATE_NETWORKS } from '../networks.ts'
import { call } from '../patterns.ts'
import { anyName, type NamePattern, type S25rOptions, s25rRules } from '../s25r.ts'

export interface NetworkOptions {
  /** Networks that count as local beside the private ones, e.g. the site's own public ones. @default [] */
  readonly local?: readonly string[]
  /** Networks that count as remote although they are private; goes before `local`. @default [] */
  readonly remote?: readonly string[]
}

/**
 * The client is in a private network (RFC 1918, RFC 4193, loopback, link-local), or came over a UNIX socket. Decided at connect.
 * @throws RangeError for what is no network
 * @example localNetwork({ local: ['192.0.2.0/24', '2001:db8::/32'] })
 */
export function localNetwork(options: NetworkOptions = {}): Condition {
  const local = isLocal(options)
  return testCondition(({ client }) => local(client.address), {
    describe: call('localNetwork', given(options)),
  })
}

/**
 * The client is not in a private network; nor is one whose address the MTA does not know. The opposite of `localNetwork`. Decided at connect.
 * @throws RangeError for what is no network
 * @example remoteNetwork({ remote: ['10.99.0.0/16'] })
 */
export function remoteNetwork(options: NetworkOptions = {}): Condition {
  const local = isLocal(options)
  return testCondition(({ client }) => !local(client.address), {
    describe: call('remoteNetwork', given(options)),
  })
}

function isLocal({ local = [], remote = [] }: NetworkOptions): (address: string) => boolean {
  const inside = networks([...PRIVATE_NETWORKS, ...local])
  const outside = networks(remote)
  return address => address.startsWith('/') || (inside.has(address) && !outside.has(address))
}

const given = (options: object): readonly unknown[] => (Object.keys(options).length === 0 ? [] : [options])

/** Which clients: an address or a network, a domain the verified name is in, a regular expression on that name, or a function of both. */
export type ClientPattern = NamePattern | ((client: Facts['client']) => boolean)

/**
 * The client is one of these. Decided at connect.
 * @param patterns addresses and networks, domains that its verified name is in, regular expressions on that name, functions of both
 * @throws RangeError for a pattern that is none
 * @example client('192.0.2.0/24', 'example.org', /^mx\d+\.example\.net$/)
 */
export function client(...patterns: readonly ClientPattern[]): Condition {
  if (patterns.length === 0) throw new RangeError('client() needs a network, a name or a regular expression')
  const isNetwork = (pattern: unknown): pattern is string =>
    typeof pattern === 'string' &&
    parseIp(
      pattern
        .trim()
        .split('/')[0]!
        .replace(/^\[|\]$/g, ''),
    ) !== null
  const nets = networks(patterns.filter(isNetwork))
  const tests = patterns.filter(pattern => typeof pattern === 'function') as ((client: Facts['client']) => boolean)[]
  const named = anyName(
    patterns.filter(pattern => !isNetwork(pattern) && typeof pattern !== 'function') as readonly NamePattern[],
  )
  return testCondition(
    ({ client: { address, hostname, verified }, client: who }) =>
      nets.has(address) ||
      (verified && hostname !== null && named(hostname.toLowerCase())) ||
      tests.some(test => test(who)),
    { describe: call('client', patterns) },
  )
}

/**
 * The client's name leads back to its address. Decided at connect.
 * @example verifiedPtr()
 */
export const verifiedPtr = (): Condition =>
  testCondition(({ client: { verified } }) => verified, { describe: 'verifiedPtr()' })

/**
 * The client's name looks like that of an end user's line. Decided at connect.
 * @remarks It is a suspicion, not a reason to refuse: many large senders' names do.
 * @example s25r({ whitelist: ['example.net'] })
 */
export function s25r(options: S25rOptions = {}): Condition {
  const rule = s25rRules(options)
  return testCondition(({ client: who }) => rule(who) !== null, { describe: 's25r()' })
}

/** A DNS list and the answers that count. */
export interface DnsList {
  /** @example 'zen.spamhaus.org' */
  readonly list: string
  /** Answers that count, as addresses or networks. @default all of 127/8 */
  readonly codes?: readonly string[]
}

/** DNS lists to be asked, by name or with the answers that count. */
export type DnsLists = string | DnsList | readonly (string | DnsList)[]

/**
 * The client is in one of the DNS block lists. Decided at connect.
 * @remarks A list that cannot be asked, or answers with anything outside 127/8 or in 127.255.255.0/24 (which is how lists refuse to be asked), has
 * listed nobody; it is logged. `onError: true` makes it a hit.
 * @param lists the name of a list, or `{ list, codes }` with the answers that count, as addresses or networks, instead of all; or several
 * @param options `onError` is `false` unless given
 * @example dnsbl(['zen.spamhaus.org', { list: 'bl.example', codes: ['127.0.0.2'] }])
 */
export const dnsbl = (lists: DnsLists, options: ConditionOptions = {}): Condition =>
  dnsList('dnsbl', compiled(lists, undefined), options)

/**
 * The client is in one of the DNS white lists. Decided at connect.
 * @remarks Only answers in 127.0.0.0/16 count unless `codes` says otherwise, and 127.0.0.255, dnswl.org's "you may not ask", is an error as with `dnsbl`.
 * @param lists the name of a list, or `{ list, codes }` with the answers that count, as addresses or networks, instead of all; or several
 * @param options `onError` is `false` unless given
 * @example dnswl('list.dnswl.org')
 */
export const dnswl = (lists: DnsLists, options: ConditionOptions = {}): Condition =>
  dnsList('dnswl', compiled(lists, ['127.0.0.0/16']), options, '127.0.0.255')

interface CompiledList {
  readonly list: string
  readonly codes: Networks | null
}

function compiled(lists: DnsLists, codes: readonly string[] | undefined): readonly CompiledList[] {
  const all = typeof lists === 'string' || 'list' in lists ? [lists] : lists
  if (all.length === 0) throw new RangeError('a DNS list is needed, such as "zen.spamhaus.org"')
  return all.map(one => {
    const { list, codes: own = codes } = typeof one === 'string' ? { list: one } : one
    if (typeof list !== 'string' || !/^[\w-]+(\.[\w-]+)+\.?$/.test(list))
      throw new RangeError(`${JSON.stringify(list)} is not the name of a DNS list`)
    return { list, codes: own === undefined ? null : networks(own) }
  })
}

function dnsList(name: string, lists: readonly CompiledList[], options: ConditionOptions, refusal?: string): Condition {
  const ask = async ({ dns, client: { address }, signal }: Facts): Promise<boolean> => {
    if (parseIp(address) === null) return false
    const questions = lists.map(async ({ list, codes }): Promise<DnsblAnswer> => {
      const answer = await dnsblLookup(dns, address, list, { signal, ...(codes === null ? {} : { codes }) })
      return answer.kind === 'listed' && answer.codes.includes(refusal ?? '')
        ? { kind: 'error', reason: `${list}: ${refusal} means that it may not be asked` }
        : answer
    })
    return firstHit(questions)
  }
  const describe = call(
    name,
    lists.map(({ list }) => list),
  )
  return testCondition(ask, { onError: false, describe, ...options })
}

/** As soon as one list has it; an error only when none has. */
async function firstHit(questions: readonly Promise<DnsblAnswer>[]): Promise<boolean> {
  const hit = Promise.any(
    questions.map(async question => {
      if ((await question).kind !== 'listed') throw new Error('not listed')
      return true
    }),
  ).catch(() => false)
  if (await hit) return true
  for (const question of questions) {
    const answer = await question
    if (answer.kind === 'error') throw new Error(answer.reason)
  }
  return false
}
