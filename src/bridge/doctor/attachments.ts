/**
 * The lists of milters that MTAs are told, each as an `Attachment`: what smtpd, cleanup and the daemons of Sendmail will ask.
 *
 * Pure: from configurations that were read. A service whose list is empty is an attachment too, since a list that does not
 * name us is what the checks look for.
 */
import { isAbsolute } from 'node:path'
import { listElements, type PostfixConfig, type PostfixService } from './postfix-config.ts'
import type { SendmailConfig, SendmailDaemon } from './sendmail-config.ts'
import type { Attachment, NamedMilter } from './site.ts'
import { readAsPostfix, readAsSendmail } from './spelling.ts'

export function postfixAttachments(postfix: PostfixConfig): Attachment[] {
  const smtpd = postfix.services.filter(({ command }) => command === 'smtpd')
  const cleanup = postfix.services.find(({ name }) => name === 'cleanup unix')
  const postscreen = postfix.services.some(({ command }) => command === 'postscreen')
  return [
    ...smtpd.map(service => attachment(postfix, service, 'smtpd_milters', roleOf(service, postscreen))),
    ...(cleanup === undefined ? [] : [attachment(postfix, cleanup, 'non_smtpd_milters', 'local')]),
  ]
}

function attachment(
  postfix: PostfixConfig,
  service: PostfixService,
  parameter: 'smtpd_milters' | 'non_smtpd_milters',
  role: Attachment['role'],
): Attachment {
  const own = service.overrides.get(parameter)
  // What is `$smtpd_milters` is put right where that is set.
  const set = postfix.raw(parameter) === '$smtpd_milters' ? 'smtpd_milters' : parameter
  const where = own === undefined ? postfix.where(set) : service.where
  const list = own ?? postfix.value(parameter)
  return {
    mta: 'postfix',
    service: role === 'local' ? 'mail that did not come by SMTP' : service.name,
    role,
    milters: listElements(list).map(element => postfixMilter(postfix, service, element, where)),
    where,
    user: service.unprivileged ? postfix.value('mail_owner') || 'postfix' : 'root',
  }
}

function postfixMilter(
  postfix: PostfixConfig,
  { chroot }: PostfixService,
  element: string,
  where: string,
): NamedMilter {
  const [written = '', ...given] = element.split(/[\s,]+/)
  const path = /^(?:unix|local):(.+)$/.exec(written)?.[1]
  return {
    written,
    name: written,
    address: readAsPostfix(written, postfix.value('queue_directory'), chroot),
    chrooted: chroot && path !== undefined && isAbsolute(path),
    where,
    options: new Map(
      given
        .filter(option => option !== '')
        .map((option): [string, string] => {
          const at = option.indexOf('=')
          return [option.slice(0, at), option.slice(at + 1)]
        }),
    ),
  }
}

function roleOf({ name, overrides }: PostfixService, postscreen: boolean): Attachment['role'] {
  const [place = '', type] = name.split(' ')
  if (type === 'pass') return postscreen ? 'public' : 'inside'
  if (/^(127\.\d+\.\d+\.\d+|localhost|\[?::1\]?):/.test(place) || type === 'unix') return 'inside'
  const port = place.slice(place.lastIndexOf(':') + 1)
  if (/^(smtp|25)$/.test(port)) return 'public'
  if (/^(submissions?|smtps|587|465)$/.test(port)) return 'submission'
  return overrides.get('smtpd_sasl_auth_enable') === 'yes' ? 'submission' : 'inside'
}

export function sendmailAttachments(sendmail: SendmailConfig): Attachment[] {
  const daemons: readonly SendmailDaemon[] =
    sendmail.daemons.length > 0
      ? sendmail.daemons
      : [{ name: 'MTA', port: 'smtp', address: '', filters: null, where: sendmail.file }]
  return daemons.map(daemon => {
    const used = daemon.filters ?? sendmail.used
    return {
      mta: 'sendmail',
      service: `daemon ${daemon.name || daemon.port}`,
      role: /^(smtp|25)$/.test(daemon.port)
        ? 'public'
        : /^(submissions?|smtps|587|465)$/.test(daemon.port)
          ? 'submission'
          : 'inside',
      milters: used.flatMap(name => sendmailMilter(sendmail, name)),
      where: daemon.filters === null ? sendmail.where('InputMailFilters') : daemon.where,
      user: sendmail.option('RunAsUser').split(':')[0] || 'root',
    }
  })
}

function sendmailMilter({ filters }: SendmailConfig, name: string): NamedMilter[] {
  const filter = filters.find(each => each.name === name)
  if (filter === undefined) return []
  const written = filter.equates.get('S') ?? ''
  return [
    {
      written,
      name,
      address: readAsSendmail(written),
      chrooted: false,
      where: filter.where,
      options: filter.equates,
    },
  ]
}
