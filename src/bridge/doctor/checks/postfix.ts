/**
 * Checks of Postfix's own settings about milters: what it does without one, how long it waits, what it tells.
 */
import { defaultBudget } from '../../../host/chain/budget.ts'
import { formatDuration } from '../../../host/config/duration.ts'
import type { Check, Found } from '../finding.ts'
import type { PostfixConfig } from '../postfix-config.ts'
import { milliseconds } from '../postfix-config.ts'
import { distinct, ourListener, ours, type Site } from '../site.ts'

type Question = (postfix: PostfixConfig, site: Site) => readonly Found[]

/** A check that has nothing to look at without Postfix. */
const check = (code: string, severity: Check['severity'], title: string, find: Question): Check => ({
  code,
  severity,
  title,
  applies: ({ postfix }) => postfix !== null,
  find: site => (site.postfix === null ? [] : find(site.postfix, site)),
})

const older = ({ version }: PostfixConfig, major: number, minor: number): boolean =>
  version[0] < major || (version[0] === major && version[1] < minor)

/** Every value that holds for our entries: main.cf's, those of master.cf, and those that stand with the address. */
function valuesFor(site: Site, postfix: PostfixConfig, parameter: string, option: string): Map<string, string> {
  const found = new Map([[postfix.where(parameter), postfix.value(parameter)]])
  for (const { name, command, overrides, where } of postfix.services) {
    const own = overrides.get(parameter)
    if (command === 'smtpd' && own !== undefined) found.set(`${where} (${name})`, own)
  }
  for (const { milter, attachment } of ours(site)) {
    const own = milter.options.get(option)
    if (attachment.mta === 'postfix' && own !== undefined) found.set(`${milter.where} (${milter.written})`, own)
  }
  return found
}

const shorter = (
  site: Site,
  postfix: PostfixConfig,
  { parameter, option, least }: { parameter: string; option: string; least: number },
): { where: string; text: string }[] =>
  [...valuesFor(site, postfix, parameter, option)]
    .filter(([, text]) => milliseconds(text) < least)
    .map(([where, text]) => ({ where, text }))

const MAIL = ['i', '{auth_type}', '{auth_authen}']

/** Versions before 6 cannot be asked for macros: only the lists in main.cf count. */
const unasked = (postfix: PostfixConfig, site: Site): boolean =>
  [...valuesFor(site, postfix, 'milter_protocol', 'protocol').values()].some(text => Number.parseInt(text, 10) < 6)

function untold(postfix: PostfixConfig, parameter: string, needed: readonly string[]): Found[] {
  const told = postfix
    .value(parameter)
    .split(/[\s,]+/)
    .filter(name => name !== '')
  const missing = needed.filter(name => !told.includes(name))
  if (missing.length === 0) return []
  return [
    {
      what: `milterhost cannot ask this Postfix for macros, and ${missing.join(' ')} are not in ${parameter}`,
      where: postfix.where(parameter),
      write: `${parameter} = ${[...told, ...missing].join(' ')}`,
    },
  ]
}

interface Patience {
  /** Whose budget it has to exceed. */
  readonly stage: 'command' | 'end'
  /** Of Postfix: `milter_NAME` in main.cf, NAME in a service's own. */
  readonly name: string
  /** Seconds: Postfix's default, and what is to be left beyond the chain's. */
  readonly usual: number
  readonly spare: number
  readonly what: string
}

function impatient(postfix: PostfixConfig, site: Site, { stage, name, usual, spare, what }: Patience): Found[] {
  const least = site.configuration.settings.budget[stage] ?? defaultBudget('postfix')[stage]
  const parameter = `milter_${name}`
  return shorter(site, postfix, { parameter, option: name, least: least + 1 }).map(({ where, text }) => ({
    what: `Postfix gives up after ${text}, and the chain may take ${formatDuration(least)} for ${what}`,
    where,
    write: `${parameter} = ${Math.max(usual, Math.ceil(least / 1000) + spare)}s`,
  }))
}

