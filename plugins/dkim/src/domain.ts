/**
 * Names of domains as they come from mail: what may be printed, compared and looked up, and what may not.
 */
import { domainToASCII } from 'node:url'

const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/

/**
 * The name in lower case and as A-labels, without the root's dot; `null` for anything that is no name of a domain: controls,
 * brackets and comments in it (CVE-2020-12272), empty or too long labels.
 */
export function cleanDomain(text: unknown): string | null {
  if (typeof text !== 'string' || text.length === 0 || text.length > 1000) return null
  const lower = text.toLowerCase().replace(/\.$/, '')
  const ascii = /^[\x00-\x7f]*$/.test(lower) ? lower : domainToASCII(lower)
  if (ascii.length > 253 || ascii === '') return null
  return ascii.split('.').every(label => LABEL.test(label)) ? ascii : null
}

/** `domain` is `pattern`, or below it when the pattern begins with a dot; `*` is any. */
export const domainMatches = (domain: string, pattern: string): boolean =>
  pattern === '*' || (pattern.startsWith('.') ? domain.endsWith(pattern) : domain === pattern)
