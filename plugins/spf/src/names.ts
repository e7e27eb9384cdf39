/**
 * The host's DNS in the form that the engines ask for: name and type, the name of an address for PTR.
 *
 * Names are made absolute: a macro may expand to one without a dot, and no such name is meant to be one of ours.
 */
import type { Dns } from 'milterhost/plugin'

type Exchange = { exchange: string; priority: number }
export type Answer = string[] | string[][] | Exchange[]

/** Rejects as `Dns` does. Answers are copies: the engines sort and mark them. */
export async function lookUp(dns: Dns, ip: string, name: string, type: string, signal: AbortSignal): Promise<Answer> {
  const absolute = name.endsWith('.') ? name : `${name}.`
  switch (type) {
    case 'A':
      return [...(await dns.a(absolute, signal))]
    case 'AAAA':
      return [...(await dns.aaaa(absolute, signal))]
    case 'MX':
      return (await dns.mx(absolute, signal)).map(record => ({ ...record }))
    case 'TXT':
      return (await dns.txt(absolute, signal)).map(text => [text])
    case 'PTR':
      // Only ever asked for the client's address.
      return [...(await dns.ptr(ip, signal))]
    default:
      throw Object.assign(new Error(`no SPF engine asks for ${type}`), { code: 'ENODATA' })
  }
}

export const codeOf = (error: unknown): string => {
  const code = (error as { readonly code?: unknown } | null)?.code
  return typeof code === 'string' ? code : ''
}
