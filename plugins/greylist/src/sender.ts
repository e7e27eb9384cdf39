/**
 * Sender and recipient as they stand in a tuple: without what changes from one attempt, or one message, to the next.
 *
 * A mailing list that puts a number or a tag of its own into each sender must be known again at the retry. Pure. Nothing here
 * is ever shown or sent: the text only goes into a hash.
 */
import { domainToASCII } from 'node:url'

/** How much of the sender counts: all of it, without what changes, its domain only, or nothing. */
export const SENDER_KEYS = ['address', 'normalised', 'domain', 'none'] as const
export type SenderKey = (typeof SENDER_KEYS)[number]

export interface SenderParts {
  readonly local: string
  readonly domain: string
}

/** What a tuple holds of a sender; empty for the null sender. */
export function senderText({ local, domain }: SenderParts, how: SenderKey): string {
  if (local === '' && domain === '') return ''
  const host = asciiDomain(domain)
  switch (how) {
    case 'address':
      return `${local.toLowerCase()}@${host}`
    case 'normalised':
      return `${normaliseLocal(local)}@${host}`
    case 'domain':
      return `@${host}`
    case 'none':
      return '@'
  }
}

/** Upper and lower case of a recipient do not matter to any server one meets. */
export const recipientText = ({ local, domain }: SenderParts): string => `${local.toLowerCase()}@${asciiDomain(domain)}`

/** Lower case and in its ASCII form; what is no domain stays as it is. */
export function asciiDomain(domain: string): string {
  const lower = domain.toLowerCase().replace(/\.$/, '')
  return domainToASCII(lower) || lower
}

/** The longest local part that is looked at closely: RFC 5321 allows 64, and the patterns below must stay cheap. */
const LONGEST = 256

function normaliseLocal(local: string): string {
  let text = local.slice(0, LONGEST).toLowerCase()
  // A forwarder's rewriting (SRS) holds a hash and a day; what is left of it is the forwarder, which is the domain.
  if (/^srs[01][=+-]/.test(text)) return 'srs'
  text = withoutTag(text)
  // A detail belongs to the recipient of the answer, not to the sender; VERP puts the recipient there.
  const plus = text.indexOf('+')
  if (plus > 0) text = text.slice(0, plus)
  return withoutNumbers(text)
}

/** Without a bounce tag (BATV) before or after the user, as it is found in the wild. */
function withoutTag(text: string): string {
  const prvs = /^(?:ms)?prvs\d?=([^=]+)=(.+)$/.exec(text)
  if (prvs !== null) {
    const [, one, two] = prvs as unknown as [string, string, string]
    // The draft says tag first; some write it last. The tag is digits and hex.
    return isTag(two) && !isTag(one) ? one : two
  }
  return /^btv1==[^=]+==(.+)$/.exec(text)?.[1] ?? text
}

const isTag = (text: string): boolean => /^[0-9a-f]{6,}$/.test(text)

/** Words of digits, of hex or of a mixture too long to be a name become `#`, and rows of them one. */
const withoutNumbers = (text: string): string =>
  text.replace(/[a-z0-9]+/g, word => (isNumber(word) ? '#' : word)).replace(/#(?:[-._=~]+#)+/g, '#')

const isNumber = (word: string): boolean =>
  /^\d+$/.test(word) || (/\d/.test(word) && (/^[0-9a-f]{8,}$/.test(word) || word.length >= 16))
