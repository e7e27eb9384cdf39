/**
 * The look-ups of one message, in the form that mailauth asks for them.
 *
 * A message can make us ask as many names as it has signatures, and their servers may be slow: the number and the time are
 * bounded, and what is beyond is a temporary error like any other failure of DNS. Answers go through the host's cache.
 */
import type { Dns } from 'milterhost/plugin'

/** `resolver(name, type)` of mailauth. */
export type Resolver = (name: string, type: string) => Promise<string[] | string[][]>

/** Ten signatures, their organizational domains, a chain of seals: an honest message needs a third of it. */
const MOST_LOOKUPS = 60

export function resolverFor(dns: Dns, signal: AbortSignal): Resolver {
  const answers = new Map<string, Promise<string[] | string[][]>>()
  return (name, type) => {
    const key = `${type} ${name.toLowerCase()}`
    const known = answers.get(key)
    if (known !== undefined) return known
    const answer = answers.size >= MOST_LOOKUPS ? Promise.reject(tooMany(name)) : look(dns, name, type, signal)
    // One that nobody waits for any more must not end the process.
    answer.catch(() => {})
    answers.set(key, answer)
    return answer
  }
}

async function look(dns: Dns, name: string, type: string, signal: AbortSignal): Promise<string[] | string[][]> {
  if (type === 'TXT') {
    const records = await txt(dns, name, signal)
    // RFC 6376 §3.6.2.2: what several key records mean is undefined. None of them is used.
    if (records.length > 1 && name.includes('._domainkey.'))
      throw Object.assign(new Error(`${records.length} key records at ${name}`), { code: 'EINVALIDVAL' })
    return records.map(record => [record])
  }
  if (type === 'A') return [...(await dns.a(name, signal))]
  // DMARC asks whether a name is an alias of nothing; an answer with A records has been looked for before.
  throw Object.assign(new Error(`no ${type} look-ups`), { code: 'ENODATA' })
}

/** A record that is too long for the host is no record: it would be as long when it is asked for again. */
async function txt(dns: Dns, name: string, signal: AbortSignal): Promise<readonly string[]> {
  try {
    return await dns.txt(name, signal)
  } catch (error) {
    if ((error as { readonly code?: unknown }).code !== 'EMSGSIZE') throw error
    const code = name.includes('._domainkey.') ? 'EINVALIDVAL' : 'ENODATA'
    throw Object.assign(new Error(`the record at ${name} is too long`), { code })
  }
}

const tooMany = (name: string): Error =>
  Object.assign(new Error(`${name}: this message leads to too many look-ups`), { code: 'EBUDGET' })
