/**
 * What a client is told, made of nothing that could end a line, a reply or a reader's terminal.
 *
 * Codes are those of RFC 7372. A domain is one that `domainOf` let through, the client's address is the MTA's word; explanations and reasons are foreign
 * and reduced to printable ASCII.
 */
import { reject, tempfail, type Verdict } from 'milterhost/plugin'
import type { CheckedIdentity } from './result.ts'

/** Printable ASCII of at most so many characters; the rest becomes `?` or is cut. */
export const printable = (text: string, most: number): string =>
  text
    .slice(0, most * 2)
    .replaceAll(/[^\x20-\x7e]+/g, '?')
    .slice(0, most)

export interface Wording {
  readonly text: string | null
  readonly explanation: boolean
}

/** The refusal of a client for the result of one identity. */
export function refusal(check: CheckedIdentity, ip: string, { text, explanation }: Wording): Verdict {
  const { result, domain, identity } = check
  const shown = domain === '' ? 'this sender' : domain
  const values: Readonly<Record<string, string>> = { result, domain: shown, ip: printable(ip, 60), identity }
  const line =
    text === null ? defaultText(check, values) : text.replaceAll(/\{(\w+)\}/g, (_, name: string) => values[name] ?? '')
  if (result === 'temperror') return tempfail(line, { code: 451, enhanced: '4.7.24' })
  const lines = [line]
  if (explanation && check.explanation !== null) lines.push(`${shown} explains: ${check.explanation}`)
  return reject(lines, { code: 550, enhanced: result === 'permerror' ? '5.7.24' : '5.7.23' })
}

function defaultText({ result, identity }: CheckedIdentity, { domain, ip }: Readonly<Record<string, string>>): string {
  const what = identity === 'helo' ? 'HELO' : 'MAIL FROM'
  switch (result) {
    case 'permerror':
      return `SPF ${result} for ${what}: the SPF record of ${domain} cannot be evaluated`
    case 'temperror':
      return `SPF ${result} for ${what}: the SPF record of ${domain} cannot be looked up now`
    case 'fail':
    case 'softfail':
      return `SPF ${result} for ${what}: ${domain} does not permit ${ip} to send its mail`
    default:
      return `SPF ${result} for ${what}: ${domain} does not say that ${ip} may send its mail`
  }
}
