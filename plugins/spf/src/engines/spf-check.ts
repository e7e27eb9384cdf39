/**
 * The second engine: spf-check, unmaintained since 2019 and wrong about two in five cases of the RFC 7208 suite (`README.md`).
 *
 * Here for comparison. It asks Node's DNS by itself, so its one look-up is replaced: by the host's DNS, with a name that is not
 * there taken as "no addresses" instead of an error, and with the limit of void look-ups that it lacks. What is wrong in
 * its parser stays wrong.
 */
/// <reference path="./package.d.ts" />
import spfCheckPackage from 'spf-check'
import type { Around, Engine, Evaluation, Result } from '../engine.ts'
import { type Answer, codeOf, lookUp } from '../names.ts'

const { SPF, SPFResult } = spfCheckPackage as unknown as typeof import('spf-check')

const MOST_VOID = 2

export function spfCheck(): Engine {
  return {
    name: 'spf-check',
    async evaluate({ ip, helo, sender }, around): Promise<Evaluation> {
      const domain = sender === '' ? helo : sender.slice(sender.lastIndexOf('@') + 1)
      const ended = new AbortController()
      const signal = AbortSignal.any([around.signal, ended.signal, AbortSignal.timeout(Math.ceil(around.time))])
      try {
        const check = new Check(domain, sender === '' ? `postmaster@${helo}` : sender, ip, { ...around, signal })
        const { result, message } = await orAborted(check.check(ip), signal)
        around.signal.throwIfAborted()
        return { result: result.toLowerCase() as Result, reason: message, explanation: null }
      } catch (error) {
        around.signal.throwIfAborted()
        if (signal.aborted) return { result: 'temperror', reason: 'the time limit was exceeded', explanation: null }
        // It throws plain errors for records that its parser does not expect.
        return {
          result: 'permerror',
          reason: error instanceof Error ? error.message : String(error),
          explanation: null,
        }
      } finally {
        ended.abort()
      }
    },
  }
}

class Check extends SPF {
  readonly #ip: string
  readonly #around: Around
  #voids = 0

  constructor(domain: string, sender: string, ip: string, around: Around) {
    super(domain, sender)
    this.#ip = ip
    this.#around = around
  }

  override async resolveDNS(hostname: string, type: string, lookupLimit = true): Promise<unknown> {
    if (lookupLimit && this.queryDNSCount >= this.options.maxDNS) {
      throw new SPFResult('PermError', 'Limit of DNS lookups reached')
    }
    if (lookupLimit) this.queryDNSCount++
    try {
      const answer = await lookUp(this.#around.dns, this.#ip, hostname, type, this.#around.signal)
      return type === 'TXT' ? (answer as string[][]).map(pieces => pieces.join('')) : answer
    } catch (error) {
      return this.#nothing(error, type)
    }
  }

  #nothing(error: unknown, type: string): Answer {
    const code = codeOf(error)
    if (code === 'EMSGSIZE' || code === 'EBADNAME') throw new SPFResult('PermError', (error as Error).message)
    if (code !== 'ENOTFOUND' && code !== 'ENODATA') throw new SPFResult('TempError', (error as Error).message)
    if (type === 'TXT') throw new SPFResult('None', 'Domain does not exists')
    if (++this.#voids > MOST_VOID) throw new SPFResult('PermError', 'Limit of void DNS lookups reached')
    return []
  }
}

async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const leave = (): void => reject(signal.reason)
  signal.addEventListener('abort', leave, { once: true })
  // Nobody waits for it after the time is over.
  work.catch(() => {})
  try {
    signal.throwIfAborted()
    return await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', leave)
  }
}
