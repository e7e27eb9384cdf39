/**
 * Checks of what the MTAs are told to ask: that milterhost is among it, once, spelt as that MTA reads it, and nothing beside it
 * that ought to be in the chain.
 */
import { formatSocketAddress } from '../../wire/index.ts'
import type { Check } from '../finding.ts'
import {
  type Attachment,
  addressKey,
  distinct,
  type Listener,
  leadsTo,
  type NamedMilter,
  ourListener,
  ours,
  type Site,
} from '../site.ts'
import { respelt } from '../spelling.ts'
import { socketEntries } from './entries.ts'

const anyMta = ({ attachments }: Site): boolean => attachments.length > 0

/** The line that makes an MTA ask a listener. */
export function attachLine(site: Site, mta: Attachment['mta'], parameter = 'smtpd_milters'): string {
  const [listener] = site.listeners
  if (listener === undefined) return ''
  return mta === 'postfix' ? `${parameter} = ${forPostfix(site, listener)}` : inputMailFilter(listener)
}

export function forPostfix({ postfix }: Site, { address }: Listener): string {
  const queue = `${postfix?.value('queue_directory') ?? '/var/spool/postfix'}/`
  return address.kind === 'unix' && address.path.startsWith(queue)
    ? `unix:${address.path.slice(queue.length)}`
    : formatSocketAddress(address, 'postfix')
}

export const inputMailFilter = ({ address }: Pick<Listener, 'address'>): string =>
  `INPUT_MAIL_FILTER(\`milterhost', \`S=${formatSocketAddress(address, 'sendmail')}, F=T, T=C:30s;S:30s;R:30s;E:5m')dnl`

const without = (site: Site, attachment: Attachment): boolean =>
  attachment.milters.every(milter => ourListener(site, milter) === undefined)

const others = (site: Site, { milters }: Attachment): NamedMilter[] =>
  milters.filter(milter => milter.address !== null && ourListener(site, milter) === undefined)

const SIGNER = /dkim|:8891\b|\b8891@/i

/** Something of ours, by the look of it: a path with our name, or a port of ours. */
const meantForUs = (site: Site, { written, name }: NamedMilter): boolean =>
  /milterhost/i.test(`${written} ${name}`) ||
  site.listeners.some(({ address }) => address.kind === 'inet' && new RegExp(`\\b${address.port}\\b`).test(written))

