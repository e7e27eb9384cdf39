/**
 * Checks of Sendmail's filter lines: what happens without milterhost, how long it waits, what it refuses to open.
 */
import { defaultBudget } from '../../../host/chain/budget.ts'
import { formatDuration } from '../../../host/config/duration.ts'
import { foldersAbove, octal } from '../access.ts'
import type { Check, Found } from '../finding.ts'
import { milliseconds } from '../postfix-config.ts'
import type { SendmailConfig, SendmailFilter } from '../sendmail-config.ts'
import { type Listener, leadsTo, type Site } from '../site.ts'
import { readAsSendmail, respelt } from '../spelling.ts'
import { inputMailFilter } from './chain.ts'

type Question = (sendmail: SendmailConfig, site: Site) => readonly Found[]

const check = (code: string, severity: Check['severity'], title: string, find: Question): Check => ({
  code,
  severity,
  title,
  applies: ({ sendmail }) => sendmail !== null,
  find: site => (site.sendmail === null ? [] : find(site.sendmail, site)),
})

/** Filters of Sendmail that lead to milterhost, used or not. */
const ourFilters = (
  { filters }: SendmailConfig,
  { listeners }: Site,
): { filter: SendmailFilter; listener: Listener }[] =>
  filters.flatMap(filter => {
    const address = readAsSendmail(filter.equates.get('S') ?? '')
    const listener = address === null ? undefined : listeners.find(each => leadsTo(address, each.address))
    return listener === undefined ? [] : [{ filter, listener }]
  })

const older = ({ versionText }: SendmailConfig, minor: number): boolean => {
  const [, major, given] = /^(\d+)\.(\d+)/.exec(versionText) ?? []
  return major !== undefined && (Number(major) < 8 || (Number(major) === 8 && Number(given) < minor))
}

/** Of the stock configuration; positions of headers are computed for these. */
const STOCK = 'return-path received resent-date date resent-from from full-name resent-message-id message-id'.split(' ')

/** `T=C:5m;S:10s;R:10s;E:5m` is what holds without one. */
const PATIENCE: Readonly<Record<string, string>> = { C: '5m', S: '10s', R: '10s', E: '5m' }