export const postfixChecks: readonly Check[] = [
  check('POSTFIX_VERSION', 'wrong', 'Postfix is 2.6 or newer', postfix =>
    older(postfix, 2, 6)
      ? [
          {
            what: `Postfix ${postfix.versionText} has no milter protocol that milterhost speaks reliably`,
            where: `postconf -c ${postfix.directory} mail_version`,
            write: 'install Postfix 2.6 or newer',
          },
        ]
      : [],
  ),
  check('POSTFIX_OLD', 'better', 'Postfix tells where it took a connection', (postfix, site) =>
    older(postfix, 3, 2) && site.configuration.settings.mtaAddresses.length === 0
      ? [
          {
            what: `Postfix ${postfix.versionText} does not tell where it took a connection: clients that leave are not noticed`,
            where: `postconf -c ${postfix.directory} mail_version`,
            write: 'mta: { addresses: [25] }',
          },
        ]
      : [],
  ),
  check('POSTFIX_DEFAULT_ACTION', 'wrong', 'Mail waits while milterhost cannot be reached', (postfix, site) =>
    [...valuesFor(site, postfix, 'milter_default_action', 'default_action')].flatMap(([where, action]) => {
      const what = {
        accept: 'while milterhost cannot be reached, Postfix lets mail through unfiltered',
        reject: 'while milterhost cannot be reached, Postfix refuses mail for good',
      }[action]
      return what === undefined ? [] : [{ what, where, write: 'milter_default_action = tempfail' }]
    }),
  ),
  check('POSTFIX_QUARANTINE', 'better', 'Nothing is put into quarantine for want of milterhost', (postfix, site) =>
    [...valuesFor(site, postfix, 'milter_default_action', 'default_action')]
      .filter(([, action]) => action === 'quarantine')
      .map(([where]) => ({
        what: 'while milterhost cannot be reached, all mail goes to the hold queue, where somebody has to look after it',
        where,
        write: 'milter_default_action = tempfail',
      })),
  ),
  check(
    'POSTFIX_COMMAND_TIMEOUT',
    'wrong',
    'Postfix waits for an answer as long as the chain may take',
    (postfix, site) =>
      impatient(postfix, site, { stage: 'command', name: 'command_timeout', usual: 30, spare: 5, what: 'one answer' }),
  ),
  check(
    'POSTFIX_CONTENT_TIMEOUT',
    'wrong',
    'Postfix waits for a message as long as the chain may take',
    (postfix, site) =>
      impatient(postfix, site, { stage: 'end', name: 'content_timeout', usual: 300, spare: 60, what: 'a message' }),
  ),
  check('POSTFIX_CONNECT_TIMEOUT', 'better', 'Postfix is patient with a connection', (postfix, site) =>
    shorter(site, postfix, { parameter: 'milter_connect_timeout', option: 'connect_timeout', least: 10_000 }).map(
      ({ where, text }) => ({
        what: `Postfix gives up connecting after ${text}: a moment of load becomes a failure`,
        where,
        write: 'milter_connect_timeout = 30s',
      }),
    ),
  ),
  check('POSTFIX_PROTOCOL', 'better', 'Postfix speaks version 6 of the protocol', (postfix, site) =>
    [...valuesFor(site, postfix, 'milter_protocol', 'protocol')]
      .filter(([, text]) => Number.parseInt(text, 10) < 6)
      .map(([where, text]) => ({
        what: `Postfix speaks version ${text}: no macros on request${Number.parseInt(text, 10) < 4 ? ', no DATA event' : ''}, no refused recipients, no spaces as they were`,
        where,
        write: 'milter_protocol = 6',
      })),
  ),
  check('POSTFIX_MACROS', 'wrong', 'Postfix tells who it is and who logged in', (postfix, site) =>
    unasked(postfix, site)
      ? [...untold(postfix, 'milter_connect_macros', ['j', 'v']), ...untold(postfix, 'milter_mail_macros', MAIL)]
      : [],
  ),
  check('POSTFIX_PLACE', 'better', 'Postfix tells where it took a connection, or is told to', (postfix, site) =>
    // Before 3.5 the list for connect was evaluated before the negotiation that asks for it.
    !older(postfix, 3, 2) && (unasked(postfix, site) || older(postfix, 3, 5))
      ? untold(postfix, 'milter_connect_macros', ['{daemon_addr}', '{daemon_port}'])
      : [],
  ),
  check('POSTFIX_NON_SMTPD', 'better', 'Mail that did not come by SMTP is shown to milterhost', (postfix, site) => {
    const local = site.attachments.find(({ role, mta }) => mta === 'postfix' && role === 'local')
    const asked = ours(site).some(({ attachment }) => attachment.role !== 'local' && attachment.mta === 'postfix')
    if (local === undefined || !asked || local.milters.some(milter => ourListener(site, milter) !== undefined))
      return []
    return [
      {
        what: 'mail of the sendmail command is not shown to milterhost: it is neither signed nor filtered',
        where: postfix.where('non_smtpd_milters'),
        write: 'non_smtpd_milters = $smtpd_milters',
      },
    ]
  }),
  check('POSTFIX_INTERNAL_CLASSES', 'better', "Postfix's own notices are not filtered", postfix => {
    const classes = postfix.value('internal_mail_filter_classes')
    if (!/\b(bounce|notify)\b/.test(classes)) return []
    return [
      {
        what: `internal_mail_filter_classes is ${classes}: a notice that a filter refuses is lost, and so is the news that it bore`,
        where: postfix.where('internal_mail_filter_classes'),
        write: 'internal_mail_filter_classes =',
      },
    ]
  }),
  check('POSTFIX_NO_MILTERS', 'wrong', 'Postfix was not told to leave milters out', (postfix, site) =>
    distinct(
      site.attachments.flatMap(({ mta, role, service }) => {
        const own = postfix.services.find(({ name }) => name === service)
        const override = own?.overrides.get('receive_override_options')
        const options = override ?? postfix.value('receive_override_options')
        if (mta !== 'postfix' || role === 'inside' || role === 'local' || !options.includes('no_milters')) return []
        return [
          {
            what: `receive_override_options has no_milters: ${service} asks no milter, whatever smtpd_milters says`,
            where: override === undefined ? postfix.where('receive_override_options') : (own?.where ?? ''),
            write:
              `receive_override_options = ${options.replace(/,?\s*\bno_milters\b/, '').replace(/^,\s*/, '')}`.trimEnd(),
          },
        ]
      }),
    ),
  ),
  check(
    'POSTFIX_REINJECTED',
    'wrong',
    'Mail that a content filter gives back is not filtered again',
    (postfix, site) => {
      if (postfix.value('content_filter') === '') return []
      return ours(site)
        .filter(({ attachment }) => attachment.mta === 'postfix' && attachment.role === 'inside')
        .flatMap(({ attachment }) => {
          const own = postfix.services.find(({ name }) => name === attachment.service)
          const options = own?.overrides.get('receive_override_options') ?? postfix.value('receive_override_options')
          if (options.includes('no_milters')) return []
          return [
            {
              what: `content_filter is set, and ${attachment.service}, where mail comes back, asks milterhost: every filter runs twice`,
              where: own?.where ?? attachment.where,
              write: '-o smtpd_milters=',
            },
          ]
        })
    },
  ),
  check('POSTFIX_PROCESSES', 'wrong', 'milterhost takes as many sessions as Postfix can have', (postfix, site) => {
    const asking = ours(site).filter(({ attachment }) => attachment.mta === 'postfix')
    const total = [...new Set(asking.map(({ attachment }) => attachment.service))]
      .flatMap(service => postfix.services.filter(({ name, command }) => name === service && command === 'smtpd'))
      .map(({ processes }) => processes ?? Number(postfix.value('default_process_limit')))
      .reduce((sum, processes) => sum + processes, 0)
    const { sessions } = site.configuration.settings.limits
    if (total <= sessions) return []
    return [
      {
        what: `Postfix can have ${total} SMTP sessions that ask milterhost, which takes ${sessions} and puts off the others`,
        where: `${site.file}: limits.sessions; ${postfix.where('default_process_limit')}`,
        write: `limits: { sessions: ${Math.ceil(total * 1.25)} }`,
      },
    ]
  }),
  check('POSTFIX_PROXY', 'better', 'Postfix sees its clients itself', (postfix, site) => {
    const proxied = ['smtpd_upstream_proxy_protocol', 'postscreen_upstream_proxy_protocol'].filter(
      name => postfix.value(name) !== '',
    )
    const { liveness } = site.configuration.settings
    if (proxied.length === 0 || liveness !== 'proc' || ours(site).length === 0) return []
    return [
      {
        what: `${proxied[0]} is set: the client's connection ends at the proxy, and milterhost cannot see it leave`,
        where: postfix.where(proxied[0]!),
        write: "liveness: 'off', or an agent beside the proxy",
      },
    ]
  }),
]
