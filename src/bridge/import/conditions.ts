/**
 * The conditions that milter manager ships, as conditions of milterhost, and those of one's own as a name to fill in.
 *
 * Pure. Each gives the TypeScript and what it imports; what milterhost does for every filter anyway gives nothing.
 */
import type { Imported } from './model.ts'
import { quotedText } from './values.ts'

export interface WrittenCondition {
  /** `null`: nothing is needed. */
  readonly code: string | null
  /** Names from `milterhost/conditions`. */
  readonly imports: readonly string[]
}

type Writer = (model: Imported) => WrittenCondition

const NOTHING: WrittenCondition = { code: null, imports: [] }

const options = (fields: readonly (string | null)[]): string => {
  const given = fields.filter(field => field !== null)
  return given.length === 0 ? '' : `{ ${given.join(', ')} }`
}

const list = (name: string, items: readonly string[]): string | null =>
  items.length === 0 ? null : `${name}: [${items.join(', ')}]`

const stressed: Writer = ({ stressSessions }) => ({
  code: `stress(${stressSessions === null ? '' : `{ sessions: ${stressSessions} }`})`,
  imports: ['stress'],
})

/** The lists of milter manager, less one that has closed. */
const SHIPPED_LISTS = [
  { list: "'zen.spamhaus.org'", codes: ["'127.0.0.10'", "'127.0.0.11'"] },
  { list: "'bl.spamcop.net'", codes: [] },
  { list: "'b.barracudacentral.org'", codes: [] },
]

const listed: Writer = ({ dnsbl }) => {
  const lists = (dnsbl.length > 0 ? dnsbl : SHIPPED_LISTS).map(({ list, codes }) =>
    codes.length === 0 ? list : `{ list: ${list}, codes: [${codes.join(', ')}] }`,
  )
  return { code: `dnsbl([${lists.join(', ')}])`, imports: ['dnsbl'] }
}

const not = ({ code, imports }: WrittenCondition): WrittenCondition => ({
  code: `not(${code})`,
  imports: ['not', ...imports],
})

const unauthenticated: Writer = () => not({ code: 'authenticated()', imports: ['authenticated'] })
const authenticated: Writer = () => ({ code: 'authenticated()', imports: ['authenticated'] })

const SHIPPED: Readonly<Record<string, Writer>> = {
  S25R: ({ s25r: { whitelist, blacklist, ipv6 } }) => ({
    code: `s25r(${options([list('whitelist', whitelist), list('blacklist', blacklist), ipv6 ? 'ipv6: true' : null])})`,
    imports: ['s25r'],
  }),
  'Remote Network': ({ network: { local, remote } }) => ({
    code: `remoteNetwork(${options([list('local', local), list('remote', remote)])})`,
    imports: ['remoteNetwork'],
  }),
  Authenticated: authenticated,
  Authentication: authenticated,
  Unauthenticated: unauthenticated,
  Unauthentication: unauthenticated,
  'DNSBL Listed': listed,
  'Not DNSBL Listed': model => not(listed(model)),
  'No Stress': model => not(stressed(model)),
  'Stress Notify': model => ({
    code: `setMacro('stress', 'yes', ${stressed(model).code})`,
    imports: ['setMacro', 'stress'],
  }),
  // Macros are levelled for every filter.
  'Sendmail Compatible': () => NOTHING,
  Trust: ({ trusted: { domains, file } }) =>
    domains.length === 0 && file === null
      ? NOTHING
      : {
          code: `setMacro('trusted_domain', 'yes', trusted(${options([list('domains', domains), file === null ? null : `file: ${quotedText(file)}`])}))`,
          imports: ['setMacro', 'trusted'],
        },
}

/** `null` when nobody has defined it. */
export function conditionOf(name: string, model: Imported): WrittenCondition | null {
  if (model.foreign.has(name)) return { code: foreignName(name), imports: [] }
  return Object.hasOwn(SHIPPED, name) ? SHIPPED[name]!(model) : null
}

/** A condition of one's own as a constant: `Only Ann` is `onlyAnn`. */
export function foreignName(name: string): string {
  const [first = 'condition', ...rest] = name.match(/[A-Za-z0-9]+/g) ?? []
  const camel = first.toLowerCase() + rest.map(word => word[0]!.toUpperCase() + word.slice(1).toLowerCase()).join('')
  return `${/^\d/.test(camel) ? 'condition' : ''}${camel}Condition`
}

/** Shipped conditions that milterhost's conditions differ from in what they trust; for notes. */
export const DIFFERS: Readonly<Record<string, string>> = {
  Trust:
    'milter manager trusted the sender as given, which anybody can forge: trusted(…) asks for SPF, so milter-plugin-spf has to stand before this filter; without a list of your own it is left out',
}

export const SHIPPED_CONDITIONS: readonly string[] = Object.keys(SHIPPED)
