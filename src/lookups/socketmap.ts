/**
 * Client of `socketmap:` tables (socketmap_table(5) of Postfix 3.7): one netstring `name key`, one netstring back.
 */
import type { Source } from '../host/policy/lookup.ts'
import { Exchange, type Unframe } from './exchange.ts'
import { serverAddress } from './server-address.ts'

/** What Postfix's own client bears. */
const LONGEST_ANSWER = 100_000

/** `where`: `inet:host:port:name` or `unix:/path:name`. */
export function socketmapSource(where: string, connections: number): Source {
  const colon = where.lastIndexOf(':')
  const name = where.slice(colon + 1)
  if (colon < 0 || name === '' || /\s/.test(name)) throw new Error('it must end with ":" and the name of the map')
  const exchange = new Exchange({ address: serverAddress(where.slice(0, colon)), connections, unframe })
  const ask = async (key: string, signal: AbortSignal): Promise<string | null> =>
    answerOf((await exchange.ask(netstring(`${name} ${key}`), signal)).toString('utf8'))
  return {
    get: ask,
    probe: async signal => void (await ask('postmaster', signal)),
    close: () => exchange.close(),
  }
}

function netstring(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8')
  return Buffer.concat([Buffer.from(`${bytes.length}:`), bytes, Buffer.from(',')])
}

const unframe: Unframe = received => {
  const head = received.subarray(0, 8).toString('latin1')
  const length = /^(0|[1-9]\d{0,6}):/.exec(head)?.[1]
  if (length === undefined) {
    if (/^\d{0,7}$/.test(head)) return null
    throw new Error('it does not speak the socketmap protocol')
  }
  if (Number(length) > LONGEST_ANSWER) throw new Error(`its answer is longer than ${LONGEST_ANSWER} bytes`)
  const from = length.length + 1
  const end = from + Number(length)
  if (received.length <= end) return null
  if (received[end] !== 0x2c) throw new Error('it does not speak the socketmap protocol')
  return { answer: received.subarray(from, end), length: end + 1 }
}

function answerOf(answer: string): string | null {
  const [, status, text = ''] = /^(\S+)(?: (.*))?$/s.exec(answer) ?? []
  if (status === 'OK') return text
  if (status === 'NOTFOUND') return null
  throw new Error(`it answers ${status ?? 'nothing'}${text === '' ? '' : `: ${text}`}`)
}