export const sendmailChecks: readonly Check[] = [
  check('SENDMAIL_VERSION', 'wrong', 'Sendmail is 8.14 or newer', sendmail =>
    older(sendmail, 14)
      ? [
          {
            what: `this configuration is of Sendmail ${sendmail.versionText}, whose milter protocol is older than version 6: no macros on request, no change of sender`,
            where: sendmail.file,
            write: 'install Sendmail 8.14 or newer, and make the .cf anew',
          },
        ]
      : [],
  ),
  check('SENDMAIL_MACROS', 'wrong', 'Sendmail tells the macros that are needed', sendmail => {
    if (!older(sendmail, 14)) return []
    const lists: [string, string, readonly string[]][] = [
      ['Milter.macros.connect', 'confMILTER_MACROS_CONNECT', ['j', '{daemon_port}']],
      ['Milter.macros.envfrom', 'confMILTER_MACROS_ENVFROM', ['i', '{auth_type}', '{auth_authen}']],
    ]
    return lists.flatMap(([option, define, needed]) => {
      const told = sendmail.option(option).split(/[\s,]+/)
      const missing = needed.filter(name => !told.includes(name))
      if (missing.length === 0) return []
      return [
        {
          what: `milterhost cannot ask this Sendmail for macros, and ${missing.join(' ')} are not in ${option}`,
          where: sendmail.where(option),
          write: `define(\`${define}', \`${[...told.filter(name => name !== ''), ...missing].join(', ')}')dnl`,
        },
      ]
    })
  }),
  check('SENDMAIL_NOT_USED', 'wrong', 'A filter that is defined is used', (sendmail, site) => {
    const used = new Set([...sendmail.used, ...sendmail.daemons.flatMap(({ filters }) => filters ?? [])])
    return ourFilters(sendmail, site)
      .filter(({ filter }) => !used.has(filter.name))
      .map(({ filter: { name, where }, listener }) => ({
        what: `${name} is defined and not in InputMailFilters: MAIL_FILTER defines, INPUT_MAIL_FILTER defines and uses`,
        where,
        write: inputMailFilter(listener),
      }))
  }),
  check('SENDMAIL_FLAG', 'wrong', 'Mail waits while milterhost cannot be reached', (sendmail, site) =>
    ourFilters(sendmail, site)
      .filter(({ filter: { equates } }) => !equates.get('F'))
      .map(({ filter: { name, where }, listener }) => ({
        what: `${name} has no F=: while milterhost cannot be reached, Sendmail lets mail through unfiltered`,
        where,
        write: inputMailFilter(listener),
      })),
  ),
  check('SENDMAIL_REJECT', 'better', 'Mail is not refused for good for want of milterhost', (sendmail, site) =>
    ourFilters(sendmail, site)
      .filter(({ filter: { equates } }) => equates.get('F')?.startsWith('R'))
      .map(({ filter: { name, where }, listener }) => ({
        what: `${name} has F=R: while milterhost cannot be reached, Sendmail refuses mail for good`,
        where,
        write: inputMailFilter(listener),
      })),
  ),
  check('SENDMAIL_TIMEOUT', 'wrong', 'Sendmail waits as long as the chain may take', (sendmail, site) => {
    const { budget } = site.configuration.settings
    const least = { ...defaultBudget('sendmail') }
    const command = budget.command ?? least.command
    const end = budget.end ?? least.end
    return ourFilters(sendmail, site).flatMap(({ filter: { name, where, equates }, listener }) => {
      const given = new Map((equates.get('T') ?? '').split(';').map(part => part.trim().split(':') as [string, string]))
      const short = Object.entries(PATIENCE).flatMap(([letter, usual]) => {
        const text = given.get(letter) ?? usual
        const needed = letter === 'E' ? end : letter === 'R' ? command : 5_000
        return milliseconds(text) <= needed ? [`${letter}:${text} (needed: more than ${formatDuration(needed)})`] : []
      })
      if (short.length === 0) return []
      const seconds = (ms: number): string => `${Math.ceil(ms / 1000)}s`
      const times = `C:30s;S:30s;R:${seconds(Math.max(30_000, command + 5_000))};E:${seconds(Math.max(300_000, end + 60_000))}`
      return [
        {
          what: `${name}: Sendmail gives up before the chain does: ${short.join(', ')}`,
          where,
          write: inputMailFilter(listener).replace(/T=[^']*/, `T=${times}`),
        },
      ]
    })
  }),
  check('SENDMAIL_TCP', 'better', 'Sendmail connects over a UNIX socket', (sendmail, site) =>
    ourFilters(sendmail, site)
      .filter(({ listener }) => listener.address.kind === 'inet')
      .map(({ filter: { name, where } }) => ({
        what: `${name} is TCP: Sendmail writes a command in two parts, and the second waits for the acknowledgement of the first, at every step of every message`,
        where,
        write: `listen: 'unix:/run/milterhost/milterhost.sock' and ${inputMailFilter({ address: { kind: 'unix', path: '/run/milterhost/milterhost.sock' } })}`,
      })),
  ),
  check('SENDMAIL_BRACKETS', 'wrong', 'No numeric address stands in brackets', sendmail =>
    sendmail.filters.flatMap(({ name, equates, where }) => {
      const written = equates.get('S') ?? ''
      if (!/@\[/.test(written)) return []
      return [
        {
          what: `${name}: Sendmail never connects to ${written}: a numeric address in brackets is a defect of it`,
          where,
          write: `S=${respelt(written, 'sendmail') ?? written.replace(/[[\]]/g, '')}`,
        },
      ]
    }),
  ),
  check('SENDMAIL_UNSAFE_PATH', 'wrong', 'Sendmail takes the path of the socket for safe', (sendmail, site) => {
    const blame = sendmail.option('DontBlameSendmail').toLowerCase()
    return ourFilters(sendmail, site).flatMap(({ filter, listener }) => {
      if (listener.address.kind !== 'unix') return []
      return [...foldersAbove(listener.address.path), listener.address.path].flatMap((path): Found[] => {
        const facts = site.machine.path(path)
        if (facts === null) return []
        if (facts.kind === 'link')
          return [
            {
              what: `${path} is a symbolic link, which Sendmail does not follow to a filter`,
              where: filter.where,
              write: `S=unix:${site.machine.real(path) ?? path}`,
            },
          ]
        if (facts.kind !== 'directory') return []
        const sticky = (facts.mode & 0o1000) !== 0 && blame.includes('truststickybit')
        const byGroup = (facts.mode & 0o020) !== 0 && !blame.includes('groupwritabledirpathsafe')
        const byAll = (facts.mode & 0o002) !== 0
        if (sticky || (!byGroup && !byAll)) return []
        return [
          {
            what: `${path} may be written by ${byAll ? 'anyone' : 'its group'} (mode ${octal(facts.mode)}): Sendmail calls a socket below it unsafe and does not connect`,
            where: path,
            write: `chmod go-w ${path}`,
          },
        ]
      })
    })
  }),
  check('SENDMAIL_PROCESSES', 'wrong', 'milterhost takes as many sessions as Sendmail can have', (sendmail, site) => {
    const children = Number(sendmail.option('MaxDaemonChildren') || 0)
    const { sessions } = site.configuration.settings.limits
    if (children <= sessions || ourFilters(sendmail, site).length === 0) return []
    return [
      {
        what: `Sendmail can have ${children} SMTP sessions, and milterhost takes ${sessions} and puts off the others`,
        where: `${site.file}: limits.sessions; ${sendmail.where('MaxDaemonChildren')}`,
        write: `limits: { sessions: ${Math.ceil(children * 1.25)} }`,
      },
    ]
  }),
  check('SENDMAIL_HEADERS', 'better', 'Sendmail has its stock header lines', (sendmail, site) => {
    const names = sendmail.templates.map(name => name.toLowerCase())
    const added = names.filter(name => !STOCK.includes(name))
    const lacking = STOCK.filter(name => !names.includes(name))
    if (ourFilters(sendmail, site).length === 0 || (added.length === 0 && lacking.length === 0)) return []
    const changed = [...added.map(name => `${name} added`), ...lacking.map(name => `${name} removed`)].join(', ')
    return [
      {
        what: `the header lines differ from stock (${changed}): a filter that inserts a field at a number hits the top and the end exactly, and places between by one or two off`,
        where: sendmail.file,
        write: 'H lines as in the stock configuration',
      },
    ]
  }),
]
