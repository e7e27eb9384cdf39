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
 * The client says one of these names in HELO. Decided at helo.
 * @param patterns domains with all below them, regular expressions, functions
 * @example helo(/^\[/, 'localhost')
 */
export function helo(...patterns: readonly NamePattern[]): Condition {
  if (patterns.length === 0) throw new RangeError('helo() needs a name or a regular expression')
  const matches = anyName(patterns)
  return testCondition(facts => matches(facts.helo.toLowerCase()), { describe: call('helo', patterns), at: 'helo' })
}

/**
 * The connection is encrypted. Decided at helo, the one that follows STARTTLS.
 * @param versions only these versions of TLS; any, if none is named
 * @example tls('TLSv1.3')
 */
export const tls = (...versions: readonly string[]): Condition =>
  testCondition(
    ({ tls: session }) => session !== null && (versions.length === 0 || versions.includes(session.version)),
    { describe: call('tls', versions), at: 'helo' },
    { macros: [['helo', 'tls_version']] },
  )

/**
 * The client has logged in. Decided at mail.
 * @remarks The MTA tells it in `{auth_authen}` at MAIL, as it tells TLS in `{tls_version}` at HELO. milterhost asks for both, so that nothing has to be set.
 * @param users only these users, each a name or a regular expression; any, if none is named
 * @example authenticated('ann', /^staff-/)
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

export interface MacroTime {
  /** The stage at which it is told. @default where the MTAs tell it, else `'mail'` */
  readonly at?: FactStage
}

/**
 * The MTA tells that macro; with a value: as that value, or one that matches. It is asked for it. Decided at the stage `at`.
 * @param name name of the macro, with or without braces
 * @param value what it has to be, or to match
 * @example macro('daemon_name', 'submission')
 * @example macro('rcpt_mailer', /^local$/)
 */
export function macro(name: string, value?: string | RegExp, { at }: MacroTime = {}): Condition {
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
