/**
 * From a question to what the name servers know: which is asked, in which order, how often and for how long.
 *
 * Each server has `timeout` for a try, all are asked `tries` times over, and the whole never takes longer than `total`. One that
 * said something that ends the matter for it (SERVFAIL, REFUSED, garbage) is not asked again; one that was silent is asked last
 * for a while. A truncated answer is fetched over TCP, a server that does not know EDNS is asked without it.
 */
import type { Clock } from '../host/time/clock.ts'
import type { Outcome } from './answer.ts'
import { type DnsCode, DnsError } from './error.ts'
import { Gate } from './gate.ts'
import { makeQuery, type RecordType } from './query.ts'
import type { NameServer } from './servers.ts'
import { askTcp } from './tcp.ts'
import { type Answer, askUdp } from './udp.ts'

/** Milliseconds. */
export interface Patience {
  readonly timeout: number
  readonly tries: number
  readonly total: number
}

const MOST_AT_ONCE = 200
/** Milliseconds for which a silent server is asked after the others. */
const SHUNNED = 30_000

/** The signal's reason when time was up, to tell it from the caller's own. */
const LATE: unique symbol = Symbol('late')

export class Exchange {
  readonly #clock: Clock
  readonly #randomId: () => number
  readonly #gate = new Gate(MOST_AT_ONCE)
  /** Until when, by server. */
  readonly #shunned = new Map<string, number>()

  constructor(clock: Clock, randomId: () => number) {
    this.#clock = clock
    this.#randomId = randomId
  }

  /** Rejects with a `DnsError`; `ECANCELLED` when the signal was aborted. */
  async ask(
    name: string,
    type: RecordType,
    servers: readonly NameServer[],
    { timeout, tries, total }: Patience,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const deadline = this.#clock.monotonic() + total
    const done = new Set<NameServer>()
    let failure: DnsCode = 'ETIMEOUT'
    for (let round = 0; round < tries; round++) {
      for (const server of this.#inOrder(servers)) {
        if (done.has(server)) continue
        const left = Math.min(timeout, deadline - this.#clock.monotonic())
        if (left <= 0) throw new DnsError('ETIMEOUT', type, name)
        const answer = await this.#try(name, type, server, left, signal)
        if (signal.aborted) throw new DnsError('ECANCELLED', type, name)
        if (typeof answer === 'object') {
          this.#shunned.delete(keyOf(server))
          return answer
        }
        failure = answer
        if (answer === 'ESERVFAIL' || answer === 'EREFUSED') done.add(server)
        else this.#shunned.set(keyOf(server), this.#clock.monotonic() + SHUNNED)
      }
    }
    throw new DnsError(failure, type, name)
  }

  #inOrder(servers: readonly NameServer[]): readonly NameServer[] {
    if (servers.length === 1 || this.#shunned.size === 0) return servers
    const now = this.#clock.monotonic()
    const isShunned = (server: NameServer): boolean => (this.#shunned.get(keyOf(server)) ?? 0) > now
    return [...servers.filter(server => !isShunned(server)), ...servers.filter(isShunned)]
  }

  async #try(
    name: string,
    type: RecordType,
    server: NameServer,
    milliseconds: number,
    signal: AbortSignal,
  ): Promise<Outcome | DnsCode> {
    const timer = new AbortController()
    const cancel = this.#clock.after(milliseconds, () => timer.abort(LATE))
    const both = AbortSignal.any([signal, timer.signal])
    try {
      return outcomeOf(await this.#gate.run(both, () => this.#askOne(name, type, server, both)))
    } catch (error) {
      // Whatever a socket can say about a server that is not there.
      return error === LATE || signal.aborted ? 'ETIMEOUT' : 'ECONNREFUSED'
    } finally {
      cancel()
    }
  }

  async #askOne(name: string, type: RecordType, server: NameServer, signal: AbortSignal): Promise<Answer> {
    const ask = async (edns: boolean): Promise<Answer> => {
      const query = makeQuery(this.#randomId(), name, type, edns)
      const answer = await askUdp(query, server, signal)
      return answer.kind === 'truncated' ? askTcp(query, server, signal) : answer
    }
    const answer = await ask(true)
    return answer.kind === 'no-edns' ? ask(false) : answer
  }
}

const keyOf = ({ address, port }: NameServer): string => `${address} ${port}`

function outcomeOf(answer: Answer): Outcome | DnsCode {
  if (answer.kind === 'records' || answer.kind === 'none') return answer
  return answer.kind === 'failure' ? answer.code : 'ESERVFAIL'
}
