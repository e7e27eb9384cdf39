/**
 * Whether a message's author domain publishes a DMARC policy: the one thing that makes SPF keep its refusal to itself.
 *
 * Only whether there is one; to evaluate it is another filter's work. The walk up the tree is that of RFC 9989: at most eight
 * look-ups.
 */
import type { Dns, HeaderField } from 'milterhost/plugin'
import { domainOf } from './domain.ts'
import { codeOf } from './names.ts'

const MOST_LABELS = 8

/** Longer ones are looked at by nobody. Characters. */
const MOST_FROM = 2000

/** The one domain in the one From field; `null` when there are none or several, or it cannot be told. */
export function authorDomain(fields: readonly HeaderField[]): string | null {
  const [field] = fields
  if (field === undefined || fields.length > 1 || field.value.length > MOST_FROM) return null
  const bare = withoutComments(field.value.replaceAll(/"(?:[^"\\]|\\.)*"/gs, ''))
  // A list, a group or two addresses: whose policy it would be is not for us to choose.
  if (bare === null || /[,;:]/.test(bare)) return null
  const [, angle, plain] = /^[^<>@]*<[^<>@\s]*@([^<>@\s]+)>\s*$|^\s*[^<>@\s]*@([^<>@\s]+)\s*$/.exec(bare) ?? []
  return domainOf(angle ?? plain ?? '')
}

/** `null` when the parentheses do not match. */
function withoutComments(text: string): string | null {
  let depth = 0
  let bare = ''
  for (const character of text) {
    if (character === '(') depth++
    else if (character === ')' && --depth < 0) return null
    else if (depth === 0 && character !== ')') bare += character
  }
  return depth === 0 ? bare : null
}

export async function publishesDmarc(domain: string, dns: Dns, signal: AbortSignal): Promise<boolean | 'unknown'> {
  let labels = domain.split('.')
  while (labels.length > 0) {
    try {
      const texts = await dns.txt(`_dmarc.${labels.join('.')}.`, signal)
      if (texts.some(text => /^v\s*=\s*DMARC1\s*(?:;|$)/.test(text))) return true
    } catch (error) {
      signal.throwIfAborted()
      const code = codeOf(error)
      if (code !== 'ENOTFOUND' && code !== 'ENODATA' && code !== 'EBADNAME' && code !== 'EMSGSIZE') return 'unknown'
    }
    labels = labels.slice(labels.length > MOST_LABELS ? labels.length - MOST_LABELS + 1 : 1)
  }
  return false
}
