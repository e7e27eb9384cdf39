/**
 * The Received-SPF field (RFC 7208 §9.1), one for each identity that was checked.
 *
 * Every value is quoted or was checked: nothing that a client or a domain's owner wrote can end the field, a comment or a pair.
 */
import type { CheckedIdentity } from './result.ts'
import { printable } from './text.ts'

export interface Received {
  readonly ip: string
  readonly helo: string
  readonly sender: string
  readonly receiver: string
}

export function receivedSpf(check: CheckedIdentity, { ip, helo, sender, receiver }: Received): string {
  const pairs = [
    ['client-ip', ip],
    ['envelope-from', check.identity === 'mailfrom' ? sender : ''],
    ['helo', helo],
    ['receiver', receiver],
    ['identity', check.identity],
  ]
  const written = pairs.filter(([, value]) => value !== '').map(([key, value]) => `\n\t${key}=${word(value!)};`)
  return `${check.result} (${comment(check.reason)})${written.join('')}`
}

const word = (value: string): string =>
  /^[\w!#$%&'*+/=?^`{|}~.-]+$/.test(value) ? value : `"${printable(value, 320).replaceAll(/["\\]/g, '\\$&')}"`

const comment = (text: string): string => printable(text, 200).replaceAll(/[()\\]/g, '\\$&') || 'SPF'
