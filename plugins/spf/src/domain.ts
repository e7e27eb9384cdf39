/**
 * Domains out of mail, made fit to be compared, published and printed.
 *
 * Whoever prints a domain that was not checked prints what an attacker wrote: `example.net(.example.com` in a result was
 * CVE-2020-12272. Letters, digits, `-` and `_` in labels of 1 to 63, 253 in all; others are no domain here.
 */
import { domainToASCII } from 'node:url'

const LABEL = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?'
const DOMAIN = new RegExp(`^(?=.{1,253}$)${LABEL}(?:\\.${LABEL})+$`)

/** In lower case, without the final dot, as A-labels; `null` for what is no domain name of two labels at least. */
export function domainOf(text: string): string | null {
  const relative = text.endsWith('.') ? text.slice(0, -1) : text
  // Before it is converted: the conversion would drop a line break and read `%41`.
  if (relative.length > 500 || !/^[\w.\-\x80-\u{10ffff}]*$/u.test(relative)) return null
  const ascii = /^[\x21-\x7e]*$/.test(relative) ? relative : domainToASCII(relative)
  const lower = ascii.toLowerCase()
  // A name of digits alone at its end is an address, or nothing.
  return DOMAIN.test(lower) && !/\.\d+$/.test(lower) ? lower : null
}

/** Whether it is that domain or below it. */
export const isWithin = (name: string, domain: string): boolean => name === domain || name.endsWith(`.${domain}`)
