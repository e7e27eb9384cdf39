/**
 * One message's share of the DNS: a view on the resolver that counts look-ups and the time spent in them.
 *
 * A sender decides how many names a message leads to and how slow their servers are; without a bound one message could keep the
 * resolver and the client busy for minutes. Time counts only while a look-up is running, not while the client sends.
 * The resolver makes one for each `forMessage`.
 */
import type { Clock } from '../time/clock.ts'
import type { Dns } from './services.ts'

export interface Share {
  readonly clock: Clock
  readonly lookups: number
  /** Milliseconds. */
  readonly time: number
  /** Ends all of them. */
  readonly signal: AbortSignal | undefined
}

export function messageDns(dns: Omit<Dns, 'forMessage'>, { clock, lookups, time, signal: ofMessage }: Share): Dns {
  let left = lookups
  let spent = 0
  let running = 0
  let since = 0
  const look = async <T>(type: string, name: string, given: AbortSignal | undefined, ask: Ask<T>): Promise<T> => {
    const signals = [given, ofMessage].filter(signal => signal !== undefined)
    const inUse = running > 0 ? clock.monotonic() - since : 0
    const patience = time - spent - inUse
    if (left-- <= 0 || patience <= 0) throw spentError(type, name)
    if (running++ === 0) since = clock.monotonic()
    const late = new AbortController()
    const cancel = clock.after(patience, () => late.abort())
    try {
      return await ask(name, AbortSignal.any([...signals, late.signal]))
    } catch (error) {
      throw late.signal.aborted ? spentError(type, name) : error
    } finally {
      cancel()
      if (--running === 0) spent += clock.monotonic() - since
    }
  }
  const view: Dns = {
    a: (name, signal) => look('A', name, signal, dns.a.bind(dns)),
    aaaa: (name, signal) => look('AAAA', name, signal, dns.aaaa.bind(dns)),
    mx: (name, signal) => look('MX', name, signal, dns.mx.bind(dns)),
    txt: (name, signal) => look('TXT', name, signal, dns.txt.bind(dns)),
    ptr: (address, signal) => look('PTR', address, signal, dns.ptr.bind(dns)),
    forMessage: () => view,
  }
  return view
}

type Ask<T> = (name: string, signal: AbortSignal) => Promise<T>

const spentError = (type: string, name: string): Error =>
  Object.assign(
    new Error(`${type} ${JSON.stringify(name)}: the message's share of look-ups or of their time is used up (EBUDGET)`),
    {
      code: 'EBUDGET',
      hostname: name,
    },
  )
