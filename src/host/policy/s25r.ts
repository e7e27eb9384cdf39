/**
 * S25R, "selective SMTP rejection" of H. Asami: does a client's name look like that of an end user's line?
 *
 * Six rules over the shape of the name, and one for clients without a name. They also meet the names of large providers
 * (measured on names of Gmail, Outlook, Amazon SES, Yahoo), so the answer is a suspicion that starts a
 * closer look (DNSBL, greylisting) and never a reason to refuse. Pure; the caller brings name and address. Rule 1 is
 * quadratic in the length of the name and a stranger chooses the name: it is cut at 255, the longest a DNS name can be, first.
 */
import { parseIp } from './ip.ts'

/** Rules by number: 0 is "no verified name"; 1 to 6 as published, rule 1 as revised in 2009. */
const RULES: readonly (readonly [S25rRule, RegExp])[] = [
  [1, /^[^.]*[0-9][^0-9.]+[0-9].*\./i],
  [2, /^[^.]*[0-9]{5}/i],
  [3, /^([^.]+\.)?[0-9][^.]*\.[^.]+\..+\.[a-z]/i],
  [4, /^[^.]*[0-9]\.[^.]*[0-9]-[0-9]/i],
  [5, /^[^.]*[0-9]\.[^.]*[0-9]\.[^.]+\..+\./i],
  [6, /^(dhcp|dialup|ppp|[achrsvx]?dsl)[^.]*[0-9]/i],
]

/** Senders of much good mail whose host names the rules meet. A name counts only when it is verified. */
const KNOWN_GOOD: readonly string[] = [
  'google.com',
  'outbound.protection.outlook.com',
  'amazonses.com',
  'yahoo.com',
  'mail-mail.facebook.com',
  'obsmtp.com',
  'slack.com',
  'mg.gitlab.com',
  'sendgrid.net',
  'sparkpostmail.com',
]

const LONGEST_NAME = 255

/** 0: no verified name. 1 to 6: the shape of the name. `'listed'`: the caller's black list. */
export type S25rRule = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 'listed'

/** A domain (that name and all below it), a regular expression or a test, all on the name in lower case. */
export type NamePattern = string | RegExp | ((name: string) => boolean)

export interface S25rOptions {
  /** Names never suspected, beside large providers. Goes before everything but rule 0, that there is no verified name. @default [] */
  readonly whitelist?: readonly NamePattern[]
  /** Names always suspected. @default [] */
  readonly blacklist?: readonly NamePattern[]
  /** Whether large senders whose names the rules meet are left alone, by a white list that comes with the host. @default true */
  readonly knownGood?: boolean
  /** Looks at IPv6 clients too. Few of them have a name in the pattern of the rules, and many good ones have none. @default false */
  readonly ipv6?: boolean
}

/** What is needed of a client; a plugin's `event.client` fits. */
export interface S25rClient {
  readonly address: string
  readonly hostname: string | null
  readonly verified: boolean
}

/**
 * Compiles the lists; the result tells which rule a client's name meets, or `null` when it looks like a server's.
 *
 * Throws a `RangeError` for a pattern that is none.
 * @example
 * ```ts
 * const suspicious = s25rRules({ whitelist: ['example.net'], blacklist: [/\.dip\.example\.de$/] })
 * suspicious({ address: '192.0.2.1', hostname: 'ppp-192-0-2-1.example.com', verified: true }) // 1
 * ```
 */
export function s25rRules(options: S25rOptions = {}): (client: S25rClient) => S25rRule | null {
  const { whitelist = [], blacklist = [], knownGood = true, ipv6 = false } = options
  const good = anyName(knownGood ? [...KNOWN_GOOD, ...whitelist] : whitelist)
  const bad = anyName(blacklist)
  return ({ address, hostname, verified }) => {
    const family = parseIp(address)?.family
    if (family === undefined || (family === 6 && !ipv6)) return null
    if (hostname === null || !verified) return 0
    const name = hostname.slice(0, LONGEST_NAME).toLowerCase().replace(/\.$/, '')
    if (good(name)) return null
    if (bad(name)) return 'listed'
    return RULES.find(([, pattern]) => pattern.test(name))?.[0] ?? null
  }
}

/** Whether a name meets one of the patterns. Throws a `RangeError` for a pattern that is none. */
export function anyName(patterns: readonly NamePattern[]): (name: string) => boolean {
  const domains = new Set<string>()
  const tests: ((name: string) => boolean)[] = []
  for (const pattern of patterns) {
    if (typeof pattern === 'string') domains.add(domainOf(pattern))
    else if (pattern instanceof RegExp) tests.push(stateless(pattern))
    else if (typeof pattern === 'function') tests.push(pattern)
    else throw noPattern(pattern)
  }
  return name => {
    for (let at = 0; at >= 0; at = name.indexOf('.', at) + 1 || -1) if (domains.has(name.slice(at))) return true
    return tests.some(test => test(name))
  }
}

/** A pattern in the form that names are compared in. `*.example.com` and the like would never be met; `[192.0.2.1]` is a HELO. */
function domainOf(pattern: string): string {
  const name = pattern
    .trim()
    .toLowerCase()
    .replace(/^\.|\.$/g, '')
  if (!/^[^.\s*@/<>,]+(\.[^.\s*@/<>,]+)*$/.test(name)) throw noPattern(pattern)
  return name
}

const noPattern = (pattern: unknown): RangeError =>
  new RangeError(
    `${JSON.stringify(pattern)} is not a domain such as "example.com" (with all below it), a regular expression or a function`,
  )

/** A `g` or `y` pattern remembers where it stopped, and would answer every other question wrong. */
function stateless(pattern: RegExp): (name: string) => boolean {
  const copy = new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, ''))
  return name => copy.test(name)
}
