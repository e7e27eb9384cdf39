/**
 * Conditions on the SMTP session: HELO, TLS, authentication, macros of the MTA.
 */
import type { MacroStage } from '../../macros.ts'
import { bare } from '../../macros.ts'
import { type Condition, testCondition } from '../condition.ts'
import { type FactStage, macroStageOf, rank } from '../facts.ts'
import { call } from '../patterns.ts'
import { anyName, type NamePattern } from '../s25r.ts'

/**
 * What the client says in HELO: a domain and all below it, a regular expression, a function. Decided at helo.
 * @example helo(/^\[/, 'localhost')
 */
export function helo(...patterns: readonly NamePattern[]): Condition {
  if (patterns.length === 0) throw new RangeError('helo() needs a name or a regular expression')
  const matches = anyName(patterns)
  return testCondition(facts => matches(facts.helo.toLowerCase()), { describe: call('helo', patterns), at: 'helo' })
}

/**
 * The client uses TLS, with one of these versions if any are named. Decided at the HELO that follows STARTTLS.
 * @example tls('TLSv1.3')
 */
export const tls = (...versions: readonly string[]): Condition =>
  testCondition(
    ({ tls: session }) => session !== null && (versions.length === 0 || versions.includes(session.version)),
    { describe: call('tls', versions), at: 'helo' },
    { macros: [['helo', 'tls_version']] },
  )

/**
 * The client has logged in, as one of these users if any are named (a name, or a regular expression). Decided at mail. Postfix tells it in
 * `{auth_authen}`, which milterhost asks for at MAIL.
 */
export function authenticated(...users: readonly (string | RegExp)[]): Condition {
  const names = new Set(users.filter(user => typeof user === 'string'))
  const matches = anyName(users.filter(user => typeof user !== 'string'))
  return testCondition(
    ({ auth }) => auth !== null && (users.length === 0 || names.has(auth.user) || matches(auth.user)),
    { describe: call('authenticated', users), at: 'mail' },
    {
      macros: [
        ['mail', 'auth_authen'],
        ['mail', 'auth_type'],
      ],
    },
  )
}

const ASKED: Readonly<Record<FactStage, MacroStage>> = {
  connect: 'connect',
  helo: 'helo',
  mail: 'mail',
  rcpt: 'rcpt',
  data: 'data',
  message: 'eom',
}

/**
 * A macro of the MTA is there, or is this value, or matches. The MTA is asked for it.
 * @param at the stage at which it is told; by default that of the MTAs, `mail` for names of their own
 * @example macro('daemon_name', 'submission')
 * @example macro('rcpt_mailer', /^local$/)
 */
export function macro(name: string, value?: string | RegExp, { at }: { readonly at?: FactStage } = {}): Condition {
  if (typeof name !== 'string' || !/^(\{[\w.]+\}|[\w.]+)$/.test(name))
    throw new RangeError(`${JSON.stringify(name)} is not a macro name such as "auth_type" or "i"`)
  const stage = at ?? macroStageOf(bare(name))
  if (rank(stage) < 0) throw new RangeError(`${JSON.stringify(at)} is not a stage`)
  const matches = value instanceof RegExp ? anyName([value]) : (text: string): boolean => text === value
  return testCondition(
    facts => {
      const told = facts.macro(name, stage)
      return told !== undefined && (value === undefined || matches(told))
    },
    { describe: call('macro', value === undefined ? [name] : [name, value]) },
    { macros: [[ASKED[stage], bare(name)]] },
  )
}
