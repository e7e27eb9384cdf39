/**
 * A configuration to begin with, from what the MTAs here are told: where to listen, the milters that they ask now, their limits.
 *
 * Pure, and only what is certain: a milter that the MTA asks becomes an entry, those that are enabled on the machine are left to
 * `detected()`, which leaves out what is written by hand, and everything else to its default.
 * Called by `milterhost init`.
 */
import { defaultBudget } from '../../host/chain/budget.ts'
import { DEFAULT_LIMITS } from '../../host/config/settings.ts'
import { formatSocketAddress } from '../wire/index.ts'
import { postfixAttachments, sendmailAttachments } from './attachments.ts'
import { milliseconds, type PostfixConfig } from './postfix-config.ts'
import type { SendmailConfig } from './sendmail-config.ts'
import { addressKey, type NamedMilter } from './site.ts'

export interface Starter {
  readonly text: string
  /** Where it listens, in Sendmail's spelling. */
  readonly listen: readonly string[]
}

/** Sendmail is slow over TCP; Postfix is not, and needs no rights for it. */
const LISTEN = { postfix: 'inet:10025@127.0.0.1', sendmail: 'unix:/run/milterhost/milterhost.sock' }

export function starterConfiguration(postfix: PostfixConfig | null, sendmail: SendmailConfig | null): Starter {
  const listen = [
    ...(postfix !== null || sendmail === null ? [LISTEN.postfix] : []),
    ...(sendmail === null ? [] : [LISTEN.sendmail]),
  ]
  const milters = asked(postfix, sendmail)
  const mtas = [
    ...(postfix === null ? [] : [`Postfix ${postfix.versionText} (${postfix.directory})`]),
    ...(sendmail === null ? [] : [`Sendmail ${sendmail.versionText} (${sendmail.file})`]),
  ]
  const lines = [
    `// By milterhost init, for ${mtas.join(' and ') || 'a machine on which no MTA was found'}.`,
    `import { defineConfig, detected${milters.length > 0 ? ', socket' : ''} } from 'milterhost'`,
    '',
    'export default defineConfig({',
    `  listen: ${listen.length === 1 ? quoted(listen[0]!) : `[${listen.map(quoted).join(', ')}]`},`,
    ...(postfix === null ? [] : [...sessions(postfix), ...budget(postfix)]),
    '  filters: [',
    ...milters.flatMap(({ name, address, where }) => [
      `    // The MTA asks it now (${where}); take it out there.`,
      `    socket(${quoted(name)}, ${quoted(address)}),`,
    ]),
    '    // Every enabled milter of this machine: milterhost detect shows them.',
    '    ...detected(),',
    '  ],',
    '})',
    '',
  ]
  return { text: lines.join('\n'), listen }
}

interface Asked {
  readonly name: string
  readonly address: string
  readonly where: string
}

/** Each milter that an MTA asks, once, in its order; what already is milterhost is none of them. */
function asked(postfix: PostfixConfig | null, sendmail: SendmailConfig | null): Asked[] {
  const attachments = [
    ...(postfix === null ? [] : postfixAttachments(postfix)),
    ...(sendmail === null ? [] : sendmailAttachments(sendmail)),
  ]
  const seen = new Set<string>()
  const names = new Set<string>()
  return attachments
    .flatMap(({ milters }) => milters)
    .flatMap((milter): Asked[] => {
      const { address, where, written, name } = milter
      if (address === null || /milterhost/i.test(`${written} ${name}`) || seen.has(addressKey(address))) return []
      if (Object.values(LISTEN).includes(formatSocketAddress(address, 'sendmail'))) return []
      seen.add(addressKey(address))
      return [{ name: unique(nameOf(milter), names), address: formatSocketAddress(address, 'sendmail'), where }]
    })
}

/** `unix:/run/opendkim/opendkim.sock` is opendkim, `inet:127.0.0.1:8891` is milter-8891. */
function nameOf({ name, written, address }: NamedMilter): string {
  if (name !== written) return name
  if (address?.kind !== 'unix') return `milter-${address?.port}`
  const [, folder = '', file = ''] = /([^/]*)\/([^/]+)$/.exec(address.path) ?? []
  const bare = file.replace(/\.sock(et)?$/, '')
  return /^(milter|socket|sock|proxy)$/.test(bare) ? folder || bare : bare
}

function unique(name: string, taken: Set<string>): string {
  const bare = name.replace(/[^\w.-]+/g, '-').replace(/^[^A-Za-z0-9]+/, '') || 'milter'
  let result = bare
  for (let number = 2; taken.has(result); number++) result = `${bare}-${number}`
  taken.add(result)
  return result
}

function sessions(postfix: PostfixConfig): string[] {
  const most = Number(postfix.value('default_process_limit'))
  const enough = Math.ceil(most * 1.25)
  if (!(enough > DEFAULT_LIMITS.sessions)) return []
  return [
    `  // ${postfix.where('default_process_limit')}: up to ${most} SMTP sessions.`,
    `  limits: { sessions: ${enough} },`,
  ]
}

/** Postfix's own patience, less something for the way. */
function budget(postfix: PostfixConfig): string[] {
  const [command, end] = [
    milliseconds(postfix.value('milter_command_timeout')),
    milliseconds(postfix.value('milter_content_timeout')),
  ]
  const usual = defaultBudget('postfix')
  const fields = [
    ...(command <= usual.command ? [`command: '${Math.max(1, Math.floor((command * 0.8) / 1000))}s'`] : []),
    ...(end <= usual.end ? [`end: '${Math.max(1, Math.floor((end * 0.8) / 1000))}s'`] : []),
  ]
  if (fields.length === 0) return []
  return [
    "  // Within Postfix's milter_command_timeout and milter_content_timeout.",
    `  budget: { ${fields.join(', ')} },`,
  ]
}

const quoted = (text: string): string => `'${text.replace(/[\\']/g, '\\$&')}'`
