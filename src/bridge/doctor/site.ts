/**
 * Everything that the checks of `milterhost doctor` look at, gathered once: our configuration, what the MTAs here are told,
 * the machine, and who answers on which socket.
 *
 * Only data and pure look-ups; `gather.ts` fills it in. What an MTA calls a list of milters is an `Attachment` here, whichever
 * MTA it is, so that most checks need not know the difference.
 */
import type { Configuration } from '../../host/config/validate.ts'
import type { SocketAddress } from '../wire/index.ts'
import type { Machine } from './machine.ts'
import type { PostfixConfig } from './postfix-config.ts'
import type { SendmailConfig } from './sendmail-config.ts'

/** One milter as an MTA names it. */
export interface NamedMilter {
  /** As written, without the MTA's own options. */
  readonly written: string
  /** With paths as they are outside of the chroot; `null` when the MTA cannot read it. */
  readonly address: SocketAddress | null
  /** The path that the MTA opens is below its chroot. */
  readonly chrooted: boolean
  /** Sendmail's name for it, the address on Postfix. */
  readonly name: string
  readonly where: string
  /** Options that stand with it: `default_action` on Postfix, `F` and `T` on Sendmail. */
  readonly options: ReadonlyMap<string, string>
}

/** One list of milters of one MTA. */
export interface Attachment {
  readonly mta: 'postfix' | 'sendmail'
  /** `smtp inet (smtpd)`, `non_smtpd_milters`, or the name of a daemon of Sendmail. */
  readonly service: string
  /** `public`: takes mail from anywhere. `submission`: from users. `inside`: on loopback. `local`: not by SMTP. */
  readonly role: 'public' | 'submission' | 'inside' | 'local'
  readonly milters: readonly NamedMilter[]
  readonly where: string
  /** Who connects. */
  readonly user: string
}

/** A socket that milterhost is configured to listen on. */
export interface Listener {
  readonly written: string
  readonly address: SocketAddress
  readonly mode: number
  readonly group: string | number | null
}

/** How a negotiation with whoever listens there went. */
export interface Reach {
  readonly kind: 'answers' | 'absent' | 'refused' | 'denied' | 'silent' | 'failed'
  readonly detail: string
}

export interface Site {
  readonly configuration: Configuration
  /** For people: the file, or the default configuration. */
  readonly file: string
  readonly listeners: readonly Listener[]
  readonly postfix: PostfixConfig | null
  readonly sendmail: SendmailConfig | null
  readonly attachments: readonly Attachment[]
  readonly machine: Machine
  /** By `addressKey`. */
  readonly reach: ReadonlyMap<string, Reach>
}

export const addressKey = (address: SocketAddress): string =>
  address.kind === 'unix' ? `unix:${address.path}` : `inet:${address.host}:${address.port}`

const LOOPBACK = /^(127\.\d+\.\d+\.\d+|::1|localhost)$/i
const ANY = /^(0\.0\.0\.0|::)$/

export const isLoopback = (host: string): boolean => LOOPBACK.test(host)
export const isAnyHost = (host: string): boolean => ANY.test(host)

/** Whether who connects to `target` reaches what listens on `bound`. `localhost` is tried at both its addresses. */
export function leadsTo(target: SocketAddress, bound: SocketAddress): boolean {
  if (target.kind === 'unix' || bound.kind === 'unix')
    return target.kind === 'unix' && bound.kind === 'unix' && tidy(target.path) === tidy(bound.path)
  if (target.port !== bound.port) return false
  if (bound.host === '0.0.0.0') return !target.host.includes(':')
  if (bound.host === '::') return target.host.includes(':') || target.host === 'localhost'
  if (target.host === bound.host) return true
  return [target.host, bound.host].includes('localhost') && isLoopback(target.host) && isLoopback(bound.host)
}

const tidy = (path: string): string => path.replace(/\/{2,}/g, '/').replace(/\/\.(?=\/)/g, '')

/** The listener that an MTA's entry leads to. */
export const ourListener = (site: Site, { address }: Pick<NamedMilter, 'address'>): Listener | undefined =>
  address === null ? undefined : site.listeners.find(listener => leadsTo(address, listener.address))

/** Entries of an MTA that lead to us, each with where it stands. */
export const ours = (site: Site): { attachment: Attachment; milter: NamedMilter; listener: Listener }[] =>
  site.attachments.flatMap(attachment =>
    attachment.milters.flatMap(milter => {
      const listener = ourListener(site, milter)
      return listener === undefined ? [] : [{ attachment, milter, listener }]
    }),
  )

/** The same finding of several services once. */
export function distinct<T extends { readonly what: string; readonly where: string }>(found: readonly T[]): T[] {
  const seen = new Set<string>()
  return found.filter(({ what, where }) => {
    const key = `${where}\0${what}`
    return !seen.has(key) && seen.add(key)
  })
}
