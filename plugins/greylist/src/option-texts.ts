/**
 * Texts of the options that must have a form to be of use: addresses, domains, the name of a header, the code of a reply.
 *
 * A text that could never be met (`<a@example.org>`, `*.example.org`) is refused when the configuration is loaded, since a rule that
 * does nothing is noticed by nobody. Each throws an `Error` whose message completes "option ‹name›: …". Pure; the reading
 * of the options calls it.
 */
import { organisation } from './origin.ts'
import { asciiDomain } from './sender.ts'

/** At least one label of a host name; as DNS lists have them, and old machines, with underscores. */
const DOMAIN = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/i
/** The same, in any script: sender and recipient may be such (RFC 6531). */
const MAIL_DOMAIN = /^[\p{L}\p{M}\p{N}_-]+(\.[\p{L}\p{M}\p{N}_-]+)*$/u
const LITERAL = /^\[[0-9a-f:.]+\]$/i

/** Addresses and domains, in lower case. */
export function addressList(list: readonly string[]): ReadonlySet<string> {
  for (const text of list) {
    if (!isAddressOrDomain(text))
      throw new Error(
        `${show(text)} is not an address such as "user@example.org", nor a domain: "example.org" with all below it, "@example.org" alone`,
      )
  }
  return new Set(list.map(text => text.toLowerCase()))
}

function isAddressOrDomain(text: string): boolean {
  const at = text.lastIndexOf('@')
  const [local, domain] = [text.slice(0, Math.max(at, 0)), text.slice(at + 1)]
  if (!MAIL_DOMAIN.test(domain) && !(at > 0 && LITERAL.test(domain))) return false
  return /^"[^"]*"$/.test(local) || !/[\s<>*"@]/.test(local)
}

/** Zones that are asked in the DNS, each once. */
export const zoneList = (list: readonly string[]): readonly string[] => [...new Set(list.map(zone))]

/** A zone that is asked in the DNS. */
export function zone(text: string): string {
  const name = text.replace(/\.$/, '')
  if (!DOMAIN.test(name)) throw new Error(`${show(text)} is not the domain of a DNS list, such as "bl.example.net"`)
  return name
}

/** Domains that senders are compared with, each as it was registered. */
export function registeredDomains(list: readonly string[]): ReadonlySet<string> {
  return new Set(
    list.map(text => {
      const domain = asciiDomain(text)
      if (!DOMAIN.test(domain) || !domain.includes('.'))
        throw new Error(`${show(text)} is not a domain such as "example.org"`)
      if (organisation(domain) !== domain)
        throw new Error(
          `${show(text)} is never met, for a sender is looked up by its organisational domain: write "${organisation(domain)}"`,
        )
      return domain
    }),
  )
}

/**
 * Fields that others write or read. A header of the greylist's name is taken out of the mail that comes in, because it is forged:
 * one of these would be lost.
 */
const TAKEN =
  /^(from|sender|reply-to|to|cc|bcc|date|subject|comments|keywords|message-id|in-reply-to|references|received|received-spf|return-path|delivered-to|authentication-results|dkim-signature|autocrypt|mime-version|(arc|content|list|resent)-.+)$/i

/** Longer ones leave no room in a line of a header. Characters. */
const LONGEST_HEADER = 76

/** The enhanced status code of a temporary failure (RFC 3463: no leading zeros). */
export function enhancedCode(text: string): `4.${number}.${number}` {
  if (!/^4(\.(0|[1-9]\d{0,2})){2}$/.test(text))
    throw new Error(`must be that of a temporary failure, such as "4.7.1", not ${show(text)}`)
  return text as `4.${number}.${number}`
}

/** An address of the web for the reply. */
export function urlText(text: string): string {
  if (!URL.canParse(text) || /\s/.test(text))
    throw new Error(`must be a URL such as "https://example.org/greylisting", not ${show(text)}`)
  return text
}

/** The name of the header, `null` for none. */
export function headerName(header: boolean | string): string | null {
  if (typeof header === 'boolean') return header ? 'X-Greylist' : null
  if (!/^[\x21-\x39\x3b-\x7e]+$/.test(header) || header.length > LONGEST_HEADER)
    throw new Error(`must be true, false or the name of a header, of at most ${LONGEST_HEADER} characters`)
  if (TAKEN.test(header))
    throw new Error(
      `${show(header)} is a header of the mail's own, which would be lost; take a name such as "X-Greylist"`,
    )
  return header
}

const show = (text: string): string => JSON.stringify(text)