export const chainChecks: readonly Check[] = [
  {
    code: 'MTA_NONE',
    severity: 'better',
    title: 'An MTA is on this machine',
    find: ({ postfix, sendmail }) =>
      postfix === null && sendmail === null
        ? [
            {
              what: 'neither Postfix nor Sendmail was found, so nothing was compared with them',
              where: '/etc/postfix/main.cf, /etc/mail/sendmail.cf',
              write: 'milterhost doctor --postfix-dir DIR, or --sendmail-cf FILE',
            },
          ]
        : [],
  },
  {
    code: 'MTA_KIND',
    severity: 'wrong',
    title: 'The configuration names the MTA that asks',
    applies: ({ configuration }) => configuration.settings.mta !== null,
    find(site) {
      const named = site.configuration.settings.mta
      const asking = new Set(ours(site).map(({ attachment }) => attachment.mta))
      if (named === null || asking.size === 0 || asking.has(named)) return []
      const [real] = asking
      return [
        {
          what: `the configuration says that the MTA is ${named}, and ${real} is what asks milterhost`,
          where: `${site.file}: mta`,
          write: `mta: '${real}'`,
        },
      ]
    },
  },
  {
    code: 'CHAIN_MISSING',
    severity: 'wrong',
    title: 'Mail from outside is shown to milterhost',
    applies: anyMta,
    find: site =>
      site.attachments
        .filter(attachment => attachment.role === 'public' && without(site, attachment))
        .map(({ mta, service, where }) => ({
          what: `${service} does not ask milterhost: its mail is not filtered`,
          where,
          write: attachLine(site, mta),
        })),
  },
  {
    code: 'CHAIN_SERVICE',
    severity: 'better',
    title: 'Mail of users is shown to milterhost',
    applies: ({ attachments }) => attachments.some(({ role }) => role === 'submission'),
    find: site =>
      site.attachments
        .filter(attachment => attachment.role === 'submission' && without(site, attachment))
        .map(({ mta, service, where }) => ({
          what: `${service} does not ask milterhost: what users send is neither signed nor filtered`,
          where,
          write:
            mta === 'postfix'
              ? '-o smtpd_milters=$smtpd_milters, or no -o smtpd_milters at all'
              : attachLine(site, mta),
        })),
  },
  {
    code: 'CHAIN_SPELLING',
    severity: 'wrong',
    title: 'Addresses of milters are spelt as the MTA reads them',
    applies: anyMta,
    find: site =>
      distinct(
        site.attachments.flatMap(({ mta, milters }) =>
          milters
            // A bracketed address has a finding of its own.
            .filter(({ address, written }) => address === null && !(mta === 'sendmail' && /@\[/.test(written)))
            .map(({ written, name, where }) => {
              const right = respelt(written, mta)
              const example = mta === 'postfix' ? 'inet:HOST:PORT or unix:PATH' : 'inet:PORT@HOST or unix:/PATH'
              return {
                what: `${name === written ? '' : `filter ${name}: `}"${written}" is no address to ${mta === 'postfix' ? 'Postfix' : 'Sendmail'}, which takes ${example}`,
                where,
                write: mta === 'postfix' ? `smtpd_milters = ${right ?? example}` : `S=${right ?? example}`,
              }
            }),
        ),
      ),
  },
  {
    code: 'CHAIN_NOBODY',
    severity: 'wrong',
    title: 'Somebody listens wherever the MTA asks',
    applies: anyMta,
    find: site =>
      distinct(
        site.attachments.flatMap(attachment =>
          others(site, attachment).flatMap(milter => {
            const reach = site.reach.get(addressKey(milter.address!))
            if (milter.chrooted || reach === undefined || reach.kind === 'answers' || reach.kind === 'silent') return []
            const us = meantForUs(site, milter)
            return [
              {
                what: us
                  ? `nobody listens on ${milter.written}; milterhost is to listen on ${site.listeners.map(({ written }) => written).join(', ')}`
                  : `nobody answers on ${milter.written}: ${reach.kind}`,
                where: milter.where,
                write: us ? attachLine(site, attachment.mta) : `take ${milter.written} out, or start that milter`,
              },
            ]
          }),
        ),
      ),
  },
  {
    code: 'CHAIN_TWICE',
    severity: 'wrong',
    title: 'Each service asks milterhost once',
    applies: anyMta,
    find: site =>
      distinct(
        site.attachments.flatMap(attachment => {
          const named = attachment.milters.filter(milter => ourListener(site, milter) !== undefined)
          if (named.length < 2) return []
          return [
            {
              what: `milterhost is asked ${named.length} times (${named.map(({ written }) => written).join(', ')}): every filter runs as often`,
              where: attachment.where,
              write:
                attachment.mta === 'postfix' ? attachLine(site, 'postfix') : `O InputMailFilters=${named[0]?.name}`,
            },
          ]
        }),
      ),
  },
  {
    code: 'CHAIN_DOUBLE',
    severity: 'wrong',
    title: 'No milter is asked by the MTA and by the chain',
    applies: anyMta,
    find: site =>
      distinct(
        site.attachments.flatMap(attachment =>
          attachment.milters.flatMap(milter => {
            const entry = socketEntries(site).find(
              ({ address }) => milter.address !== null && leadsTo(milter.address, address),
            )
            if (entry === undefined || ourListener(site, milter) !== undefined || without(site, attachment)) return []
            return [
              {
                what: `${milter.written} is asked by the MTA and, as ${entry.name}, by milterhost: it filters every message twice`,
                where: milter.where,
                write:
                  attachment.mta === 'postfix'
                    ? attachLine(site, 'postfix')
                    : `O InputMailFilters= without ${milter.name}`,
              },
            ]
          }),
        ),
      ),
  },
  {
    code: 'CHAIN_SIGNER_FIRST',
    severity: 'wrong',
    title: 'No signer runs before milterhost',
    applies: anyMta,
    find: site =>
      distinct(
        site.attachments.flatMap(({ milters, mta }) => {
          const at = milters.findIndex(milter => ourListener(site, milter) !== undefined)
          return milters
            .slice(0, Math.max(0, at))
            .filter(({ written, name }) => SIGNER.test(`${written} ${name}`))
            .map(({ written, where }) => ({
              what: `${written} is asked before milterhost: what it signs is edited afterwards, and the signature breaks`,
              where,
              write:
                mta === 'postfix'
                  ? `${attachLine(site, 'postfix')}, ${written}`
                  : `O InputMailFilters= with milterhost before it`,
            }))
        }),
      ),
  },
  {
    code: 'CHAIN_BESIDE',
    severity: 'better',
    title: 'Other milters run in the chain and not beside it',
    applies: anyMta,
    find: site =>
      distinct(
        site.attachments
          .filter(attachment => !without(site, attachment))
          .flatMap(attachment =>
            others(site, attachment)
              .filter(({ address }) => !socketEntries(site).some(entry => leadsTo(address!, entry.address)))
              .map(({ written, name, where, address }) => ({
                what: `${written} is asked beside milterhost: no condition, time limit or onFailure of the configuration holds for it`,
                where,
                write: `socket('${entryName(name)}', '${formatSocketAddress(address!, 'sendmail')}') in filters, and take it out here`,
              })),
          ),
      ),
  },
  {
    code: 'CHAIN_LOCALHOST',
    severity: 'better',
    title: 'The MTA connects to a number, not to a name',
    applies: anyMta,
    find: site =>
      distinct(
        ours(site).flatMap(({ milter, attachment, listener }) => {
          if (milter.address?.kind !== 'inet' || /^[\d.]+$|:/.test(milter.address.host)) return []
          return [
            {
              what: `${milter.written} names a host: each connection looks it up, in a chroot without the files for it, and localhost may be ::1`,
              where: milter.where,
              write:
                attachment.mta === 'postfix'
                  ? `smtpd_milters = ${forPostfix(site, listener)}`
                  : `S=${formatSocketAddress(listener.address, 'sendmail')}`,
            },
          ]
        }),
      ),
  },
  {
    code: 'CHAIN_FAMILY',
    severity: 'wrong',
    title: 'Postfix speaks the protocol of the address',
    applies: ({ postfix }) => postfix !== null,
    find: site =>
      distinct(
        ours(site).flatMap(({ milter, attachment }) => {
          const protocols = site.postfix?.value('inet_protocols') ?? 'all'
          if (attachment.mta !== 'postfix' || milter.address?.kind !== 'inet' || protocols === 'all') return []
          const needed = milter.address.host.includes(':') ? 'ipv6' : 'ipv4'
          if (protocols.includes(needed) || milter.address.host === 'localhost') return []
          return [
            {
              what: `inet_protocols is ${protocols}, and ${milter.written} is ${needed}: Postfix never connects to it`,
              where: site.postfix!.where('inet_protocols'),
              write: 'inet_protocols = all',
            },
          ]
        }),
      ),
  },
]

const entryName = (name: string): string =>
  name
    .replace(/^.*\//, '')
    .replace(/\.sock(et)?$/, '')
    .replace(/[^\w.-]+/g, '-')
