/**
 * Fills in a `Site`: reads the MTAs' configurations and meets whoever listens on the sockets that matter.
 *
 * A meeting is a negotiation and a farewell, as an MTA's: a bare connection makes some milters log an error. Called by `milterhost doctor`
 * and by nothing that serves mail.
 */
import { DEFAULT_LIMITS } from '../../host/config/settings.ts'
import type { Configuration } from '../../host/config/validate.ts'
import type { AbortReason } from '../../host/filter.ts'
import type { Logger } from '../../host/observe/logger.ts'
import type { Services } from '../../host/plugin/services.ts'
import type { Clock } from '../../host/time/clock.ts'
import { socket } from '../milter/index.ts'
import { formatSocketAddress, parseSocketAddress, type SocketAddress } from '../wire/index.ts'
import { postfixAttachments, sendmailAttachments } from './attachments.ts'
import type { Machine } from './machine.ts'
import { readPostfixConfig } from './postfix-config.ts'
import { readSendmailConfig } from './sendmail-config.ts'
import { addressKey, isAnyHost, type Listener, type Reach, type Site } from './site.ts'

export interface Examined {
  readonly configuration: Configuration
  /** For people. */
  readonly file: string
  /** Folder of main.cf and master.cf; `null` when there is no Postfix. */
  readonly postfix: string | null
  /** The sendmail.cf; `null` when there is no Sendmail. */
  readonly sendmail: string | null
  readonly machine: Machine
  readonly clock: Clock
  readonly log: Logger
  readonly services: Services
}

/** Longest time for one meeting, in milliseconds. */
const PATIENCE = 3_000

/** Throws a coded error when a configuration that was named cannot be read. */
export async function gatherSite(examined: Examined): Promise<Site> {
  const { configuration, file, machine } = examined
  const [postfix, sendmail] = await Promise.all([
    examined.postfix === null ? null : readPostfixConfig(examined.postfix),
    examined.sendmail === null ? null : readSendmailConfig(examined.sendmail),
  ])
  const attachments = [
    ...(postfix === null ? [] : postfixAttachments(postfix)),
    ...(sendmail === null ? [] : sendmailAttachments(sendmail)),
  ]
  const listeners = configuration.settings.listen.map(
    ({ address, mode, group }): Listener => ({
      written: address,
      address: parseSocketAddress(address, 'listen'),
      mode,
      group,
    }),
  )
  const met = new Map<string, SocketAddress>()
  for (const { address } of listeners) met.set(addressKey(address), connectable(address))
  for (const { address } of attachments.flatMap(({ milters }) => milters)) {
    if (address !== null) met.set(addressKey(address), address)
  }
  for (const address of socketAddresses(configuration)) met.set(addressKey(address), address)
  const reach = new Map<string, Reach>()
  await Promise.all([...met].map(async ([key, address]) => reach.set(key, await meet(address, examined))))
  return { configuration, file, listeners, postfix, sendmail, attachments, machine, reach }
}

/** Of the external milters of the chain that are enabled. An address that cannot be read is the configuration's own error. */
function socketAddresses({ entries }: Configuration): SocketAddress[] {
  return entries.flatMap(({ entry, policy }) => {
    if (entry.kind !== 'socket' || !policy.enabled) return []
    try {
      return [parseSocketAddress(entry.describe)]
    } catch {
      // `check` names it; there is nobody to meet.
      return []
    }
  })
}

async function meet(address: SocketAddress, { clock, log, services }: Examined): Promise<Reach> {
  const entry = socket('doctor', formatSocketAddress(address, 'sendmail'))
  const controller = new AbortController()
  const late: AbortReason = { kind: 'timeout', detail: 'no answer' }
  const cancel = clock.after(PATIENCE, () => controller.abort(late))
  try {
    const timeouts = { connect: PATIENCE, command: PATIENCE, end: PATIENCE }
    const policy = { name: 'doctor', onFailure: 'tempfail', mode: 'enforce', timeouts, enabled: true } as const
    const filter = await entry.create({ policy, clock, log, services, limits: DEFAULT_LIMITS })
    await filter.probe(controller.signal)
    await filter.close()
    return { kind: 'answers', detail: '' }
  } catch (error) {
    const detail = (error as Error).message
    return { kind: kindOf(detail, (error as { code?: string }).code), detail }
  } finally {
    cancel()
  }
}

function kindOf(detail: string, code: string | undefined): Reach['kind'] {
  if (detail.includes('ENOENT')) return 'absent'
  if (detail.includes('ECONNREFUSED')) return 'refused'
  if (detail.includes('EACCES')) return 'denied'
  return code === 'MILTER_CONNECT' ? 'failed' : 'silent'
}

function connectable(address: SocketAddress): SocketAddress {
  if (address.kind === 'unix' || !isAnyHost(address.host)) return address
  return { ...address, host: address.host === '::' ? '::1' : '127.0.0.1' }
}
